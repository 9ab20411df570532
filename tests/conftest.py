"""What many tests need: drawn photos, a small project that ran, and the article's photos."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from carbrand.network.keras_import import import_keras
from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.node.files.metrics_file import write_metrics
from carbrand.photos.folders.files import find_files
from carbrand.pipeline.locks import held_within
from carbrand.scores.evaluation import PredictedPhoto, evaluate_photos
from carbrand.scores.files.predictions_file import read_predictions, write_predictions
from tests.support.copies import copy_made, lent
from tests.support.forked import TIMEOUT_S, Server
from tests.support.s3_server import Storage, storage_server
from tools.sample import SIGNATURE

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).parent.parent
ARTICLE_PHOTOS = ROOT.parent / "shared" / "datasets" / "car-brands-3"
PAINTS = {"asta": (200, 30, 30), "bolt": (30, 60, 200), "cirro": (30, 160, 60)}


# A folder in memory, where a test's thousands of small files cost a fifth of the system's time.
IN_MEMORY, ROOM = Path("/dev/shm"), 8 * 10**9


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start, also where `nohup` or a shell's background ignores it.

    Every process inherits that a signal is ignored, but not that a handler does nothing about it.
    And let tests have their folders in memory, where there is room.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
    if _is_roomy(IN_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def _is_roomy(folder: Path) -> bool:
    """Whether it has room, with as much memory to spare, and programs may run from it."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False
    about = os.statvfs(folder)
    room = min(about.f_bavail * about.f_frsize, psutil.virtual_memory().available)
    return room >= ROOM and not about.f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session")
def on_tensorflow() -> None:
    """For tests that import Keras: those of one process share it, and it has one backend."""
    import_keras()


@pytest.fixture(autouse=True)
def _keras_on_tensorflow() -> Iterator[None]:
    """Name the test after which no other of this process could use TensorFlow."""
    yield
    assert "keras" not in sys.modules or sys.modules.get("tensorflow"), (
        'needs pytest.mark.usefixtures("on_tensorflow")'
    )


def _variables_of_tools() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith(("DVC_", "GIT_"))}


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Name the test after which DVC or Git would do another thing in those that follow."""
    before = _variables_of_tools()
    yield
    assert _variables_of_tools() == before


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
    params = parse_yaml(file.read_text("utf-8"))
    for name, value in changes.items():
        section, key = name.split("__")
        params[section][key] = value
    file.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")


# Importing Keras or scikit-learn in this process sets some; a user's shell has none of them.
SET_BY_TESTS = {"PYTHONPATH", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"}
SET_BY_TESTS |= {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
# Every process of every test would compile the whole project again.
SET_BY_TESTS |= {"PYTHONDONTWRITEBYTECODE"}
# `make test ARGS=…` hands its arguments on to every make that a test starts.
SET_BY_TESTS |= {"ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"}


def own_environment() -> dict[str, str]:
    """A user's: `python` and `dvc` are found, and nothing is set by tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if name not in SET_BY_TESTS}
    return clean | {"PATH": path, "DVC_NO_ANALYTICS": "1"}


# The packages whose modules are forked where they are run, not started.
FORKED = ("dvc", "carbrand", "stages")
_server = Server(own_environment())


@pytest.fixture(autouse=True)
def _programs_are_forked() -> Iterator[None]:
    """Name the test after which this process would start every program at full cost."""
    yield
    assert _server.starts_like(own_environment()), "it set a variable for good: see SET_BY_TESTS"


