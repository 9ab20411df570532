"""The inside of a Keras .h5 file: the layers in it and their arrays, as data and nothing else.

Three layouts are known: `model.save("x.h5")`, the older `save_weights` (which the files of
keras.applications use), and Keras 3's `save_weights("x.weights.h5")`. All three name the layers.
A model's configuration in the file is not read: Keras would build what is in it.

The content of well-formed files is checked, and before the HDF5 library opens a file, what is known
to make that library loop for ever or take all memory. A file made or damaged for the purpose can
still crash it, so check the published hash of a file from a stranger.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np

from carbrand.node.errors import UserError

_FLOAT32, _FLOAT16 = np.dtype("<f4"), np.dtype("<f2")
_MAX_NAMES = 10_000  # of layers, and of weights in a layer
_MAX_REASON = 1000  # characters
_MAX_HEAPS = 1000  # of 4 KB and more; ResNet50 has two
_VIRTUAL = (b"\x03\x03", b"\x04\x03")  # layout messages, version and class
# The head of a message that says where an array lies, and the first bytes of that place.
_PLACE = re.compile(rb"\x08\0\x18\0.\0{3}\x03\x01.{0,7}\Z", re.DOTALL)
_LONG = 2**17  # the bytes before the shape of an array are below this number

# How a file begins that h5py makes unless it is told otherwise: versions 0 and 1 of the superblock,
# with numbers of 8 bytes, places counted from the start of the file (HDF5 format 3.0, II.A).
_SUPERBLOCKS = {0: 24, 1: 28}
_HEAP, _PACKED_HEAP = b"GCOL\x01", b"FRHP\x00"

# What h5py raises for files that are damaged or made to harm.
H5_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError)


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
            # layout of a virtual array, which is refused by those who read arrays. So may the end
            # of an array's place and the beginning of its length.
            is_shape = at % 8 == 0 and length < _LONG
            is_layout = data[at - 2 : at] in _VIRTUAL or _PLACE.search(data[at - 17 : at])
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


def refuse(path: Path, reason: str) -> NoReturn:
    """Raise the UserError that refuses a file of weights."""
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
    """Groups by class and number, `conv2d_3/vars/0`; `vars` carries the layer's own name.

    Those of networks in the network are among them: `functional/layers/conv2d/vars/0`.
    """
    stored: dict[str, list[h5py.Dataset]] = {}
    for key in layers:
        whole = _group(path, layers, key)
        group = _group(path, whole, "vars")
        layer = read_text(group, "name") if "name" in group.attrs else key
        found = {layer: [_dataset(path, group, str(number)) for number in range(len(group))]}
        if _has(whole, "layers"):
            found |= _keras3_layout(path, _group(path, whole, "layers"))
        if found.keys() & stored.keys():
            refuse(path, f"the group layers/{key} has no name of its own")
        stored |= found
    return stored


def _names(path: Path, group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, which Keras splits into `attribute0`, `attribute1`, … where it is long."""
    parts = [attribute] if attribute in group.attrs else []
    while parts[:1] != [attribute] and f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    if not parts:
        refuse(path, f"{group.name} has no {attribute}, so Keras did not write it")
    if (
        sum(group.attrs.get_id(part).get_space().get_select_npoints() for part in parts)
        > _MAX_NAMES
    ):
        refuse(path, f"{attribute} of {group.name} is too long")
    if not all(_is_text(group, part) for part in parts):
        refuse(path, f"{attribute} of {group.name} is no list of names")
    names = [name for part in parts for name in np.asarray(group.attrs[part]).ravel().tolist()]
    texts = [name.decode("utf-8") if isinstance(name, bytes) else name for name in names]
    if not all(isinstance(text, str) for text in texts):
        refuse(path, f"{attribute} of {group.name} is no list of names")
    if len(set(texts)) != len(texts):
        refuse(path, f"{attribute} of {group.name} names something twice")
    return texts


def _has(group: h5py.Group, name: str) -> bool:
    # `name in group` would follow a link, and so open another file.
    return bool(group.id.links.exists(name.encode("utf-8")))


def _member(path: Path, group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What is stored under `name`, a path within `group`, without following any link."""
    member = group
    for part in name.split("/"):
        if not isinstance(member, h5py.Group) or not _has(member, part):
            refuse(path, f"{group.name} has no {name}")
        if member.id.links.get_info(part.encode("utf-8")).type != h5py.h5l.TYPE_HARD:
            refuse(path, f"{name} in {group.name} is a link")
        member = member[part]
    return member


def _group(path: Path, group: h5py.Group, name: str) -> h5py.Group:
    member = _member(path, group, name)
    if not isinstance(member, h5py.Group):
        refuse(path, f"{member.name} is no group")
    return member


def _dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    member = _member(path, group, name)
    if not isinstance(member, h5py.Dataset):
        refuse(path, f"{member.name} is no array")
    return member


def read_floats(path: Path, file: h5py.File, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array under a name, float32, stored as that or in half precision."""
    dataset = _dataset(path, file, name)
    if dataset.shape != shape:
        refuse(path, f"{name} has the shape {dataset.shape}, expected {shape}")
    return read_array(path, name, dataset, _FLOAT16 if dataset.dtype == _FLOAT16 else _FLOAT32)


def read_array(
    path: Path, where: str, dataset: h5py.Dataset, dtype: np.dtype = _FLOAT32
) -> np.ndarray:
    """The array of a dataset whose shape is known to be right."""
    if dataset.dtype != dtype:
        refuse(path, f"{where} is of type {dataset.dtype}, expected {dtype}")
    made = dataset.id.get_create_plist()
    plain = (
        made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
        and made.get_external_count() == 0
        and made.get_nfilters() == 0
        and dataset.id.get_storage_size() == dataset.size * dtype.itemsize
    )
    if not plain:
        refuse(path, f"{where} is not stored as one plain run of numbers in this file")
    array = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(array).all():
        refuse(path, f"{where} holds numbers that are not finite")
    return array
