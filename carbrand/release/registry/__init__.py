"""Models by name: versions and stages are Git tags (GTO), files are in DVC's cache or remote.

Begin with `find.py`, which gets the file of a model; `promotion.py` assigns a model to a stage.
"""
