"""Reader of the weights in a Keras .h5 file, layer by layer, as arrays and nothing else.

Three layouts are known: `model.save("x.h5")`, the older `save_weights` (which the files of
keras.applications use), and Keras 3's `save_weights("x.weights.h5")`. All three name the layers.
A model's configuration in the file is not read: Keras would build what is in it.

The content of well-formed files is checked, and before the HDF5 library opens a file, what is known
to make that library loop for ever or take all memory. A file made or damaged for the purpose can
still crash it, so check the published hash of a file from a stranger.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np

from carbrand.node.errors import UserError
from carbrand.node.wording import first_few

Shape = tuple[int, ...]

_FLOAT32 = np.dtype("<f4")
_MAX_NAMES = 10_000  # of layers, and of weights in a layer
_SHOWN = 3  # problems of one kind that fit on one line
_MAX_REASON = 1000  # characters
_MAX_HEAPS = 1000  # of 4 KB and more; ResNet50 has two
_VIRTUAL = (b"\x03\x03", b"\x04\x03")  # layout messages, version and class
_LONG = 2**17  # the bytes before the shape of an array are below this number

# How a file begins that h5py makes unless it is told otherwise: versions 0 and 1 of the superblock,
# with numbers of 8 bytes, places counted from the start of the file (HDF5 format 3.0, II.A).
_SUPERBLOCKS = {0: 24, 1: 28}
_HEAP, _PACKED_HEAP = b"GCOL\x01", b"FRHP\x00"

# What h5py raises for files that are damaged or made to harm.
H5_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError)


@dataclass(frozen=True)
class LayerWeights:
    """float32 arrays by layer, in Keras's order, and the names of all layers in the file."""

    arrays: dict[str, list[np.ndarray]]
    layers: frozenset[str]


def read_layers(
    path: Path, what: str, expected: Mapping[str, list[Shape]], ignored: frozenset[str]
) -> LayerWeights:
    """The weights of the layers `expected`, which must have exactly these shapes and be finite.

    Other layers may have no weights, but for those `ignored`: ResNet101 has every layer of
    ResNet50, and more. `what` is the network, for the message. Links that leave the group they
    are in, data outside the file, and data that is stored packed are refused.

    Raises UserError: one line that says which weights are missing, mis-shaped or unknown.
    """
    try:
        with open_h5(path) as file:
            stored = stored_layers(path, file)
            _check_layers(path, what, stored, expected, ignored)
            arrays = {
                layer: [
                    read_array(path, f"{layer}, weight {i}", d) for i, d in enumerate(stored[layer])
                ]
                for layer in expected
            }
            return LayerWeights(arrays, frozenset(stored))
    except H5_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _refuse(path, f"it cannot be read ({reason})")


def open_h5(path: Path) -> h5py.File:
    """Open the file for reading. Raises H5_ERRORS, also where the library would never return."""
    _check_bytes(path.read_bytes())
    return h5py.File(path, "r")


def _check_bytes(data: bytes) -> None:
    """Raise OSError for what would make the HDF5 library run for ever or take all memory.

    Texts of variable length are in global heaps (HDF5 format 3.0, III.E); an attribute has the
    length of one, the address of its heap and its number there. The library walks a heap by the
    sizes stored in it, and allocates the length stored in an attribute.
    """
    base = _SUPERBLOCKS.get(data[8]) if data.startswith(b"\x89HDF\r\n\x1a\n") and data[8:] else None
    if base is None or data[13:15] != b"\x08\x08" or data[base : base + 8] != bytes(8):
        raise OSError("it is no HDF5 file of the kind that Keras writes")
    if _PACKED_HEAP in data:
        raise OSError("it keeps names in a heap that Keras does not use")
    heaps: dict[int, set[int]] = {}
    end = 0
    for at in _find_all(data, _HEAP):
        if at < end or len(heaps) == _MAX_HEAPS:
            raise OSError("its heaps of texts overlap, or are too many")
        heaps[at], end = _walk_heap(data, at)
    room = len(data)
    for heap, numbers in heaps.items():
        for at in _find_all(data, struct.pack("<Q", heap)):
            length, number = struct.unpack("<I8xI", data[at - 4 : at + 12].ljust(16, b"\0"))
            # The shape of an array looks the same, but lies at a multiple of 8; and so does the
            # layout of a virtual array, which is refused by those who read arrays.
            is_shape = at % 8 == 0 and length < _LONG
            is_layout = data[at - 2 : at] in _VIRTUAL
            if number in numbers and not is_shape and not is_layout:
                room -= length
        if room < 0:
            raise OSError("its texts are longer than the file")


