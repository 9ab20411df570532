"""Proofs: a file per module, and one per promise."""
