"""Photos of other shapes come into Datasets, and what belongs together stays in one split.

May import: node, parallel, photos, checks, vectors. Begin with `source.py`.
"""
