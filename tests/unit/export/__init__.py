"""Unit tests of the room export."""
