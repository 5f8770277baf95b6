"""The graph converter, layer by layer, against sums done by hand and by plain loops."""

import base64
import json
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alicem.face.models.tfjs import UnknownOperationError, convert, read_weights


def s(text: str) -> dict[str, str]:
    return {"s": base64.b64encode(text.encode()).decode()}


def ints(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def node(op: str, name: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "input": list(inputs), "attr": attributes}


def picture(*shape: int) -> dict[str, Any]:
    dims = [{"size": str(size)} for size in (-1, *shape)]
    return node("Placeholder", "x", shape={"shape": {"dim": dims}}, dtype={"type": "DT_FLOAT"})


def window(stride: int, padding: str) -> dict[str, Any]:
    return {
        "strides": ints(1, stride, stride, 1),
        "padding": s(padding),
        "data_format": s("NHWC"),
        "dilations": ints(1, 1, 1, 1),
    }


def graph(nodes: list[dict[str, Any]], weights: dict[str, np.ndarray], half: bool = False) -> tuple[bytes, bytes]:
    entries, data = [], b""
    for name, value in weights.items():
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        if half and value.dtype == np.float32:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            data += value.astype("<f2").tobytes()
        else:
            data += value.tobytes()
        entries.append(entry)
    constants = [node("Const", name) for name in weights]
    model = {"modelTopology": {"node": [*constants, *nodes]}, "weightsManifest": [{"weights": entries}]}
    return json.dumps(model).encode(), data


def run(onnx_file: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def flatten(source: str, size: int) -> list[dict[str, Any]]:
    return [node("Reshape", "y", source, "flat")]


def convolved(x: np.ndarray, kernel: np.ndarray, stride: int, padding: str) -> np.ndarray:
    """TensorFlow's definition, with loops: NHWC, kernel height × width × in × out."""
    kh, kw, _, out = kernel.shape
    if padding == "SAME":
        rows, columns = -(-x.shape[0] // stride), -(-x.shape[1] // stride)
        down = max((rows - 1) * stride + kh - x.shape[0], 0)
        across = max((columns - 1) * stride + kw - x.shape[1], 0)
        x = np.pad(x, ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)))
    rows, columns = (x.shape[0] - kh) // stride + 1, (x.shape[1] - kw) // stride + 1
    y = np.zeros((rows, columns, out), np.float64)
    for i in range(rows):
        for j in range(columns):
            part = x[i * stride : i * stride + kh, j * stride : j * stride + kw]
            y[i, j] = (part[..., None] * kernel).sum((0, 1, 2))
    return y


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(3, 8), st.integers(3, 8)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["SAME", "VALID"]),
    seed=st.integers(0, 1000),
)
def test_convolution_is_tensorflows(size: tuple[int, int], kernel: int, stride: int, padding: str, seed: int) -> None:
    x, weights = numbers(1, *size, 2, seed=seed), numbers(kernel, kernel, 2, 3, seed=seed + 1)
    expected = convolved(x[0], weights, stride, padding)
    nodes = [picture(*size, 2), node("Conv2D", "c", "x", "k", **window(stride, padding))]
    nodes += flatten("c", expected.size)
    file = convert(*graph(nodes, {"k": weights, "flat": np.array([1, expected.size], np.int32)}), {"y": "out"})
    assert np.allclose(run(file, x), expected.reshape(1, -1), atol=1e-4)


def test_fused_convolution_adds_its_bias_then_bends_negative_values() -> None:
    x = np.array([1, 2, 3, 4], np.float32).reshape(1, 2, 2, 1)
    weights = {
        "k": np.array([[[[1, -1]]]], np.float32),
        "b": np.array([-2, 1], np.float32),
        "a": np.array([[[0.5, 0.25]]], np.float32),
        "flat": np.array([1, 8], np.int32),
    }
    fused = {"fused_ops": {"list": {"s": [s("BiasAdd")["s"], s("Prelu")["s"]]}}}
    nodes = [picture(2, 2, 1), node("_FusedConv2D", "c", "x", "k", "b", "a", **window(1, "VALID"), **fused)]
    file = convert(*graph(nodes + flatten("c", 8), weights), {"y": "out"})
    # x − 2 and 1 − x; the negative ones times 0.5 and 0.25; channels side by side
    assert run(file, x).tolist() == [[-0.5, 0, 0, -0.25, 1, -0.5, 2, -0.75]]


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution_keeps_channels_apart(multiplier: int) -> None:
    x, kernel = numbers(1, 5, 5, 3), numbers(3, 3, 3, multiplier, seed=1)
    channels = []
    for channel in range(3):
        for copy in range(multiplier):
            one = convolved(
                x[0, :, :, channel : channel + 1], kernel[:, :, channel : channel + 1, copy : copy + 1], 1, "SAME"
            )
            channels.append(one[..., 0])
    expected = np.stack(channels, axis=2)
    nodes = [picture(5, 5, 3), node("DepthwiseConv2dNative", "c", "x", "k", **window(1, "SAME"))]
    weights = {"k": kernel, "flat": np.array([1, expected.size], np.int32)}
    file = convert(*graph(nodes + flatten("c", expected.size), weights), {"y": "out"})
    assert np.allclose(run(file, x), expected.reshape(1, -1), atol=1e-4)


