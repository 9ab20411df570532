"""The formats of other runtimes: their writers, and how each is run. Begin with `targets.py`."""
