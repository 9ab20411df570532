"""What every node needs: params, errors, its start and end, atomic writes, tables, progress.

May import: nothing. Begin with `start.py`.
"""
