"""Unit tests of the room importing."""
