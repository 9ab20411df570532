"""`from carbrand import load`: the model of a project, by file, revision or name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbrand.model.loaded_model import Model

# The path of the model in every revision.
MODEL = "artifacts/finetune/model.h5"


def load(
    model: str | os.PathLike[str] | None = None, project: str | os.PathLike[str] = "."
) -> Model:
    """Load a model: a file, a revision, `model@prod` or `model@v1.0.0` as of `carbrand predict`.

    model: by default the one that ships, as it lies in the project. project: the folder of
    dvc.yaml. Raises UserError, which says what to do.
    """
    from carbrand.model.loaded_model import Model
    from carbrand.release.registry.find import find_model

    if model is None:
        return Model(Path(project, MODEL))
    return Model(find_model(os.fspath(model), Path(project), MODEL))
