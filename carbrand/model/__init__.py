"""model.h5: writing, reading, prediction, and heat maps.

May import: node, parallel, photos, checks, network, vectors, scores, training. Begin with
`classifier.py`.
"""
