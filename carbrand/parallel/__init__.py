"""Parallel work: threads, processes, a Ray cluster. Results do not depend on how many there are.

May import: node. Begin with `pool.py`.
"""
