"""Decoding of photos, which files there are, and the CSV files on them (manifest, copies, folders).

May import: node, parallel. Begin with `photo.py`.
"""
