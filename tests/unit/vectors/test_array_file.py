"""Arrays go to files row by row, and come back without being read whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from carbrand.vectors.array_file import open_rows, select_rows, write_rows


def draw(count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (count, 2, 3)).astype(np.float32)
    return vectors, rng.integers(0, 256, (count, 4, 4)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 5])
def test_files_written_row_by_row_are_those_of_numpy_to_the_byte(tmp_path, count):
    arrays = draw(count)
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    write_rows(paths, zip(*arrays, strict=True), count)
    for path, array in zip(paths, arrays, strict=True):
        np.save(tmp_path / "whole.npy", array)
        assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error_and_not_the_end_of_the_process():
    """Written through a mapping, it would be a signal that kills it."""
    vectors = np.zeros((300, 1000), np.float32)  # more than any buffer holds back
    with pytest.raises(OSError, match="No space left"):
        write_rows([Path("/dev/full")], ((row,) for row in vectors), len(vectors))


def test_what_was_written_comes_back_mapped_and_cannot_be_changed(tmp_path):
    vectors, _ = draw()
    write_rows([tmp_path / "a.npy"], ((row,) for row in vectors), len(vectors))
    mapped = open_rows(tmp_path / "a.npy")
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == vectors.dtype
    assert np.array_equal(mapped, vectors)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 0


def test_a_row_is_on_its_way_to_the_file_before_the_next_is_asked_for(tmp_path):
    """What was asked for is not kept: a row may be reused for the next."""
    row = np.zeros(3, np.float32)

    def one_after_the_other():
        for number in range(4):
            row[:] = number
            yield (row,)

    write_rows([tmp_path / "a.npy"], one_after_the_other(), 4)
    assert open_rows(tmp_path / "a.npy")[:, 0].tolist() == [0, 1, 2, 3]


def test_a_file_that_could_run_code_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Pp]ython objects"):
        open_rows(tmp_path / "a.npy")


@pytest.mark.parametrize("rows", [[], [0, 2], [4], [3, 1, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]])
def test_chosen_rows_are_those_that_were_asked_for_in_that_order(tmp_path, rows):
    vectors, _ = draw()
    np.save(tmp_path / "a.npy", vectors)
    chosen = select_rows(open_rows(tmp_path / "a.npy"), rows)
    assert np.array_equal(chosen, vectors[rows])
    assert chosen.dtype == vectors.dtype


def test_chosen_rows_outlast_the_file_they_came_from_and_leave_none_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    vectors, _ = draw()
    np.save(tmp_path / "a.npy", vectors)
    chosen = select_rows(open_rows(tmp_path / "a.npy"), [1, 3])
    (tmp_path / "a.npy").unlink()
    assert np.array_equal(chosen, vectors[[1, 3]])
    assert not list(tmp_path.iterdir())


def test_all_rows_are_not_copied(tmp_path):
    np.save(tmp_path / "a.npy", draw()[0])
    mapped = open_rows(tmp_path / "a.npy")
    assert select_rows(mapped, range(5)) is mapped
