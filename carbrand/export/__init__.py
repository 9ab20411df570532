"""The model in the formats of other runtimes, each checked against Keras before it is kept.

May import: node, parallel, photos, checks, network, vectors, scores, training, model, report.
Begin with `export_model.py`.
"""
