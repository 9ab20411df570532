"""What many tests need: drawn photos, a small project that ran, and the article's photos."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from carbrand.dataset import find_files
from carbrand.quiet_keras import import_keras
from carbrand.sample import SIGNATURE

ROOT = Path(__file__).parent.parent
ARTICLE_PHOTOS = ROOT.parent / "shared" / "datasets" / "car-brands-3"
# Set for tests that cannot share their process with TensorFlow.
WITHOUT_TENSORFLOW = "TESTS_WITHOUT_TENSORFLOW"
PAINTS = {"asta": (200, 30, 30), "bolt": (30, 60, 200), "cirro": (30, 160, 60)}


@pytest.fixture(scope="session", autouse=True)
def _keras_on_tensorflow() -> None:
    """Tests of one process share one Keras, which can be on one backend only."""
    if WITHOUT_TENSORFLOW not in os.environ:
        import_keras()


@pytest.fixture(scope="session")
def article_photos() -> Path:
    """The article's own 122 photos; scraped from the web, so they are in no repository."""
    if not ARTICLE_PHOTOS.is_dir():
        pytest.skip("needs the article's photos in ../shared/datasets/car-brands-3")
    return ARTICLE_PHOTOS


@pytest.fixture(scope="session")
def sample_in_place() -> None:
    """For tests of the committed sample and of what was committed with it."""
    photos = [file.path for file in find_files(ROOT / "Datasets", "") if file.is_photo]
    if not all(SIGNATURE in Path(path).read_bytes()[:200] for path in photos):
        pytest.skip("Datasets holds photos of your own, not the drawn sample")


def draw_photo(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (48, 36)):
    """A noisy photo in one colour; another seed, another photo."""
    noise = np.random.default_rng(seed).normal(0, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def draw_dataset(folder: Path, train: int = 6, test: int = 3) -> Path:
    """`folder`/train and `folder`/test with brands that a child could tell apart."""
    for split, count in (("train", train), ("test", test)):
        for label, (brand, paint) in enumerate(PAINTS.items()):
            target = folder / split / brand
            target.mkdir(parents=True)
            for number in range(count):
                seed = 1000 * label + 100 * (split == "test") + number
                draw_photo(paint, seed).save(target / f"{number:03}.png")
    return folder


def edit_params(project: Path, **changes: object) -> None:
    """Set params of a project: `features__views=3`. Comments get lost, which tests can bear."""
    file = project / "params.yaml"
    params = yaml.safe_load(file.read_text("utf-8"))
    for name, value in changes.items():
        section, key = name.split("__")
        params[section][key] = value
    file.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")


# Importing Keras in this process sets some; a user's shell has none of them.
SET_BY_TESTS = {"PYTHONPATH", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"}
# Every process of every test would compile the whole project again.
SET_BY_TESTS |= {"PYTHONDONTWRITEBYTECODE"}


def run(
    command: list[str], cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in this environment, where `python` and `dvc` are found; its output is captured."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if name not in SET_BY_TESTS}
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )


def git(project: Path, *arguments: str) -> str:
    """Git with a name and without the user's configuration."""
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid"]
    result = run(["git", *who, *arguments], project, {"GIT_CONFIG_GLOBAL": os.devnull})
    assert result.returncode == 0, result.stderr
    return result.stdout


# What a run, an editor or a user of this very folder left behind; photos and weights are extra.
MADE_HERE = shutil.ignore_patterns(
    *(".venv", ".git", "artifacts", "Datasets", "dvc.lock", "__pycache__", ".*_cache", "*.h5"),
    *("cache", "tmp", "config.local", "dvc_plots", ".vectors", ".retrain", "comparison"),
)


def copy_project(target: Path) -> Path:
    """The project as it is in a new clone or archive, without photos, artifacts and dvc.lock."""
    return Path(shutil.copytree(ROOT, target, ignore=MADE_HERE))


def make_project(target: Path) -> Path:
    """A copy of the project with a few drawn photos and params that take seconds."""
    copy_project(target)
    draw_dataset(target / "Datasets")
    edit_params(target, features__size_px=64, features__views=2, train__epochs=5, plot__dpi=50)
    git(target, "init", "-q", "-b", "main")
    git(target, "add", "-A")
    git(target, "commit", "-qm", "start")
    return target


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    git(project, "add", "-A")
    git(project, "commit", "-qm", "first run")
    return project


@pytest.fixture
def finished(_finished: Path, tmp_path: Path) -> Path:
    """A project of one's own in which the pipeline ran and was committed."""
    return Path(shutil.copytree(_finished, tmp_path / "project", symlinks=True))


def find_browser() -> str:
    """The program; without one, a test is skipped, in CI it fails."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        message = f"no browser on PATH (any of {', '.join(names)})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return program


@pytest.fixture
def photo_file(tmp_path: Path) -> Callable[..., Path]:
    """Draws a photo into a file of the test's folder: `photo_file("a.png", colour, seed)`."""

    def draw(name: str, colour: tuple[int, int, int] = (200, 30, 30), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(colour, seed).save(path)
        return path

    return draw
