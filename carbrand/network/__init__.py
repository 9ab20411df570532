"""Backbones, readers of weights, engines, augmented views, pooling, and the cache of vectors.

May import: node, parallel, photos. Begin with `backbones.py`.
"""
