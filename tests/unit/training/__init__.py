"""Unit tests of the room training."""
