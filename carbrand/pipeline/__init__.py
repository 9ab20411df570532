"""Around DVC: runs that are rolled back when they fail, locks, dvc.lock, merging, Git.

May import: node, parallel. Begin with `repro.py`.
"""
