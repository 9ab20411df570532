"""The notebook of docs/ goes from photos to a report, as it stands there."""

from __future__ import annotations

import os
import shutil

import nbclient
import nbformat
import pytest

from tests.conftest import ROOT, own_environment

NOTEBOOK = ROOT / "docs/photos-to-report.ipynb"


@pytest.fixture
def in_users_environment(monkeypatch):
    """A kernel inherits the environment of this process, in which tests have set some."""
    for name in set(os.environ) - set(own_environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", own_environment()["PATH"])


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )


@pytest.mark.usefixtures("in_users_environment")
def test_the_notebook_goes_from_photos_to_a_report(finished):
    # DVC has what the nodes made of these photos, so they need not run.
    shutil.rmtree(finished / "artifacts/plot")
    shutil.rmtree(finished / "artifacts/finetune")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(finished / "docs")}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
    said = printed(notebook)
    assert "train asta" in said
    assert "6 photos" in said
    assert "Running stage" not in said
    assert "accuracy " in said
    assert (finished / "artifacts/plot/report.html").is_file()
    assert "Datasets/test/asta/000.png: asta" in said
    assert "noise is unknown: True" in said
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 4


def test_the_notebook_is_kept_without_what_a_run_printed():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)
