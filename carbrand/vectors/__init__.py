"""Vectors of a frozen network: storage, standardization, and copies found by similar vectors.

May import: node, parallel, photos. Begin with `feature_store.py`.
"""
