"""What no other test had seen of the faults in `mutants.py`: the nodes, run in this process."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from aiohttp.test_utils import TestClient

from carbrand.export.agreement import Agreement, Tolerance
from carbrand.model.classifier import Classifier
from carbrand.network.architecture import efficientnet_lite
from carbrand.network.keras_import import import_keras
from carbrand.network.views import make_test_views
from carbrand.node import code
from carbrand.node.errors import UserError, exit_status
from carbrand.node.params import read_section
from carbrand.photos.manifest import Row, read_manifest
from carbrand.photos.photo import open_photo
from carbrand.release.gate.decision import Verdict
from carbrand.scores.evaluation import PredictedPhoto, score_brand
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.serve.upload import Uploads
from carbrand.serve.workers import Workers
from carbrand.vectors.feature_store import Features, Recipe, read_features
from stages import evaluate, features, finetune, plot, train, validate
from tests.conftest import ROOT, draw_dataset, edit_params
from tests.pipeline.test_minimal_rerun import another_value
from tests.support.serving import Answering, visit
from tests.support.small_networks import save_own_backbone

NODES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
MAINS: dict[str, Callable[..., None]] = {
    "validate": validate.main,
    "features": features.main,
    "train": train.main,
    "finetune": finetune.main,
    "evaluate": evaluate.main,
    "plot": plot.main,
}


@dataclass(frozen=True)
class Ran:
    """A folder in which all nodes ran, and which of its files each of them opened to read."""

    folder: Path
    opened: dict[str, set[str]]


class Watch:
    """Notes which files are opened to read, while it is told where. (No hook can be removed.)"""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._opened: set[str] = set()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder is None or event != "open" or not isinstance(arguments[0], str):
            return
        path, mode, flags = arguments
        if (mode and set(mode) & set("wax+")) or (mode is None and flags & 0o3):
            return
        whole = self._folder / path
        if whole.is_relative_to(self._folder):
            self._opened.add(whole.relative_to(self._folder).as_posix())

    @contextmanager
    def of(self, folder: Path) -> Iterator[set[str]]:
        """The files below `folder`, by their path there."""
        self._folder, self._opened = folder, set()
        try:
            yield self._opened
        finally:
            self._folder = None


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The pipeline without DVC, on drawn photos that are no squares and are cropped to one."""
    folder = tmp_path_factory.mktemp("ran").resolve()
    draw_dataset(folder / "Datasets", train=4, test=2)
    for split in ("train", "test"):  # a leak, and a photo that stays out
        shutil.copy(
            folder / "Datasets/train/asta/000.png", folder / f"Datasets/{split}/asta/zz.png"
        )
    (folder / "weights").mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    import_keras()  # on TensorFlow, before a node takes another backend
    save_own_backbone(str(folder / "weights/small.h5"))
    edit_params(
        folder,
        features__backbone="weights/small.h5",
        features__size_px=64,
        features__views=2,
        features__resize="crop",
        train__epochs=5,
        plot__dpi=50,
    )
    watch = Watch()
    opened: dict[str, set[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for node, main in MAINS.items():
            with watch.of(folder) as files:
                main(*map(Path, NODES[node]["cmd"].split()[3:]))
            opened[node] = files
    return Ran(folder, opened)


def declared(node: str) -> list[Path]:
    """What DVC knows that a node reads and writes."""
    entries = [
        entry
        for kind in ("deps", "outs", "metrics", "plots")
        for entry in NODES[node].get(kind, [])
    ]
    return [Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in entries]


@pytest.mark.parametrize("node", NODES)
def test_a_node_opens_no_file_that_is_not_its_dependency(ran, node):
    """Otherwise that file could change, and `dvc repro` would not run the node."""
    mine = declared(node)
    strange = {
        name
        for name in ran.opened[node]
        if not any(own in (Path(name), *Path(name).parents) for own in mine)
    }
    assert {name for name in strange if not name.startswith(".vectors/")} == {"params.yaml"}
    assert len(ran.opened[node]) > 1


@pytest.mark.parametrize("node", NODES)
def test_whatever_a_command_names_is_a_dependency_or_comes_out(node):
    """Also what no hook hears of, as the files that HDF5 opens."""
    known = declared(node)
    for word in map(Path, NODES[node]["cmd"].split()[4:]):
        kept = word in (Path(".vectors"), Path(".training"), Path(".finetuning"))
        assert kept or any(word in (path, *path.parents) for path in known)


def test_only_kept_training_photos_are_learned_from(ran):
    rows = read_manifest(ran.folder / "artifacts/validate/manifest.csv")
    kept = [row.path for row in rows if row.split == "train" and row.status == "kept"]
    stored = read_features(ran.folder / "artifacts/features")
    assert stored.paths == kept
    assert len(kept) == 12  # without its copy
    assert all(
        Path(path).parent.name == brand
        for path, brand in zip(stored.paths, stored.photo_brands, strict=True)
    )


def test_the_model_sees_a_photo_as_it_was_learned_from(ran, monkeypatch):
    """The very vector: the same pixels, turned, squared and scaled in the same way."""
    monkeypatch.chdir(ran.folder)
    stored = read_features(Path("artifacts/features"))
    model = Classifier(Path("artifacts/finetune/model.h5"))
    said = dict(model.predict(stored.paths))
    for path, views in zip(stored.paths, stored.vectors, strict=True):
        np.testing.assert_allclose(said[path].vector, views[0], rtol=1e-4, atol=1e-4)
    assert (model.brands, model.resize) == (stored.brands, "crop")


def test_the_leaked_photo_is_predicted_and_not_counted(ran):
    photos, _ = read_predictions(ran.folder / "artifacts/evaluate/predictions.csv")
    metrics = json.loads((ran.folder / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    assert [photo.path for photo in photos if photo.leaked] == ["Datasets/test/asta/zz.png"]
    assert (metrics["images"], metrics["as_given"]["images"]) == (6, 7)


def test_precision_and_recall_are_not_each_other():
    """Of 3 photos of a brand 2 are found, and 2 of another brand are taken for it."""
    said = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "a"), ("b", "b")]
    photos = [PredictedPhoto("x.jpg", is_, says, 1.0, False, (0.5, 0.5)) for is_, says in said]
    scores = score_brand(photos, "a")
    assert (scores["precision"], scores["recall"]) == (2 / 4, 2 / 3)
    assert scores["f1"] == pytest.approx(4 / 7)


@pytest.fixture(scope="module")
def settings() -> train.TrainParams:
    return dataclasses.replace(
        read_section(ROOT / "params.yaml", "train", train.TrainParams), epochs=30, folds=3
    )


def clear(groups: list[str] | None = None) -> Features:
    """Vectors of three brands that anybody could tell apart, the rarest with 6 of 36 photos."""
    brands = ["asta"] * 18 + ["bolt"] * 12 + ["cirro"] * 6
    places = np.repeat(np.eye(3, 5), [18, 12, 6], axis=0)[:, None]
    vectors = places + np.random.default_rng(0).normal(0, 0.05, (36, 2, 5))
    paths = [f"{number:02}.png" for number in range(36)]
    recipe = Recipe("stretch", 64, (5,))
    return Features(
        vectors.astype(np.float32),
        paths,
        brands,
        paths,
        groups or paths,
        recipe,
        Path("network.h5"),
    )


def test_a_photo_is_learned_under_its_own_brand(settings):
    stored = clear()
    head = train.train(stored, settings)
    assert (head.held_out_logits.argmax(axis=1) == stored.labels).all()
    logits = stored.vectors[:, 0] @ head.kernel + head.bias
    assert (logits.argmax(axis=1) == stored.labels).all()


def test_copies_share_a_fold_of_the_node_too(settings):
    groups = [f"{number // 2:02}" for number in range(36)]
    folds = train.train(clear(groups), settings).folds
    assert (folds[::2] == folds[1::2]).all()
    assert len(set(folds)) == 3


def test_the_temperature_is_fitted_on_photos_held_out(settings):
    """Not on what the head has learned by heart: labels by chance are to be believed by nobody."""
    rng = np.random.default_rng(1)
    stored = dataclasses.replace(
        clear(),
        vectors=rng.normal(0, 1, (36, 1, 200)).astype(np.float32),
        recipe=Recipe("stretch", 64, (200,)),
    )
    by_heart = dataclasses.replace(settings, l2=0.001, label_smoothing=0.0)
    head = train.train(stored, by_heart)
    temperature, _ = train.calibrate(head, stored, by_heart)
    assert temperature > 2


@pytest.mark.parametrize("policy", ["stretch", "crop", "pad"])
def test_training_looks_at_the_photo_as_prediction_does(photo_file, policy):
    path = photo_file("wide.png")
    params = dataclasses.replace(
        read_section(ROOT / "params.yaml", "features", features.FeaturesParams),
        size_px=32,
        resize=policy,
        views=3,
    )
    row = Row(str(path), "train", "asta", 48, 36, pixel_sha256=f"{7:064x}")
    ((vectors, _),) = features.extract_photos(
        [row], lambda views: ((v.copy(),) for v in views), params
    )
    assert (vectors[0] == make_test_views(open_photo(path), 32, policy, "plain")[0]).all()
    assert not (vectors[1] == vectors[0]).all()


def test_the_backbone_sees_numbers_about_zero():
    """As the EfficientNet-Lites were trained: (x - 127) / 128."""
    keras = import_keras()
    model = efficientnet_lite.build(
        keras, "efficientnet_lite0", 32, efficientnet_lite.Scaling(1.0, 1.0)
    )
    layer = model.get_layer("scale")
    scaled = [grey * layer.scale + layer.offset for grey in (0, 127, 255)]
    assert scaled == [-127 / 128, 0.0, 1.0]


def test_the_vectors_of_other_code_are_not_found(tmp_path, monkeypatch):
    """Any module of a room that a photo goes through has a say in the key of the cache."""
    rooms = [f"carbrand/{room}" for room in features.CODE]
    modules = [path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py")]
    through = [Path("stages/features.py"), *modules]
    for name in through:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    network = tmp_path / "network.h5"
    network.write_bytes(b"")
    params = read_section(ROOT / "params.yaml", "features", features.FeaturesParams)
    before = features.cache_recipe(network, params)
    monkeypatch.setattr(features, "__file__", str(tmp_path / "stages/features.py"))
    monkeypatch.setattr(code, "_PACKAGE", tmp_path / "carbrand")
    assert features.cache_recipe(network, params) == before
    for name in through:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole + b"#")
        assert features.cache_recipe(network, params) != before, name
        (tmp_path / name).write_bytes(whole)


# The engine that is chosen counts, not the word for it. Series come after the vectors.
@pytest.mark.parametrize(
    "field",
    [f for f in dataclasses.fields(features.FeaturesParams) if f.name not in ("engine", "series")],
    ids=lambda field: field.name,
)
def test_every_parameter_of_a_vector_is_part_of_its_key(field, tmp_path):
    network = tmp_path / "network.h5"
    network.write_bytes(b"")
    params = read_section(ROOT / "params.yaml", "features", features.FeaturesParams)
    value = another_value(field, getattr(params, field.name))
    changed = dataclasses.replace(params, **{field.name: value})
    assert features.cache_recipe(network, changed) != features.cache_recipe(network, params)


def test_how_alike_photos_of_a_series_are_computes_no_vector_anew(tmp_path):
    network = tmp_path / "network.h5"
    network.write_bytes(b"")
    params = read_section(ROOT / "params.yaml", "features", features.FeaturesParams)
    changed = dataclasses.replace(params, series=0.9)
    assert features.cache_recipe(network, changed) == features.cache_recipe(network, params)


@pytest.mark.parametrize(
    "worse",
    [{"same_brand": 98}, {"largest": 0.11}, {"mean": 0.02}],
    ids=lambda worse: next(iter(worse)),
)
def test_an_export_has_to_keep_all_three_tolerances(worse):
    demanded = Tolerance(same_brand=0.99, largest=0.1, mean=0.01)
    good = Agreement(photos=100, same_brand=99, largest=0.1, mean=0.01)
    assert good.keeps(demanded)
    assert not dataclasses.replace(good, **worse).keeps(demanded)


def test_a_photo_over_the_limit_is_refused_though_its_size_was_not_said():
    async def talk(client: TestClient, answering: Answering) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 50

        answering.may.set()
        assert (await client.post("/predict", data=pieces())).status == 413
        assert answering.begun == []

    visit(Uploads(100), Workers(1), talk)


@pytest.mark.parametrize(
    "headers",
    [{"Host": "cars.example"}, {"Origin": "https://cars.example"}],
    ids=["host", "page"],
)
def test_a_foreign_name_or_page_is_refused(headers):
    async def talk(client: TestClient, answering: Answering) -> None:
        answering.may.set()
        assert (await client.post("/predict", data=b"x", headers=headers)).status == 403
        assert answering.begun == []
        assert (await client.post("/predict", data=b"x")).status == 200

    visit(Uploads(100), Workers(1), talk)


def test_a_mistake_ends_with_status_2_and_a_verdict_with_its_own(capsys):
    """Scripts and CI know these numbers, so they are written out."""

    def mistake() -> int:
        raise UserError("x is wrong. Mend it.")

    assert (exit_status(mistake), exit_status(lambda: None)) == (2, 0)
    assert capsys.readouterr().err == "error: x is wrong. Mend it.\n"
    statuses = {verdict.value: verdict.exit_status for verdict in Verdict}
    assert statuses == {"promote": 0, "reject": 1, "not enough evidence": 3}
