"""Validation: of single files (inspection.py), of folders (layout.py), of copies (copies/).

May import: node, parallel, photos. Begin with `inspection.py`.
"""
