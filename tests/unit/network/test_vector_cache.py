"""Vectors are kept per photo: never stale, never torn, bounded, and the same bytes as without."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from carbrand.network import vector_cache
from carbrand.network.extraction import load_or_extract
from carbrand.network.keras_import import import_keras
from carbrand.network.vector_cache import VectorCache
from carbrand.node.params import read_section
from carbrand.photos.manifest import Row
from carbrand.vectors.vector_copies import PhotoSet, align_pairs
from stages import features
from stages.features import FeaturesParams
from tests.conftest import ROOT, draw_photo
from tests.pipeline.test_minimal_rerun import another_value
from tests.support.local_imports import local_imports

pytestmark = pytest.mark.usefixtures("on_tensorflow")

RECIPE = {"size_px": 64, "network": "abc"}


def arrays(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((3, 5), np.float32), rng.integers(0, 256, (4, 4), dtype=np.uint8)


def same(found: tuple[np.ndarray, ...] | None, expected: tuple[np.ndarray, ...]) -> bool:
    return found is not None and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found, expected, strict=True)
    )


def test_what_is_kept_is_found_again(tmp_path):
    file = tmp_path / "folder" / "v.sqlite"
    with VectorCache(file, RECIPE) as cache:
        assert cache.get("p1") is None
        cache.set("p1", *arrays(1))
        cache.set("p2", *arrays(2))
    with VectorCache(file, RECIPE) as cache:
        assert same(cache.get("p1"), arrays(1))
        assert same(cache.get("p2"), arrays(2))
        assert cache.get("p3") is None


@pytest.mark.parametrize("change", [{"size_px": 65}, {"network": "abd"}, {"more": 1}])
def test_another_recipe_finds_nothing(change, tmp_path):
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        cache.set("p", *arrays(1))
    with VectorCache(tmp_path / "v", RECIPE | change) as cache:
        assert cache.get("p") is None


def test_another_version_finds_nothing(tmp_path, monkeypatch):
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        cache.set("p", *arrays(1))
    monkeypatch.setattr(vector_cache, "version_of", lambda name: f"{name} of tomorrow")
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        assert cache.get("p") is None


def test_a_changed_byte_is_not_believed(tmp_path):
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        cache.set("p", *arrays(1))
    database = sqlite3.connect(tmp_path / "v")
    (content,) = database.execute("SELECT content FROM entries").fetchone()
    database.execute("UPDATE entries SET content = ?", (content[:-1] + bytes([content[-1] ^ 1]),))
    database.commit()
    database.close()
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        assert cache.get("p") is None


@pytest.mark.parametrize("content", [b"", b"no database at all" * 300])
def test_a_damaged_file_is_begun_anew(content, tmp_path):
    (tmp_path / "v").write_bytes(content)
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        assert cache.get("p") is None
        cache.set("p", *arrays(1))
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        assert same(cache.get("p"), arrays(1))


def test_a_torn_file_is_no_trouble(tmp_path):
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        for number in range(200):
            cache.set(f"p{number}", *arrays(number))
    whole = (tmp_path / "v").read_bytes()
    for length in range(0, len(whole), len(whole) // 23):
        (tmp_path / "v").write_bytes(whole[:length])
        with VectorCache(tmp_path / "v", RECIPE) as cache:
            found = cache.get("p150")
            assert found is None or same(found, arrays(150))
            cache.set("p150", *arrays(150))


def test_where_nothing_can_be_written_it_is_done_without(tmp_path):
    (tmp_path / "v").mkdir()  # no file can be here
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        cache.set("p", *arrays(1))
        assert same(cache.get("p"), arrays(1))


def test_the_oldest_entries_go_when_there_are_too_many_bytes(tmp_path):
    each = len(vector_cache._pack(arrays(0)))
    for number in range(500):
        if number % 250 == 0:
            with VectorCache(tmp_path / "v", RECIPE, max_bytes=300 * each) as cache:
                for fresh in range(number, number + 250):
                    cache.set(f"p{fresh}", *arrays(fresh))
    with VectorCache(tmp_path / "v", RECIPE) as cache:
        kept = [number for number in range(500) if cache.get(f"p{number}") is not None]
    assert kept == list(range(500 - len(kept), 500))
    assert 200 <= len(kept) <= 300


@pytest.fixture(scope="module")
def params() -> FeaturesParams:
    defaults = read_section(ROOT / "params.yaml", "features", FeaturesParams)
    return dataclasses.replace(defaults, size_px=64, views=2)


@pytest.fixture(scope="module")
def network(params, tmp_path_factory) -> Path:
    """The file that looks at the photos."""
    path = tmp_path_factory.mktemp("network") / "network.h5"
    features.save_network(path, params)
    return path


@pytest.fixture
def rows(tmp_path) -> list[Row]:
    """Eleven photos: more than a batch."""
    found = []
    for number in range(11):
        path = tmp_path / f"{number:02}.png"
        draw_photo((90, 60, 200), number).save(path)
        found.append(Row(str(path), "train", "a", 48, 36, pixel_sha256=f"{number:064x}"))
    return found


# Compiled once for all tests.
open_network = cache(features.open_network)


def look(rows, network: Path, params, folder: Path) -> tuple[np.ndarray, ...]:
    """Vectors and thumbnails of the photos."""
    engine = open_network(network, params)
    extract_photos = partial(features.extract_photos, network=engine, params=params)
    with VectorCache(folder / "vectors.sqlite", features.cache_recipe(network, params)) as kept:
        looks = load_or_extract(rows, extract_photos, kept)
        return tuple(np.stack(part) for part in zip(*looks, strict=True))


def test_with_and_without_it_the_bytes_are_the_same(rows, network, params, tmp_path):
    """Whatever was there before: a photo's vectors do not depend on those beside it in a batch."""
    whole = look(rows, network, params, tmp_path / "none")
    for already in ([3], [0, 1, 2, 9], range(11)):
        folder = tmp_path / f"some{len(already)}"
        look([rows[number] for number in already], network, params, folder)
        for some, expected in zip(look(rows, network, params, folder), whole, strict=True):
            assert some.tobytes() == expected.tobytes()


