"""A file becomes pixels (photo.py, decode/), and the manifest says which files count.

May import: node, parallel. Begin with `photo.py`.
"""
