"""What is wrong with files (inspection.py), with folders (layout.py), and between photos (copies/).

May import: node, parallel, photos. Begin with `inspection.py`.
"""