def test_channels_are_padded_and_pictures_pooled() -> None:
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    weights = {
        "p": np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32),
        "flat": np.array([1, 8], np.int32),
    }
    pool = node("MaxPool", "m", "x", ksize=ints(1, 2, 2, 1), **window(2, "VALID"))
    nodes = [picture(4, 4, 1), pool, node("Pad", "c", "m", "p"), *flatten("c", 8)]
    assert run(convert(*graph(nodes, weights), {"y": "out"}), x).tolist() == [[5, 0, 7, 0, 13, 0, 15, 0]]


def test_relu_of_six_is_a_minimum_and_a_maximum() -> None:
    x = np.array([-1, 3, 9], np.float32).reshape(1, 1, 1, 3)
    weights = {
        "six": np.array(6, np.float32),
        "zero": np.array(0, np.float32),
        "gain": np.array([1, 2, 1], np.float32),
        "flat": np.array([1, 3], np.int32),
    }
    nodes = [
        picture(1, 1, 3),
        node("Minimum", "low", "x", "six"),
        node("Maximum", "high", "low", "zero"),
        node("Mul", "scaled", "high", "gain"),
        *flatten("scaled", 3),
    ]
    assert run(convert(*graph(nodes, weights), {"y": "out"}), x).tolist() == [[0, 6, 6]]


def test_mean_over_the_picture() -> None:
    x = numbers(1, 4, 6, 3)
    weights = {"axes": np.array([1, 2], np.int32)}
    nodes = [picture(4, 6, 3), node("Mean", "y", "x", "axes", keep_dims={"b": False})]
    assert np.allclose(run(convert(*graph(nodes, weights), {"y": "out"}), x), x.mean((1, 2)), atol=1e-6)


def test_half_floats_stay_half_on_disk() -> None:
    x, kernel = numbers(1, 4, 4, 8), numbers(1, 1, 8, 64, seed=3)
    nodes = [picture(4, 4, 8), node("Conv2D", "c", "x", "k", **window(1, "SAME")), *flatten("c", 1024)]
    weights = {"k": kernel, "flat": np.array([1, 1024], np.int32)}
    whole, half = (convert(*graph(nodes, weights, half), {"y": "out"}) for half in (False, True))
    assert len(whole) - len(half) == pytest.approx(kernel.nbytes / 2, abs=200)
    exact = convolved(x[0], kernel.astype(np.float16).astype(np.float32), 1, "SAME")
    assert np.allclose(run(half, x), exact.reshape(1, -1), atol=1e-4)


def test_heads_that_nobody_asked_for_fall_away() -> None:
    nodes = [picture(2, 2, 1), node("Relu", "y", "x"), node("Softmax", "age", "x")]
    assert run(convert(*graph(nodes, {}), {"y": "out"}), numbers(1, 2, 2, 1)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    "bad",
    [
        node("Softmax", "y", "x"),
        node("Conv2D", "y", "x", "k", **(window(1, "SAME") | {"dilations": ints(1, 2, 2, 1)})),
        node("Conv2D", "y", "x", "k", **(window(1, "SAME") | {"data_format": s("NCHW")})),
        node("_FusedConv2D", "y", "x", "k", "b", **window(1, "SAME"), fused_ops={"list": {"s": [s("Elu")["s"]]}}),
        node("Mean", "y", "x", "axes", keep_dims={"b": False}),
    ],
    ids=["operation", "dilated", "layout", "activation", "axes"],
)
def test_what_is_not_known_is_refused(bad: dict[str, Any]) -> None:
    weights = {
        "k": numbers(1, 1, 1, 1),
        "b": numbers(1),
        "axes": np.array([3], np.int32),
    }
    with pytest.raises(UnknownOperationError):
        convert(*graph([picture(2, 2, 1), bad], weights), {"y": "out"})


def test_weights_fill_their_file() -> None:
    entries = [{"weights": [{"name": "k", "shape": [2], "dtype": "float32"}]}]
    with pytest.raises(UnknownOperationError, match="4 bytes"):
        read_weights(entries, bytes(12))
