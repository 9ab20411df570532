"""The command line: one module per command, each a thin layer over the rooms.

May import: node, parallel, photos, checks, network, vectors, scores, training, model, report,
export, serve, pipeline, release, importing. Begin with `predict.py`.
"""
