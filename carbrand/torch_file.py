"""The weights in a file of the legacy `torch.save` format, read without torch and trusting nothing.

The format (torch/serialization.py, `_legacy_save`) is five pickles of protocol 2 and raw data:

1. the magic number, 2. the protocol version, 3. facts about the machine that wrote it;
4. an OrderedDict of names to tensors, each a view (offset, shape, strides) of a storage, which is
   named by a persistent id ("storage", type, key, "cpu", count, None);
5. the list of storage keys, and then for each of them, in that order, its count as a little-endian
   int64 and its numbers.

A pickle is a program, so `pickle` never sees these bytes. The small machine below knows only the
opcodes and the four globals that such files use; the globals are constants here, not callables.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

import numpy as np

from carbrand.errors import UserError

# Pickles 1 and 2: PROTO 2, LONG1 0x1950a86a20f9469cfc6c, STOP; PROTO 2, BININT2 1001, STOP.
_HEADER = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + b"\x80\x02M\xe9\x03."

# Above what a network needs (EfficientNet-Lite2: 14,000 opcodes, 4 dimensions), below what would
# hurt: no opcode puts more than a few hundred bytes into memory.
_MAX_OPCODES = 50_000
_MAX_TEXT_BYTES = 512
_MAX_DIMENSIONS = 8


class UntrustedWeights(UserError):
    """The bytes are not a file of weights that this reader knows in every detail."""


class _Global(Enum):
    """The globals a state dict names. They stand for nothing but themselves."""

    ORDERED_DICT = b"collections\nOrderedDict\n"
    REBUILD_TENSOR = b"torch._utils\n_rebuild_tensor_v2\n"
    FLOAT_STORAGE = b"torch\nFloatStorage\n"
    LONG_STORAGE = b"torch\nLongStorage\n"


_DTYPES: dict[_Global, np.dtype] = {
    _Global.FLOAT_STORAGE: np.dtype("<f4"),
    _Global.LONG_STORAGE: np.dtype("<i8"),
}


class _OrderedDict(dict[str, object]):
    """What a file calls collections.OrderedDict; a plain dict is another thing to it."""


# What each opcode that may occur does to the machine.
_Opcodes = dict[int, "Callable[[_Machine], None]"]


@dataclass(frozen=True)
class _Storage:
    """A flat run of `count` numbers, stored under `key`."""

    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A whole storage seen as `shape`; `order` lists its dimensions from slowest to fastest."""

    storage: _Storage
    shape: tuple[int, ...]
    order: tuple[int, ...]


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a `torch.save`d state dict by name, in file order: float32 or int64, C order.

    `data` are the very bytes whose hash the caller checked. Every number is finite. Memory: `data`
    and one copy of it.

    Raises UntrustedWeights, and nothing else, for any other bytes.
    """
    if not data.startswith(_HEADER):
        _refuse("it does not start as a legacy torch.save file does")
    info, position = _unpickle(data, len(_HEADER), _INFO_OPCODES)
    _check_machine_info(info)
    state, position = _unpickle(data, position, _STATE_OPCODES)
    tensors = _as_tensors(state)
    keys, position = _unpickle(data, position, _KEYS_OPCODES)
    flat = _read_storages(data, position, tensors, keys)
    return {name: _as_array(name, flat[t.storage.key], t) for name, t in tensors.items()}


def _refuse(reason: str) -> NoReturn:
    raise UntrustedWeights(
        f"The file of weights is not used: {reason}. Install or download it again."
    )


def _check_machine_info(info: object) -> None:
    """The numbers must be little-endian; the sizes of C types in it have no bearing on them."""
    if not isinstance(info, dict) or info.get("little_endian") is not True:
        _refuse("its numbers are not declared little-endian")
    version = info.get("protocol_version")
    if type(version) is not int or version != 1001:
        _refuse("its protocol version is not 1001")


def _as_tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, _OrderedDict):
        _refuse("it holds no OrderedDict of tensors")
    tensors = {name: value for name, value in state.items() if isinstance(value, _Tensor)}
    if not tensors or len(tensors) != len(state):
        _refuse("its OrderedDict holds other things than tensors")
    if len({tensor.storage.key for tensor in tensors.values()}) != len(tensors):
        _refuse("two tensors share one storage")
    return tensors


def _read_storages(
    data: bytes, position: int, tensors: dict[str, _Tensor], keys: object
) -> dict[str, np.ndarray]:
    """Views of `data`, one for each storage: exactly those the tensors use, nothing after them."""
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if not isinstance(keys, list) or not all(type(key) is str for key in keys):
        _refuse("its list of storages is no list of keys")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        _refuse("its list of storages is not that of its tensors")
    flat = {}
    for key in keys:
        storage = storages[key]
        start = position + 8
        end = start + storage.count * storage.dtype.itemsize
        if end > len(data):
            _refuse(f"it ends before byte {end:,}, where storage {_show(key)} ends")
        (count,) = struct.unpack_from("<q", data, position)
        if count != storage.count:
            _refuse(f"storage {_show(key)} holds {count} numbers, expected {storage.count}")
        flat[key] = np.frombuffer(data, storage.dtype, storage.count, start)
        position = end
    if position != len(data):
        _refuse(f"{len(data) - position:,} bytes follow its last storage")
    return flat


def _as_array(name: str, flat: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor as an array of its own in C order and native byte order."""
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        _refuse(f"the tensor {_show(name)} holds numbers that are not finite")
    stored = flat.reshape([tensor.shape[axis] for axis in tensor.order])
    array = stored.transpose(np.argsort(tensor.order)) if tensor.order else stored
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _show(text: str) -> str:
    """A name out of the file, safe to print."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def _unpickle(data: bytes, position: int, opcodes: _Opcodes) -> tuple[object, int]:
    """The value of the pickle that starts at `position`, and the position after it."""
    machine = _Machine(data, position, opcodes)
    return machine.run(), machine.position


class _Machine:
    """Runs one pickle of `data` from `position`, with the opcodes `allowed` and no others.

    MARK puts the current stack aside, and the opcode that closes it takes the new one whole.
    """

    def __init__(self, data: bytes, position: int, allowed: _Opcodes) -> None:
        self.data = data
        self.position = position
        self.allowed = allowed
        self.stack: list[object] = []
        self.outer: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        """The value the pickle leaves; `position` is then the byte after it."""
        if self.take(2) != b"\x80\x02":
            _refuse(f"no pickle of protocol 2 starts at byte {self.position - 2:,}")
        for _ in range(_MAX_OPCODES):
            opcode = self.take(1)[0]
            if opcode == ord("."):
                result = self.pop()
                if self.stack or self.outer:
                    _refuse(f"the pickle that ends at byte {self.position:,} leaves values behind")
                return result
            handler = self.allowed.get(opcode)
            if handler is None:
                _refuse(f"byte {self.position - 1:,} is the pickle opcode {opcode:#04x}")
            handler(self)
        _refuse(f"a pickle in it has more than {_MAX_OPCODES:,} opcodes")

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            _refuse(f"it ends at byte {len(self.data):,}, inside a pickle")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, code: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            _refuse(f"the pickle opcode before byte {self.position:,} finds no value")
        return self.stack.pop()

    def pop_to_mark(self) -> list[object]:
        if not self.outer:
            _refuse(f"the pickle opcode before byte {self.position:,} finds no mark")
        values, self.stack = self.stack, self.outer.pop()
        return values

    # Opcodes, by their names in `pickletools`.

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def binunicode(self) -> None:
        size = self.number("I")
        if size > _MAX_TEXT_BYTES:
            _refuse(f"the text at byte {self.position:,} has {size:,} bytes")
        try:
            self.push(self.take(size).decode("utf-8"))
        except UnicodeDecodeError:
            _refuse(f"the text before byte {self.position:,} is not UTF-8")

    def global_(self) -> None:
        for known in _Global:
            if self.data.startswith(known.value, self.position):
                self.position += len(known.value)
                self.push(known)
                return
        _refuse(f"the pickle names a global at byte {self.position:,} that no state dict needs")

    def tuple1(self) -> None:
        self.push((self.pop(),))

    def tuple2(self) -> None:
        second = self.pop()
        self.push((self.pop(), second))

    def appends(self) -> None:
        values = self.pop_to_mark()
        target = self.pop()
        if not isinstance(target, list):
            _refuse(f"the pickle appends to what is no list before byte {self.position:,}")
        target.extend(values)
        self.push(target)

    def setitem(self) -> None:
        value = self.pop()
        self.set_items([self.pop(), value])

    def setitems(self) -> None:
        self.set_items(self.pop_to_mark())

    def set_items(self, values: list[object]) -> None:
        target = self.pop()
        if not isinstance(target, dict) or len(values) % 2:
            _refuse(f"the pickle fills what is no dict before byte {self.position:,}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str:
                _refuse(f"a dict has a key that is no text before byte {self.position:,}")
            if key in target:
                _refuse(f"a dict has the key {_show(key)} twice before byte {self.position:,}")
            target[key] = value
        self.push(target)

    def put(self, index: int) -> None:
        if not self.stack:
            _refuse(f"the pickle opcode before byte {self.position:,} finds no value")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            _refuse(f"the pickle asks for what it has not stored before byte {self.position:,}")
        self.push(self.memo[index])

    def binpersid(self) -> None:
        self.push(_storage(self.pop()))

    def reduce(self) -> None:
        arguments = self.pop()
        called = self.pop()
        if called is _Global.ORDERED_DICT and arguments == ():
            self.push(_OrderedDict())
        elif called is _Global.REBUILD_TENSOR:
            self.push(_tensor(arguments))
        else:
            _refuse(f"the pickle calls what no state dict calls before byte {self.position:,}")

    def build(self) -> None:
        """Attributes of the OrderedDict: torch keeps versions of modules there; not needed."""
        attributes = self.pop()
        target = self.pop()
        if not isinstance(target, _OrderedDict) or type(attributes) is not dict:
            _refuse(f"the pickle sets attributes of what has none before byte {self.position:,}")
        if list(attributes) != ["_metadata"]:
            _refuse("its OrderedDict has other attributes than _metadata")
        self.push(target)


def _storage(identity: object) -> _Storage:
    """The storage that a persistent id names."""
    if type(identity) is not tuple or len(identity) != 6:
        _refuse("a persistent id in it is no tuple of six")
    word, kind, key, place, count, view = identity
    if word != "storage" or place != "cpu" or view is not None or type(key) is not str:
        _refuse("a persistent id in it is not that of a storage")
    dtype = _DTYPES.get(kind) if isinstance(kind, _Global) else None
    if dtype is None:
        _refuse("a storage in it is neither float32 nor int64")
    if type(count) is not int or count < 1:
        _refuse(f"the storage {_show(key)} has a count that is no positive number")
    return _Storage(key, dtype, count)


def _tensor(arguments: object) -> _Tensor:
    """The tensor that `torch._utils._rebuild_tensor_v2` would make of its arguments."""
    if type(arguments) is not tuple or len(arguments) != 6:
        _refuse("a tensor in it is not described by six values")
    storage, offset, shape, strides, requires_grad, hooks = arguments
    if type(storage) is not _Storage or requires_grad is not False:
        _refuse("a tensor in it has no storage or asks for gradients")
    if type(hooks) is not _OrderedDict or hooks:
        _refuse("a tensor in it has hooks")
    if type(offset) is not int or offset != 0:
        _refuse(f"a tensor of the storage {_show(storage.key)} does not start where it starts")
    return _Tensor(storage, *_layout(storage, shape, strides))


def _layout(
    storage: _Storage, shape: object, strides: object
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape, and its dimensions from slowest to fastest, if it fills the storage exactly.

    The kernels in these files were TensorFlow's once: stored (h, w, in, out), seen as
    (out, in, h, w). So strides may be those of a transposed array; gaps and overlaps are refused.
    """
    sizes, steps = _whole_numbers(storage, shape), _whole_numbers(storage, strides)
    if len(sizes) != len(steps) or math.prod(sizes) != storage.count:
        _refuse(f"the shape of a tensor does not fill the storage {_show(storage.key)}")
    # A dimension of size 1 goes anywhere: its stride is never used.
    order = sorted(range(len(sizes)), key=lambda axis: (-steps[axis], -sizes[axis]))
    expected = 1
    for axis in reversed(order):
        if sizes[axis] != 1 and steps[axis] != expected:
            _refuse(f"the strides of a tensor do not fit the storage {_show(storage.key)}")
        expected *= sizes[axis]
    return sizes, tuple(order)


