"""What the bytes of a photo say: its format, damage, colours and transparency.

Begin with `formats.py`.
"""
