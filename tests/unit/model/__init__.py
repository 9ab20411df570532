"""Unit tests of the room model."""
