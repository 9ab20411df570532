"""Weights out of a Keras .h5: three layouts, exact shapes, and nothing from outside the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from carbrand.network.weights.layer_weights import LayerWeights, read_layers
from carbrand.node.errors import UserError

KERNEL = np.arange(12, dtype="f4").reshape(3, 4)
BIAS = np.arange(4, dtype="f4")
GAMMA = np.ones(4, "f4")
EXPECTED: dict[str, list[tuple[int, ...]]] = {"conv": [(3, 4), (4,)], "bn": [(4,)]}
Layers = dict[str, dict[str, np.ndarray]]
LAYERS: Layers = {
    "conv": {"kernel:0": KERNEL, "bias:0": BIAS},
    "relu": {},
    "bn": {"gamma:0": GAMMA},
}


def write_older(root: h5py.Group, layers: Layers = LAYERS) -> None:
    """As `save_weights` of Keras 1 and 2 writes it."""
    root.attrs["layer_names"] = [layer.encode() for layer in layers]
    for layer, weights in layers.items():
        group = root.create_group(layer)
        group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in weights]
        for name, values in weights.items():
            group[f"{layer}/{name}"] = values


def write_saved_model(file: h5py.File) -> None:
    """As `model.save("x.h5")` writes it."""
    file.attrs["model_config"] = '{"class_name": "Lambda", "config": "trap"}'
    write_older(file.create_group("model_weights"))


def write_keras3(file: h5py.File) -> None:
    """As `save_weights("x.weights.h5")` of Keras 3 writes it."""
    for key, layer in (("conv2d", "conv"), ("re_lu", "relu"), ("batch_normalization_7", "bn")):
        group = file.create_group(f"layers/{key}/vars")
        group.attrs["name"] = layer
        for number, values in enumerate(LAYERS[layer].values()):
            group[str(number)] = values


def write_split_names(file: h5py.File) -> None:
    """As Keras writes names that are too long for one attribute."""
    write_older(file)
    names = list(file.attrs["layer_names"])
    del file.attrs["layer_names"]
    file.attrs["layer_names0"] = names[:2]
    file.attrs["layer_names1"] = names[2:]


def read(path: Path) -> LayerWeights:
    return read_layers(path, "testnet", EXPECTED, frozenset({"top"}))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        read(path)
    (line,) = refused.value.problems
    assert line.isprintable()
    assert str(path) in line
    return line


@pytest.mark.parametrize("write", [write_older, write_saved_model, write_keras3, write_split_names])
def test_all_layouts_give_the_same_weights(
    write: Callable[[h5py.File], None], tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write(file)
    stored = read(tmp_path / "w.h5")
    assert stored.layers == {"conv", "relu", "bn"}
    assert list(stored.arrays) == ["conv", "bn"]
    np.testing.assert_array_equal(stored.arrays["conv"][0], KERNEL)
    np.testing.assert_array_equal(stored.arrays["conv"][1], BIAS)
    np.testing.assert_array_equal(stored.arrays["bn"][0], GAMMA)


def test_a_known_top_is_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_older(file, {**LAYERS, "top": {"kernel:0": KERNEL}})
    assert set(read(tmp_path / "w.h5").arrays) == {"conv", "bn"}


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({"conv": LAYERS["conv"]}, "missing layers: bn"),
        ({**LAYERS, "bn": {}}, "missing layers: bn"),
        ({**LAYERS, "conv2": {"kernel:0": KERNEL}}, "layers it should not have: conv2"),
        (
            {**LAYERS, "conv": {"kernel:0": KERNEL.T, "bias:0": BIAS}},
            "wrong shapes: conv (expected 3×4 4, received 4×3 4)",
        ),
        ({**LAYERS, "conv": {"kernel:0": KERNEL}}, "conv (expected 3×4 4, received 3×4)"),
        ({**LAYERS, "bn": {"gamma:0": np.array(1, "f4")}}, "bn (expected 4, received scalar)"),
    ],
)
def test_weights_of_another_network_are_refused_by_what_differs(
    layers: Layers, said: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_older(file, layers)
    line = refusal(tmp_path / "w.h5")
    assert said in line
    assert "testnet" in line


def test_many_differences_fit_on_one_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_older(file, {f"other{i:04d}": {"kernel:0": KERNEL} for i in range(500)})
    line = refusal(tmp_path / "w.h5")
    assert "other0000, other0001, other0002 and 497 more" in line
    assert len(line) < 500


def replace_kernel(file: h5py.File, make: Callable[[h5py.Group], object]) -> None:
    write_older(file)
    del file["conv/conv/kernel:0"]
    make(file["conv/conv"])


def external_storage(group: h5py.Group) -> None:
    outside = Path(group.file.filename).with_name("secret.bin")
    outside.write_bytes(KERNEL.tobytes())
    group.create_dataset("kernel:0", (3, 4), "f4", external=[(str(outside), 0, 48)])


def virtual_dataset(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "kernel", (3, 4))
    group.create_virtual_dataset("kernel:0", layout)


BENT: dict[str, tuple[Callable[[h5py.Group], object], str]] = {
    "a soft link": (lambda g: g.__setitem__("kernel:0", h5py.SoftLink("/bn/bn/gamma:0")), "link"),
    "a dangling link": (lambda g: g.__setitem__("kernel:0", h5py.SoftLink("/no")), "link"),
    "another file": (
        lambda g: g.__setitem__("kernel:0", h5py.ExternalLink("secret.h5", "/kernel")),
        "link",
    ),
    "external storage": (external_storage, "not stored as one plain run"),
    "a virtual dataset": (virtual_dataset, "not stored as one plain run"),
    "compression": (
        lambda g: g.create_dataset("kernel:0", data=KERNEL, compression="gzip"),
        "not stored as one plain run",
    ),
    "chunks": (
        lambda g: g.create_dataset("kernel:0", data=KERNEL, chunks=(1, 4)),
        "not stored as one plain run",
    ),
    "numbers never written": (
        lambda g: g.create_dataset("kernel:0", (3, 4), "f4"),
        "not stored as one plain run",
    ),
    "an array of a terabyte": (
        lambda g: g.create_dataset("kernel:0", (2**20, 2**18), "f4"),
        "received 1048576×262144",
    ),
    "doubles": (lambda g: g.__setitem__("kernel:0", KERNEL.astype("f8")), "float64"),
    "halves": (lambda g: g.__setitem__("kernel:0", KERNEL.astype("f2")), "float16"),
    "big-endian": (lambda g: g.__setitem__("kernel:0", KERNEL.astype(">f4")), ">f4"),
    "integers": (lambda g: g.__setitem__("kernel:0", KERNEL.astype("i4")), "int32"),
    "texts": (lambda g: g.create_dataset("kernel:0", (3, 4), h5py.string_dtype()), "object"),
    "a group": (lambda g: g.create_group("kernel:0"), "is no array"),
    "a type": (lambda g: g.__setitem__("kernel:0", np.dtype("f4")), "is no array"),
    "nothing": (lambda g: g.create_dataset("kernel:0", data=h5py.Empty("f4")), "received scalar"),
    "NaN": (
        lambda g: g.__setitem__("kernel:0", np.where(KERNEL == 3, np.nan, KERNEL).astype("f4")),
        "not finite",
    ),
    "infinity": (
        lambda g: g.__setitem__("kernel:0", np.where(KERNEL == 3, -np.inf, KERNEL).astype("f4")),
        "not finite",
    ),
}


@pytest.mark.parametrize("case", BENT)
def test_an_array_that_is_not_plainly_there_is_refused(case: str, tmp_path: Path) -> None:
    make, said = BENT[case]
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = KERNEL  # what a followed link would find
    with h5py.File(tmp_path / "w.h5", "w") as file:
        replace_kernel(file, make)
    assert said in refusal(tmp_path / "w.h5")


def test_a_group_behind_a_link_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        write_older(file.create_group("model_weights"))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")
    assert "link" in refusal(tmp_path / "w.h5")


ATTRIBUTES: dict[str, object] = {
    "missing": None,
    "a number": 3,
    "a text": "conv",
    "numbers": [1, 2, 3],
    "empty": h5py.Empty("f4"),
    "twice the same": [b"conv", b"conv"],
    "not UTF-8": [b"conv", b"\xff\xfe"],
    "a path upwards": [b"conv", b"../bn"],
    "an absolute path": [b"conv", b"/bn"],
    "no name": [b"conv", b""],
    "a dot": [b"conv", b"."],
    "a terminal code": [b"conv", b"\x1b[2Jbn"],
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_names_that_are_no_names_are_refused(case: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_older(file)
        del file.attrs["layer_names"]
        if ATTRIBUTES[case] is not None:
            file.attrs["layer_names"] = ATTRIBUTES[case]
    refusal(tmp_path / "w.h5")


@pytest.mark.parametrize("write", [write_older, write_keras3])
def test_a_file_cut_short_is_refused(write: Callable[[h5py.File], None], tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        write(file)
    whole = path.read_bytes()
    for end in range(0, len(whole), 401):
        path.write_bytes(whole[:end])
        refusal(path)
