"""ONNX files as bytes (github.com/onnx/onnx, onnx/onnx.proto), written without the package `onnx`.

Its messages are in the encoding of Protocol Buffers: numbered fields, each a varint, four bytes of
a float, or a length and so many bytes (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from operator import index

import numpy as np

# Of 2022, and the first in which all reductions take their axes alike. Runtimes read older sets
# for ever, newer ones never.
OPSET, IR_VERSION = 18, 8
# TensorProto.DataType and AttributeProto.AttributeType.
DATA_TYPES = {"float32": 1, "uint8": 2, "int64": 7}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7

Field = int | float | str | bytes | Sequence[bytes] | Sequence[str] | Sequence[int]
Attribute = int | float | str | Sequence[int]
# Of a dimension that may have any length: its name.
Shape = Sequence[int | str]


def model(
    nodes: Sequence[bytes],
    constants: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    metadata: Mapping[str, str],
) -> bytes:
    """A whole file. The parts are what `node`, `constant` and `value` return."""
    graph = _message({1: nodes, 2: "carbrand", 5: constants, 11: inputs, 12: outputs})
    opset = _message({2: OPSET})
    entries = [_message({1: key, 2: text}) for key, text in sorted(metadata.items())]
    return _message({1: IR_VERSION, 2: "carbrand", 7: graph, 8: [opset], 14: entries})


def node(
    operator: str, inputs: Sequence[str], output: str, attributes: Mapping[str, Attribute]
) -> bytes:
    """An operator with one output, which is also the node's name."""
    encoded = [_attribute(name, value) for name, value in sorted(attributes.items())]
    return _message({1: inputs, 2: [output], 3: output, 4: operator, 5: encoded})


def constant(name: str, array: np.ndarray) -> bytes:
    """An array of one of DATA_TYPES."""
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    kind = DATA_TYPES[array.dtype.name]
    return _message({1: array.shape, 2: kind, 8: name, 9: little_endian.tobytes()})


def value(name: str, data_type: str, shape: Shape | None) -> bytes:
    """An input or an output of the network; without a shape, any."""
    tensor: dict[int, Field] = {1: DATA_TYPES[data_type]}
    if shape is not None:
        lengths = [_message({1 if isinstance(d, int) else 2: d}) for d in shape]
        tensor[2] = _message({1: lengths})
    return _message({1: name, 2: _message({1: _message(tensor)})})


def _attribute(name: str, setting: Attribute) -> bytes:
    if isinstance(setting, str):
        return _message({1: name, 4: setting, 20: _STRING})
    if isinstance(setting, float):
        return _message({1: name, 2: setting, 20: _FLOAT})
    if isinstance(setting, int):
        return _message({1: name, 3: setting, 20: _INT})
    return _message({1: name, 8: [index(number) for number in setting], 20: _INTS})


def _message(fields: Mapping[int, Field]) -> bytes:
    """Fields by number; a list is a field that repeats."""
    parts: list[bytes] = []
    for number, content in fields.items():
        for item in [content] if isinstance(content, (int, float, str, bytes)) else content:
            parts += _field(number, item)
    return b"".join(parts)


def _field(number: int, content: int | float | str | bytes) -> Iterable[bytes]:
    if isinstance(content, int):
        return _varint(number << 3), _varint(content)
    if isinstance(content, float):
        return _varint(number << 3 | 5), struct.pack("<f", content)
    data = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2), _varint(len(data)), data


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative ones as 64 bits in two's complement."""
    if not -(2**63) <= number < 2**63:
        raise OverflowError(f"{number} has more than 64 bits")
    rest, encoded = number % 2**64, bytearray()
    while rest > 127:
        encoded.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*encoded, rest])
