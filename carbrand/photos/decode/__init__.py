"""Image file formats: identification, damage, colour profiles, transparency, 16-bit grey.

Begin with `formats.py`.
"""
