"""The weights in a file of the legacy `torch.save` format, read without torch.

The format (torch/serialization.py, `_legacy_save`): five pickles (magic number, protocol version,
facts about the machine, the tensors by name, the keys of their storages), then for each key the
count of its numbers as an int64 and the numbers themselves, little-endian.

The caller has checked the SHA-256 of the bytes, and that is the promise: a file whose hash is known
cannot be hostile. Nothing but the four names that such files use is looked up all the same.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from carbrand.node.errors import UserError

_HEADER = (0x1950A86A20F9469CFC6C, 1001)  # magic number, protocol version


class UntrustedWeights(UserError):
    """The bytes are not a file of weights that this reader knows."""


class _Storage(NamedTuple):
    """A flat run of `size` numbers, stored under `key`."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    """The arguments of `torch._utils._rebuild_tensor_v2`; strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: object


_KNOWN: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Knows the names that a state dict of float32 and int64 tensors uses, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _refusal(f"it names {module!a} {name!a}")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """`pid`: ("storage", dtype, key, "cpu", count, None)."""
        _, dtype, key, _, size, _ = pid
        return _Storage(key, dtype, size)


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a `torch.save`d state dict by name, in file order: float32 or int64, C order.

    `data` are the very bytes whose hash the caller checked. Memory: `data` and one copy of it.
    Raises UntrustedWeights for another format, other names than those of tensors, a torn file.
    """
    file = io.BytesIO(data)
    try:
        *header, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
        if tuple(header) != _HEADER:
            raise _refusal("it is no legacy torch.save file")
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        starts, position = {}, file.tell()
        for key in keys:
            starts[key] = position + 8
            position += 8 + storages[key].size * storages[key].dtype.itemsize
        return {name: _array(data, starts[t.storage.key], t) for name, t in tensors.items()}
    except (pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError) as error:
        raise _refusal(f"it cannot be read ({str(error)!a})") from None


def _array(data: bytes, start: int, tensor: _Tensor) -> np.ndarray:
    """The tensor as an array of its own, in C order. Raises ValueError outside `data`."""
    dtype = tensor.storage.dtype
    strides = [step * dtype.itemsize for step in tensor.strides]
    offset = start + tensor.offset * dtype.itemsize
    return np.ndarray(tensor.shape, dtype, data, offset, strides).copy("C")


def _refusal(reason: str) -> UntrustedWeights:
    return UntrustedWeights(f"The file of weights is not used: {reason}. Install it again.")
