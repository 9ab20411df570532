"""Unit tests of the room parallel."""
