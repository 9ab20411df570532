"""Vectors of a frozen network: storage, standardization, and copies and series found by them.

May import: node, parallel, photos. Begin with `feature_store.py`.
"""
