"""Every recipe of the documents does what it says, and ends with a clean tree."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import draw_dataset, draw_photo, edit_params, git, remember, run
from tests.support.copies import copy_made
from tests.support.recipes import documents, follow, give_environment, recipes
from tests.support.running import in_torture
from tests.support.s3_server import Storage

README, EXPERIMENTS, MODELS = "README.md", "docs/experiments.md", "docs/models.md"
IMPORT = "docs/import.md"
STORAGE, RETRAINING = "docs/storage.md", "docs/retraining.md"
# The recipes that a test here runs, by a piece of their text.
RUN = {
    README: (
        "make repro     #",
        "carbrand predict Datasets/",
        "git add Datasets dvc.lock artifacts",
        "make experiments ",
        "dvc metrics diff main stricter",
    ),
    EXPERIMENTS: ("git merge stricter",),
    IMPORT: ("carbrand import",),
    STORAGE: ("dvc remote add -d store", "dvc repro --pull", "dvc import-url"),
    MODELS: ("carbrand promote",),
    RETRAINING: ("carbrand retrain --dry-run", "dvc push --run-cache", "git pull && dvc pull"),
}
NOT_RUN = {
    EXPERIMENTS: {"carbrand sweep": "test_sweep.py runs it on a small project"},
    "docs/backbones.md": {"pip install --no-deps keras-hub": "installs from a package index"},
    "docs/cluster.md": {"srun ": "needs SLURM", "helm install": "needs a Kubernetes cluster"},
    "docs/own-project.md": {
        "carbrand init cars": "installs from a package index; test_own_project.py runs it",
        "carbrand init --update": "needs a newer carbrand; test_own_project.py makes one",
    },
    MODELS: {
        "carbrand predict photos --csv": "needs a folder of photos: test_predict_many.py runs both",
        "carbrand export": "installs from a package index; test_export.py runs the command",
    },
    "docs/container.md": {
        "--target serve": "needs Docker: test_container.py reads what would be built and run",
        "--target pipeline": "needs Docker",
    },
    "docs/drift.md": {
        "carbrand serve --log": "needs a server at work: test_drift_command.py runs both",
        "carbrand suggest": "needs a folder of new photos: test_suggest.py runs it",
    },
    "docs/serve.md": {"curl ": "needs a server at work: test_serve.py asks one the same"},
    RETRAINING: {
        "gh workflow enable": "needs a repository on GitHub; test_workflows.py reads the workflows",
        "gh workflow run": "needs a repository on GitHub",
    },
}


def recipe(document: str, piece: str) -> str:
    (found,) = (text for text in recipes(document) if piece in text)
    return found


@pytest.mark.parametrize("document", documents())
def test_every_recipe_is_run_or_it_is_said_why_not(document):
    pieces = [*RUN.get(document, ()), *NOT_RUN.get(document, ())]
    found = [[piece for piece in pieces if piece in text] for text in recipes(document)]
    assert [piece for (piece,) in found] == sorted(pieces, key=[p for (p,) in found].index)
    assert len(found) == len(pieces)


def assert_clean(project: Path) -> None:
    assert git(project, "status", "--porcelain") == ""


def assert_settled(project: Path) -> None:
    """Everything is committed, and another run finds nothing to do."""
    assert_clean(project)
    done = run([sys.executable, "-m", "stages"], project)  # as `make repro` does
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Data and pipelines are up to date." in done.stdout
    assert_clean(project)


def clone(project: Path, target: Path) -> Path:
    """A clone with an environment, and nothing of DVC's cache."""
    git(project.parent, "clone", "-q", str(project), str(target))
    give_environment(target)
    return target


@pytest.fixture
def ran(finished: Path) -> Path:
    """A project that ran, with its environment and a bare repository to push to."""
    git(finished, "clone", "-q", "--bare", str(finished), f"{finished}.git")
    git(finished, "remote", "add", "origin", f"{finished}.git")
    git(finished, "push", "-q", "--set-upstream", "origin", "main")
    give_environment(finished)
    return finished


def test_predicting(ran):
    (ran / "my_photos").mkdir()
    draw_photo((200, 30, 30), 5).save(ran / "my_photos/a.png")
    text = recipe(README, "carbrand predict Datasets/")
    said = follow(text, ran, {"Datasets/test/audi/003.jpg": "Datasets/test/asta/000.png"})
    assert said.startswith("Datasets/test/asta/000.png: ")
    shutil.rmtree(ran / "my_photos")
    text = recipe(README, "make repro     #")
    assert "Data and pipelines are up to date." in follow(text, ran, {"make test ": "true "})
    assert_clean(ran)


def test_photos_of_ones_own_are_committed_with_what_came_of_them(other_photos, tmp_path):
    project = copy_made(other_photos, tmp_path / "project")
    assert "?? Datasets/test/cirro/new.png" in git(project, "status", "--porcelain")
    follow(recipe(README, "git add Datasets dvc.lock artifacts"), project)
    assert_clean(project)
    git(tmp_path, "clone", "-q", str(project), "clone")
    assert (tmp_path / "clone/Datasets/test/cirro/new.png").exists()


