"""Unit tests of the room vectors."""
