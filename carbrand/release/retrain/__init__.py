"""Scheduled retraining: from new photos to a branch that a person may merge.

`loop.retrain` is the whole of it; `dvc.py` is what it asks of DVC, `report.py` what it says.
"""
