"""Metrics with intervals, the invariants of a run, predictions.csv and history.csv.

May import: node, parallel, photos, checks, network, vectors. Begin with `evaluation.py`.
"""
