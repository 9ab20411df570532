"""One module per node of dvc.yaml: read, compute, write. Stages speak through files alone."""

import carbrand  # noqa: F401  before a package that may be missing
