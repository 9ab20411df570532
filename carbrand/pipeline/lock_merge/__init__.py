"""Branches that both ran the pipeline merge without a hand on dvc.lock.

Git merges lines. In dvc.lock that gives conflicts where there are none, and entries that no run
wrote. Here each node's entry stays whole; Git calls this package for it.
"""
