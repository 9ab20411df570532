"""What makes `python -m stages` a `dvc repro` that survives being killed, and a second one."""
