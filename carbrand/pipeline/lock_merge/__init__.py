"""A merge driver for dvc.lock, for branches that both ran the pipeline.

Git merges lines. In dvc.lock that gives conflicts where there are none, and entries that no run
wrote. This driver merges whole entries, node by node. Begin with `driver.py`.
"""
