"""Models by name: versions and stages are Git tags (GTO), files are in DVC's cache or remote.

`find.py` gets one, `promote.py` says which one is in use.
"""
