"""Unit tests of carbrand/report/drawing."""