def run(
    command: list[str], cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in this environment, where `python` and `dvc` are found; its output is captured."""
    environment = own_environment() | dict(env or {})
    if command[:2] == [sys.executable, "-m"] and command[2].split(".")[0] in FORKED:
        done = _server.run(command, cwd, environment)
        if done:
            return done
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
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
    *(
        "cache",
        "tmp",
        "config.local",
        "dvc_plots",
        ".vectors",
        ".training",
        ".made_by",
        ".retrain",
        "comparison",
    ),
)


def relock(project: Path, *paths: str) -> None:
    """Let dvc.lock say that nodes wrote, and others read, these files as they lie there now."""
    lock = project / "dvc.lock"
    content = yaml.safe_load(lock.read_text("utf-8"))
    for node in content["stages"].values():
        for entry in (*node.get("outs", ()), *node.get("deps", ())):
            if entry["path"] in paths:
                data = (project / entry["path"]).read_bytes()
                entry |= {"md5": hashlib.md5(data).hexdigest(), "size": len(data)}
    lock.write_text(yaml.safe_dump(content), "utf-8")


def rewrite_results(
    project: Path, change: Callable[[list[PredictedPhoto]], list[PredictedPhoto]]
) -> None:
    """Let the run have predicted something else, in all that it wrote of it and in dvc.lock."""
    predictions, metrics = (
        f"artifacts/evaluate/{name}" for name in ("predictions.csv", "metrics.json")
    )
    photos, brands = read_predictions(project / predictions)
    photos = change(photos)
    write_predictions(project / predictions, photos, brands)
    write_metrics(project / metrics, evaluate_photos(photos, brands, 10))
    relock(project, predictions, metrics)


def copy_project(target: Path) -> Path:
    """The project as it is in a new clone or archive, without photos, artifacts and dvc.lock."""
    return Path(shutil.copytree(ROOT, target, ignore=MADE_HERE))


def save_backbone(project: Path) -> str:
    """A small backbone of fixed random weights in the project's weights/; its name there."""
    name = "weights/small.h5"
    (project / "weights").mkdir(exist_ok=True)
    # In another process, for this one may be on TensorFlow, or on nothing yet.
    code = "import sys; from tests.support.small_networks import save_own_backbone as save; "
    command = [sys.executable, "-c", f"{code}save(sys.argv[1])", name]
    done = run(command, project, {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return name


def make_project(target: Path) -> Path:
    """A copy of the project with a few drawn photos, a small backbone and params for seconds."""
    copy_project(target)
    shutil.rmtree(target / "tests")  # a fifth of the files: nearly every test copies them
    draw_dataset(target / "Datasets")
    for name in ("corrections.csv", "groups.csv"):
        shutil.copy(ROOT / "Datasets" / name, target / "Datasets")
    backbone = save_backbone(target)
    edit_params(target, features__backbone=backbone, features__size_px=64, features__views=2)
    edit_params(target, train__epochs=5, plot__dpi=50)
    git(target, "init", "-q", "-b", "main")
    git(target, "add", "-A")
    git(target, "add", "-f", backbone)  # or no clone would have it
    git(target, "commit", "-qm", "start")
    return target


def remember(project: Path, *others: Path) -> None:
    """Let DVC know the runs of other projects, and only those: the same ones are not run again.

    For tests that are about what comes after a run.
    """
    cache = project / ".dvc" / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    for other in others:
        shutil.copytree(other / ".dvc" / "cache", cache, dirs_exist_ok=True, copy_function=_add)


def _add(source: str, target: str) -> None:
    if not Path(target).exists():  # files of a cache cannot be written to
        shutil.copy2(source, target)


def _finish(project: Path) -> None:
    make_project(project)
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    git(project, "add", "-A")
    git(project, "commit", "-qm", "first run")
    git(project, "gc", "-q")  # one file in place of hundreds: nearly every test copies them


@pytest.fixture(scope="session")
def made_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)`: this process's own copy of the folder that `make` makes.

    Of several processes, the first that needs it makes it for all.
    """
    everybodys = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of several, says the how-to of pytest-xdist
        everybodys = everybodys.parent

    def copy(name: str, make: Callable[[Path], object]) -> Path:
        folder = everybodys / f"made-once-{name}"
        folder.mkdir(exist_ok=True)
        with held_within(folder / "lock", 300):
            if not (folder / "whole").exists():
                shutil.rmtree(folder / "project", ignore_errors=True)
                make(folder / "project")
                (folder / "whole").touch()
        target = tmp_path_factory.mktemp(name) / "project"
        return Path(shutil.copytree(folder / "project", target, symlinks=True))

    return copy


@pytest.fixture(scope="session")
def _finished(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    return made_once("finished", _finish)


@pytest.fixture(scope="session")
def _penalty(_finished: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Finished on `main`, and on a branch `penalty`, which is checked out: train.l2 is another."""

    def make(project: Path) -> None:
        copy_made(_finished, project)
        git(project, "checkout", "-qb", "penalty")
        edit_params(project, train__l2=0.05)
        result = run([sys.executable, "-m", "stages"], project)
        assert result.returncode == 0, result.stdout + result.stderr
        git(project, "commit", "-qam", "penalty")

    return made_once("penalty", make)


def change_test_photos(project: Path) -> None:
    """Another photo under a known name, and a tenth one."""
    test = project / "Datasets" / "test"
    draw_photo((200, 30, 30), seed=77).save(test / "asta" / "000.png")
    draw_photo((30, 160, 60), seed=78).save(test / "cirro" / "new.png")


@pytest.fixture(scope="session")
def other_photos(
    _finished: Path, made_once: Callable[[str, Callable[[Path], object]], Path]
) -> Path:
    """A project that ran once more after `change_test_photos`, which is not committed."""

    def make(project: Path) -> None:
        copy_made(_finished, project)
        change_test_photos(project)
        result = run([sys.executable, "-m", "stages"], project)
        assert result.returncode == 0, result.stdout + result.stderr

    return made_once("other-photos", make)


@pytest.fixture
def finished(_finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A project of one's own in which the pipeline ran and was committed."""
    with lent(_finished, tmp_path / "project") as project:
        yield project


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """An S3 server with one empty bucket, and credentials of it in the environment."""
    with storage_server(tmp_path_factory.mktemp("storage")) as server:
        yield server


@pytest.fixture
def photo_file(tmp_path: Path) -> Callable[..., Path]:
    """Draws a photo into a file of the test's folder: `photo_file("a.png", colour, seed)`."""

    def draw(name: str, colour: tuple[int, int, int] = (200, 30, 30), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(colour, seed).save(path)
        return path

    return draw
