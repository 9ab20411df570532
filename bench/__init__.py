"""Benchmarks that print ratios of things measured in one run."""
