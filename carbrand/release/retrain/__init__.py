"""Scheduled retraining: from new photos to a branch that a person may merge.

Begin with `loop.retrain`. `forecast` is its dry run, `dvc_commands` runs DVC, `summary` is the text
of the pull request.
"""