def _find_all(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _walk_heap(data: bytes, start: int) -> tuple[set[int], int]:
    """The numbers of the texts in the global heap at `start`, and where it ends.

    Raises OSError where a walk over it would not end.
    """
    end = start + int.from_bytes(data[start + 8 : start + 16], "little")
    if end > len(data):
        raise OSError("a heap of texts is cut off")
    numbers, at = set(), start + 16
    while at + 16 <= end:
        number, size = struct.unpack_from("<H6xQ", data, at)
        # Number 0 is what is left, its own head included.
        step = size if number == 0 else 16 + (size + 7) // 8 * 8
        if step < 16 or at + step > end:
            raise OSError("a heap of texts is damaged")
        numbers.add(number)
        at += step
    return numbers - {0}, end


def read_text(group: h5py.Group, attribute: str) -> str:
    """A text that an attribute holds. Raises H5_ERRORS."""
    if not _is_text(group, attribute):
        raise TypeError(f"{attribute} is no text")
    text = group.attrs[attribute]
    if not isinstance(text, str):
        raise TypeError(f"{attribute} is no text")
    return text


def _is_text(group: h5py.Group, attribute: str) -> bool:
    """Texts, or an empty list of anything, as Keras writes one."""
    found = group.attrs.get_id(attribute)
    # The library can crash where it makes lists of other things.
    is_text = isinstance(found.get_type(), h5py.h5t.TypeStringID)
    return is_text or found.get_space().get_select_npoints() == 0


def _refuse(path: Path, reason: str) -> NoReturn:
    # Names out of the file must not write on the terminal.
    printable = "".join(letter if letter.isprintable() else "?" for letter in reason[:_MAX_REASON])
    raise UserError(f"{path} is not used as weights: {printable}. Give another .h5 file.")


def stored_layers(path: Path, file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    """The datasets of every layer in the file, in Keras's order. Raises UserError, H5_ERRORS."""
    if _has(file, "model_weights"):
        return _older_layout(path, _group(path, file, "model_weights"))
    if _has(file, "layers"):
        return _keras3_layout(path, _group(path, file, "layers"))
    return _older_layout(path, file)


def _older_layout(path: Path, root: h5py.Group) -> dict[str, list[h5py.Dataset]]:
    """`layer_names` of the root names groups; `weight_names` of each names its datasets."""
    stored = {}
    for layer in _names(path, root, "layer_names"):
        group = _group(path, root, layer)
        stored[layer] = [
            _dataset(path, group, name) for name in _names(path, group, "weight_names")
        ]
    return stored


def _keras3_layout(path: Path, layers: h5py.Group) -> dict[str, list[h5py.Dataset]]:
    """Groups by class and number, `conv2d_3/vars/0`; `vars` carries the layer's own name."""
    stored: dict[str, list[h5py.Dataset]] = {}
    for key in layers:
        group = _group(path, _group(path, layers, key), "vars")
        layer = read_text(group, "name") if "name" in group.attrs else key
        if layer in stored:
            _refuse(path, f"the group layers/{key} has no name of its own")
        stored[layer] = [_dataset(path, group, str(number)) for number in range(len(group))]
    return stored


def _names(path: Path, group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, which Keras splits into `attribute0`, `attribute1`, … where it is long."""
    parts = [attribute] if attribute in group.attrs else []
    while parts[:1] != [attribute] and f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    if not parts:
        _refuse(path, f"{group.name} has no {attribute}, so Keras did not write it")
    if (
        sum(group.attrs.get_id(part).get_space().get_select_npoints() for part in parts)
        > _MAX_NAMES
    ):
        _refuse(path, f"{attribute} of {group.name} is too long")
    if not all(_is_text(group, part) for part in parts):
        _refuse(path, f"{attribute} of {group.name} is no list of names")
    names = [name for part in parts for name in np.asarray(group.attrs[part]).ravel().tolist()]
    texts = [name.decode("utf-8") if isinstance(name, bytes) else name for name in names]
    if not all(isinstance(text, str) for text in texts):
        _refuse(path, f"{attribute} of {group.name} is no list of names")
    if len(set(texts)) != len(texts):
        _refuse(path, f"{attribute} of {group.name} names something twice")
    return texts


def _has(group: h5py.Group, name: str) -> bool:
    # `name in group` would follow a link, and so open another file.
    return bool(group.id.links.exists(name.encode("utf-8")))


def _member(path: Path, group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What is stored under `name`, a path within `group`, without following any link."""
    member = group
    for part in name.split("/"):
        if not isinstance(member, h5py.Group) or not _has(member, part):
            _refuse(path, f"{group.name} has no {name}")
        if member.id.links.get_info(part.encode("utf-8")).type != h5py.h5l.TYPE_HARD:
            _refuse(path, f"{name} in {group.name} is a link")
        member = member[part]
    return member


def _group(path: Path, group: h5py.Group, name: str) -> h5py.Group:
    member = _member(path, group, name)
    if not isinstance(member, h5py.Group):
        _refuse(path, f"{member.name} is no group")
    return member


def _dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    member = _member(path, group, name)
    if not isinstance(member, h5py.Dataset):
        _refuse(path, f"{member.name} is no array")
    return member


def _check_layers(
    path: Path,
    what: str,
    stored: Mapping[str, list[h5py.Dataset]],
    expected: Mapping[str, list[Shape]],
    ignored: frozenset[str],
) -> None:
    missing = [layer for layer in expected if not stored.get(layer)]
    unknown = [
        layer
        for layer, datasets in stored.items()
        if datasets and layer not in {*expected, *ignored}
    ]
    shapes = {
        layer: [d.shape or () for d in stored[layer]] for layer in expected if layer not in missing
    }
    misshaped = [
        f"{layer} (expected {_format_shapes(expected[layer])}, received {_format_shapes(received)})"
        for layer, received in shapes.items()
        if received != expected[layer]
    ]
    problems = [
        f"{word}: {first_few(found, _SHOWN)}"
        for word, found in (
            ("missing layers", missing),
            ("wrong shapes", misshaped),
            ("layers it should not have", unknown),
        )
        if found
    ]
    if problems:
        _refuse(path, f"they are not those of {what}; {'; '.join(problems)}")


def _format_shapes(shapes: list[Shape]) -> str:
    return " ".join("×".join(map(str, shape)) or "scalar" for shape in shapes) or "nothing"


def read_array(path: Path, where: str, dataset: h5py.Dataset) -> np.ndarray:
    """The array of a dataset whose shape is known to be right."""
    if dataset.dtype != _FLOAT32:
        _refuse(path, f"{where} is of type {dataset.dtype}, expected float32")
    made = dataset.id.get_create_plist()
    plain = (
        made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
        and made.get_external_count() == 0
        and made.get_nfilters() == 0
        and dataset.id.get_storage_size() == dataset.size * _FLOAT32.itemsize
    )
    if not plain:
        _refuse(path, f"{where} is not stored as one plain run of numbers in this file")
    array = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(array).all():
        _refuse(path, f"{where} holds numbers that are not finite")
    return array
