"""Unit tests of carbrand/network/inference."""
