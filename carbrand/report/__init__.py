"""Figures and report.html: what a run found, for people.

May import: node, parallel, photos, checks, network, vectors, scores, training, model. Begin
with `page.py`.
"""
