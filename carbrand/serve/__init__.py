"""The model behind HTTP: a page for people, an endpoint for programs.

May import: node, parallel, photos, checks, network, vectors, scores, training, model, report.
Begin with `server.py`.
"""