def test_photos_of_another_shape_are_imported(ran, tmp_path):
    draw_dataset(tmp_path / "photos", train=9, test=0)  # three of each are new
    said = follow(recipe(IMPORT, "carbrand import"), ran, {"~/photos": str(tmp_path / "photos")})
    assert said.count("brand  ") == 2
    assert_clean(ran)
    assert (ran / "Datasets/imported.csv").exists()


@pytest.fixture(scope="module")
def stored(storage: Storage, _finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after the recipe that brings photos and artifacts into a store."""
    project = tmp_path_factory.mktemp("stored") / "project"
    copy_made(_finished, project)
    give_environment(project)
    endpoint = {"https://s3.example.com": storage.address}
    follow(recipe(STORAGE, "dvc remote add -d store"), project, endpoint)
    return project


@in_torture  # in every run, test_object_storage.py
def test_photos_in_a_store_change_nothing_but_where_they_are(stored):
    assert_settled(stored)
    assert git(stored, "diff", "--name-only", "HEAD~", "--", "dvc.lock") == ""


@in_torture  # in every run, test_object_storage.py
def test_a_new_clone_gets_everything_from_the_store(stored, tmp_path):
    new = clone(stored, tmp_path / "clone")
    said = follow(recipe(STORAGE, "dvc repro --pull"), new)
    assert "Running stage" not in said
    assert_settled(new)


@in_torture  # in every run, test_object_storage.py
def test_imported_photos_and_those_of_later(ran, other_photos, storage, tmp_path):
    def upload(photos: Path) -> None:
        for path in sorted((photos / "Datasets").glob("*/*/*.png")):
            storage.upload(path, f"photos/{path.relative_to(photos / 'Datasets').as_posix()}")

    upload(ran)
    follow(f". .venv/bin/activate && dvc remote add -d kept {tmp_path / 'kept'}", ran)
    git(ran, "commit", "-qam", "a store")
    first, later = recipe(STORAGE, "dvc import-url").split("# later\n")
    follow(first, ran, {"https://s3.example.com": storage.address})
    assert_clean(ran)

    upload(other_photos)
    remember(ran, other_photos)
    follow(f". .venv/bin/activate\n{later}", ran)
    assert_settled(ran)
    assert (ran / "dvc.lock").read_bytes() == (other_photos / "dvc.lock").read_bytes()


@pytest.fixture
def knows_penalty(ran: Path, _penalty: Path) -> None:
    """DVC has the run with another train.l2."""
    remember(ran, _penalty)


@pytest.mark.usefixtures("knows_penalty")
def test_two_branches_are_compared_and_merged(ran):
    edit = "&& sed -i 's/ l2: 0.0003/ l2: 0.05/' params.yaml"
    text = recipe(README, "dvc metrics diff main stricter")
    said = follow(text, ran, {"# then set train.l2: 0.1 in params.yaml": edit})
    assert "0.0003" in said
    assert "0.05" in said
    assert_clean(ran)

    git(ran, "checkout", "-q", "main")
    edit_params(ran, plot__dpi=51)
    assert run([sys.executable, "-m", "stages"], ran).returncode == 0
    git(ran, "commit", "-qam", "51")
    follow(recipe(EXPERIMENTS, "git merge stricter"), ran)
    assert_settled(ran)


@in_torture  # in every run, test_experiments.py and test_sweep.py
@pytest.mark.usefixtures("knows_penalty")
def test_experiments_are_compared_and_one_is_applied(ran):
    values = {"l2=0.01": "l2=0.05", "l2=0.0001": "l2=0.0003"}
    said = follow(recipe(README, "make experiments "), ran, values)
    rows = [line.split() for line in said.splitlines()]
    assert ["train.l2=0.05"] in [row[-1:] for row in rows if row[:1] == ["strong"]]
    assert ["none"] in [row[-1:] for row in rows if row[:1] == ["weak"]]
    assert "l2: 0.05" in (ran / "params.yaml").read_text("utf-8")
    assert_clean(ran)


@in_torture  # in every run, test_registry.py
def test_a_model_is_put_into_use(ran):
    draw_photo((200, 30, 30), 5).save(ran / "photo.jpg")
    said = follow(
        recipe(MODELS, "carbrand promote"), ran, {"photo.jpg": "Datasets/test/asta/000.png"}
    )
    assert "Datasets/test/asta/000.png: asta " in said


@in_torture  # in every run, test_retrain.py
def test_retraining_from_a_fork_to_the_first_model_in_use(ran, storage, tmp_path):
    # 3: nine test photos are not evidence enough.
    follow(recipe(RETRAINING, "carbrand retrain --dry-run"), ran, status=3)
    assert_clean(ran)
    endpoint = f"&& dvc remote modify store endpointurl {storage.address}\ndvc push --run-cache"
    text = recipe(RETRAINING, "dvc push --run-cache")
    follow(text, ran, {"\ndvc push --run-cache": endpoint, "bucket/path": "bucket/models"})
    assert_clean(ran)
    other = clone(Path(f"{ran}.git"), tmp_path / "other")
    follow(recipe(RETRAINING, "git pull && dvc pull"), other)
    assert git(other, "tag").split() == ["model#prod#1", "model@v0.0.1"]
    assert_clean(other)
