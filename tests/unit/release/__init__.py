"""Unit tests of the room release."""
