"""Unit tests of the room photos."""
