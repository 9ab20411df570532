"""Unit tests of the room pipeline."""
