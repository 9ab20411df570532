"""Training the head: its solver, checkpoints, calibration, and suspected label errors.

May import: node, parallel, photos, checks, network, vectors, scores. Begin with `head.py`.
"""
