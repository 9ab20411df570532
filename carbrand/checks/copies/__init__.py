"""Photos that are copies of others: the same hash, a near one, or an edited part.

Begin with `mark_copies.py`.
"""
