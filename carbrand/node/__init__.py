"""What every node needs: parameters, errors, atomic writes, tables, signals and progress bars.

May import: nothing. Begin with `start.py`.
"""
