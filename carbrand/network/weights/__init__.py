"""Readers of weights and of whole networks in files, as data only. Begin with `h5_file.py`."""
