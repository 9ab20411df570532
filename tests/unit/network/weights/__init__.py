"""Unit tests of carbrand/network/weights."""
