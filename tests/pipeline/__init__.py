"""Tests that run nodes, DVC, Git, a server or a browser."""
