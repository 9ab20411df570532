"""Metrics with intervals, the invariants of an evaluation, and the files that hold both.

May import: node, parallel, photos, checks, network, vectors. Begin with `evaluation.py`.
"""
