"""Unit tests of the room scores."""
