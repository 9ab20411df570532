"""Unit tests of carbrand/node/files."""
