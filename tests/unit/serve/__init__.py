"""Unit tests of the room serve."""
