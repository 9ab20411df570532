"""Unit tests of the room node."""