def test_a_photo_that_is_known_is_not_opened(rows, network, params, tmp_path):
    whole = look(rows, network, params, tmp_path)
    for row in rows:
        Path(row.path).unlink()
    again = look(rows[::-1], network, params, tmp_path)
    assert again[0][::-1].tobytes() == whole[0].tobytes()
    shutil.rmtree(tmp_path)
    with pytest.raises(Exception, match=r"\.png"):
        look(rows, network, params, tmp_path / "empty")


def test_all_code_that_makes_vectors_is_part_of_the_key():
    used = {Path(path).parts[1] for path in local_imports(ROOT / "stages/features.py")}
    # How files are written, errors are worded and processes end changes no vector.
    assert set(features.CODE) == used - {"node", "features.py"}


def test_pairs_that_were_laid_over_one_another_are_not_laid_again(rows, network, params, tmp_path):
    looks = look(rows, network, params, tmp_path)
    photos = PhotoSet(rows, looks[0][:, 0], looks[1])
    candidates = [(one, other) for one in range(len(rows)) for other in range(one + 1)]
    with VectorCache(tmp_path / "v", RECIPE) as kept:
        first = list(features.load_or_align(photos, photos, candidates, kept))
        blank = dataclasses.replace(photos, thumbnails=np.zeros_like(photos.thumbnails))
        again = list(features.load_or_align(blank, blank, candidates, kept))
    assert again == first == list(align_pairs(photos, photos, candidates))
    assert sum(overlay.agrees for overlay in first) >= len(rows)  # each on itself


@pytest.mark.parametrize("field", dataclasses.fields(FeaturesParams), ids=lambda field: field.name)
def test_no_parameter_finds_what_another_value_kept(field, params, tmp_path):
    """Nothing stale: each of them is a part of the key."""
    changed = dataclasses.replace(
        params, **{field.name: another_value(field, getattr(params, field.name))}
    )
    with VectorCache(tmp_path / "v", dataclasses.asdict(params)) as cache:
        cache.set("p", *arrays(1))
    with VectorCache(tmp_path / "v", dataclasses.asdict(changed)) as cache:
        assert cache.get("p") is None


def test_another_weight_makes_another_network(network, params, tmp_path):
    described = features.cache_recipe(network, params)
    again = tmp_path / "again.h5"
    features.save_network(again, params)
    assert features.cache_recipe(again, params) == described
    other = import_keras().models.load_model(network, compile=False)
    weights = other.get_weights()
    weights[5] = weights[5] + np.float32(1e-6)
    other.set_weights(weights)
    other.save(again)
    assert features.cache_recipe(again, params) != described


def test_a_damaged_entry_is_looked_at_again(rows, network, params, tmp_path):
    whole = look(rows, network, params, tmp_path / "v")
    database = sqlite3.connect(tmp_path / "v" / "vectors.sqlite")
    database.execute("UPDATE entries SET content = x'00' WHERE rowid % 3 = 0")
    database.commit()
    database.close()
    for found, expected in zip(look(rows, network, params, tmp_path / "v"), whole, strict=True):
        assert found.tobytes() == expected.tobytes()
