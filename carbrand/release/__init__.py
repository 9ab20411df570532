"""Which model is in use: the gate, the registry, scheduled retraining.

May import: node, parallel, photos, checks, network, vectors, scores, training, model, pipeline.
Begin with `gate/comparison.py`.
"""
