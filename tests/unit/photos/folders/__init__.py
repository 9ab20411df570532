"""Unit tests of carbrand/photos/folders."""
