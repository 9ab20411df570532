"""Around DVC: runs that survive being killed, dvc.lock, merging, Git.

May import: node, parallel. Begin with `dvc.py`.
"""
