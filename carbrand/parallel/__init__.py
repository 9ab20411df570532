"""Work over the cores of a machine and over a cluster, with the same bytes out.

May import: node. Begin with `pool.py`.
"""
