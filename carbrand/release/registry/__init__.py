"""Models by name: versions and stages are Git tags (GTO), files are in DVC's cache or remote.

`find` gets the file of a model, `promotion` assigns a model to a stage.
"""
