"""Figures as PNG and SVG, thumbnails, and the embedding map. Begin with `canvas.py`."""
