"""Detection of copies: equal pixels, near-duplicates (perceptual hashes), edited copies (blocks).

Begin with `mark_copies.py`.
"""