def _whole_numbers(storage: _Storage, values: object) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > _MAX_DIMENSIONS:
        _refuse(f"a tensor of the storage {_show(storage.key)} has no shape or no strides")
    for value in values:
        if type(value) is not int or value < 1:
            _refuse(f"a tensor of the storage {_show(storage.key)} has a size or stride below 1")
    return values


_VALUES: _Opcodes = {
    ord("("): _Machine.mark,
    ord("X"): _Machine.binunicode,
    ord("K"): lambda machine: machine.push(machine.number("B")),  # BININT1
    ord("M"): lambda machine: machine.push(machine.number("H")),  # BININT2
    ord("J"): lambda machine: machine.push(machine.number("i")),  # BININT
    ord("q"): lambda machine: machine.put(machine.number("B")),  # BINPUT
    ord("r"): lambda machine: machine.put(machine.number("I")),  # LONG_BINPUT
    ord("h"): lambda machine: machine.get(machine.number("B")),  # BINGET
    ord("j"): lambda machine: machine.get(machine.number("I")),  # LONG_BINGET
}
_DICTS: _Opcodes = {
    ord("}"): lambda machine: machine.push({}),  # EMPTY_DICT
    ord("s"): _Machine.setitem,
    ord("u"): _Machine.setitems,
}
_INFO_OPCODES: _Opcodes = {
    **_VALUES,
    **_DICTS,
    ord("\x88"): lambda machine: machine.push(True),  # NEWTRUE
}
_STATE_OPCODES: _Opcodes = {
    **_VALUES,
    **_DICTS,
    ord("c"): _Machine.global_,
    ord("N"): lambda machine: machine.push(None),  # NONE
    ord("\x89"): lambda machine: machine.push(False),  # NEWFALSE
    ord(")"): lambda machine: machine.push(()),  # EMPTY_TUPLE
    ord("\x85"): _Machine.tuple1,
    ord("\x86"): _Machine.tuple2,
    ord("t"): lambda machine: machine.push(tuple(machine.pop_to_mark())),  # TUPLE
    ord("Q"): _Machine.binpersid,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
}
_KEYS_OPCODES: _Opcodes = {
    **_VALUES,
    ord("]"): lambda machine: machine.push([]),  # EMPTY_LIST
    ord("e"): _Machine.appends,
}
