"""Unit tests of the room checks."""
