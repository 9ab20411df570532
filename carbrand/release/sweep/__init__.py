"""Trials of other settings, from a file that says which. Begin with `spec.py`."""
