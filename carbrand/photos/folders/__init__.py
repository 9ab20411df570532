"""Which files and links are in the folders of a split. Begin with `files.py`."""
