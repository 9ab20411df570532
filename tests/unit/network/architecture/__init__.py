"""Unit tests of carbrand/network/architecture."""
