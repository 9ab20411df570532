"""One module per node of dvc.yaml: read, compute, write. Stages speak through files alone."""
