"""Unit tests of carbrand/scores/files."""
