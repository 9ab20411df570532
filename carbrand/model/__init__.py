"""model.h5: written, read, asked about photos, and explained by heat maps.

May import: node, parallel, photos, checks, network, vectors, scores, training. Begin with
`classifier.py`.
"""
