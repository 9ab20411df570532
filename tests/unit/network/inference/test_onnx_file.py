"""What is written of ONNX by hand is what the package `onnx` would write."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.network.inference import onnx_file

onnx = pytest.importorskip("onnx")

SETTINGS: dict[str, onnx_file.Attribute] = {
    "count": 300,
    "below": -2,
    "share": 0.25,
    "mode": "constant",
    "sides": [0, -1, 2**40],
    "none": [0],
}


def test_a_node_is_the_one_of_the_package():
    ours = onnx.NodeProto.FromString(onnx_file.node("Pad", ["a", "b"], "ç", SETTINGS))
    assert ours == onnx.helper.make_node(
        "Pad", ["a", "b"], ["ç"], "ç", **dict(sorted(SETTINGS.items()))
    )


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", ">f4"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_an_array_comes_out_as_it_went_in(dtype, shape):
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    stored = onnx.TensorProto.FromString(onnx_file.constant("w", array))
    assert stored.name == "w"
    out = onnx.numpy_helper.to_array(stored)
    assert out.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(out, array)


def test_an_array_that_is_not_contiguous_keeps_its_order():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    stored = onnx.TensorProto.FromString(onnx_file.constant("w", array))
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored), array)


@pytest.mark.parametrize("shape", [None, (), (1, 300), ("n", 3)])
def test_inputs_and_outputs_have_a_type_and_a_shape(shape):
    ours = onnx.ValueInfoProto.FromString(onnx_file.value("photos", "uint8", shape))
    assert ours == onnx.helper.make_tensor_value_info("photos", onnx.TensorProto.UINT8, shape)


def test_a_whole_file_passes_the_check_and_holds_its_metadata():
    ends = [onnx_file.value(name, "float32", (2,)) for name in ("x", "y")]
    one = onnx_file.constant("one", np.ones(2, np.float32))
    data = onnx_file.model(
        [onnx_file.node("Add", ["x", "one"], "y", {})],
        [one],
        ends[:1],
        ends[1:],
        {"b": "2", "a": "ä"},
    )
    onnx.checker.check_model(data, full_check=True)
    model = onnx.load_from_string(data)
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("a", "ä"), ("b", "2")]
    assert model.opset_import[0].version == onnx_file.OPSET


@pytest.mark.parametrize("setting", [2**63, [2**63], ["a"], [0.5], None])
def test_what_onnx_has_no_place_for_is_an_error(setting):
    with pytest.raises((TypeError, OverflowError)):
        onnx_file.node("Conv", [], "y", {"strides": setting})
