"""Projects without a clone: `carbrand init` writes their files, and `--update` renews them.

The files are those of carbrand's repository, without what only a clone has: code,
tests, locks. Begin with `creation.py`.
"""
