"""TensorFlow.js graph models into ONNX.

A graph model is a JSON list of TensorFlow nodes and one file of weights. TensorFlow lays images out as NHWC,
ONNX as NCHW: the picture is turned once at the input, every four-dimensional value stays NCHW, and is turned
back where the graph flattens it. Only the operations of the four face networks are known; another one is an
error, never a guess. Weights that were stored as float16 stay so on disk and are widened when loaded.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # the oldest that carries opset 17: any onnxruntime of the last years reads it

Node = dict[str, Any]
Array = NDArray[Any]


class UnknownOperationError(Exception):
    """The graph holds an operation, or a variant of one, that the face networks do not use."""


@dataclass
class Graph:
    """ONNX nodes under construction, the constants read from the weights, and who is laid out as an image."""

    weights: dict[str, Array]
    half: set[str]
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: Array, half: bool = False) -> str:
        if name in self.constants:
            return name
        if half:
            stored = numpy_helper.from_array(np.ascontiguousarray(value, np.float16), f"{name}:half")
            self.add("Cast", [stored.name], name, to=TensorProto.FLOAT)
        else:
            stored = numpy_helper.from_array(np.ascontiguousarray(value), name)
        self.constants[name] = stored
        return name

    def weight(self, name: str, suffix: str, value: Array) -> str:
        return self.constant(f"{name}:{suffix}", value, name in self.half)


def convert(model_json: bytes, weights: bytes, outputs: Mapping[str, str]) -> bytes:
    """The ONNX file of a graph model, cut down to what `outputs` (tfjs name → our name) need."""
    model = json.loads(model_json)
    nodes: list[Node] = model["modelTopology"]["node"]
    values, half = read_weights(model["weightsManifest"], weights)
    graph = Graph(values, half)
    needed = list(ordered(nodes, outputs))
    (picture,) = (node for node in needed if node["op"] == "Placeholder")
    shape = [1, *(int(d["size"]) for d in picture["attr"]["shape"]["shape"]["dim"][1:])]
    for node in needed:
        if node["op"] not in OPERATIONS:
            raise UnknownOperationError(node["op"])
        OPERATIONS[node["op"]](graph, node)
    for source, target in outputs.items():
        graph.add("Identity", [source], target)
    return serialise(graph.nodes, list(graph.constants.values()), picture["name"], shape, list(outputs.values()))


def serialise(nodes: list[Any], constants: list[Any], source: str, shape: list[int], outputs: list[str]) -> bytes:
    image = helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    widen = [node for node in nodes if node.op_type == "Cast"]
    rest = [node for node in nodes if node.op_type != "Cast"]
    graph = helper.make_graph([*widen, *rest], "face", [image], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "alicem"
    model = onnx.shape_inference.infer_shapes(model)  # the shapes of the outputs
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def ordered(nodes: list[Node], outputs: Mapping[str, str]) -> Iterator[Node]:
    """The nodes that the outputs depend on, inputs before users; heads that nobody asked for fall away."""
    by_name = {node["name"]: node for node in nodes}
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Node]:
        if name in seen:
            return
        seen.add(name)
        node = by_name[name]
        for source in node.get("input", []):
            yield from visit(source)
        yield node

    for output in outputs:
        yield from visit(output)


def read_weights(manifest: list[dict[str, Any]], data: bytes) -> tuple[dict[str, Array], set[str]]:
    values: dict[str, Array] = {}
    half: set[str] = set()
    offset = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        if stored not in ("float32", "float16", "int32"):
            raise UnknownOperationError(f"weights stored as {stored}")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        value = np.frombuffer(data, np.dtype(stored).newbyteorder("<"), count, offset)
        offset += value.nbytes
        if stored == "float16":
            half.add(entry["name"])
        values[entry["name"]] = value.astype(entry["dtype"]).reshape(entry["shape"])
    if offset != len(data):
        raise UnknownOperationError(f"{len(data) - offset} bytes of weights are left over")
    return values, half


def text(node: Node, name: str) -> str:
    return base64.b64decode(node["attr"][name]["s"]).decode()


def integers(node: Node, name: str) -> list[int]:
    return [int(value) for value in node["attr"][name]["list"].get("i", [])]


def fused(node: Node) -> list[str]:
    return [base64.b64decode(name).decode() for name in node["attr"]["fused_ops"]["list"].get("s", [])]


def window(node: Node) -> dict[str, Any]:
    """Strides and padding; TensorFlow's SAME puts the odd pixel after, as ONNX's SAME_UPPER does."""
    if "data_format" in node["attr"] and text(node, "data_format") != "NHWC":
        raise UnknownOperationError("a layout other than NHWC")
    if "dilations" in node["attr"] and set(integers(node, "dilations")) != {1}:
        raise UnknownOperationError("a dilated convolution")
    pads = {"SAME": "SAME_UPPER", "VALID": "VALID"}
    return {"strides": integers(node, "strides")[1:3], "auto_pad": pads[text(node, "padding")]}


def image(graph: Graph, name: str) -> str:
    graph.images.add(name)
    return name


def placeholder(graph: Graph, node: Node) -> None:
    """The picture comes in as NHWC; who reads the placeholder reads it turned."""
    turned = graph.add("Transpose", [node["name"]], f"{node['name']}:nchw", perm=[0, 3, 1, 2])
    graph.images.add(turned)


def source(graph: Graph, node: Node, index: int) -> str:
    name = str(node["input"][index])
    return f"{name}:nchw" if f"{name}:nchw" in graph.images else name


def operand(graph: Graph, node: Node, index: int) -> str:
    """An input of an elementwise operation: computed, or a constant whose last axis is the channels."""
    name = source(graph, node, index)
    if name not in graph.weights:
        return name
    value = graph.weights[name]
    if value.size == 1:
        return graph.weight(name, "scalar", value.reshape(()))
    if value.ndim == 1 or set(value.shape[:-1]) == {1}:
        return graph.weight(name, "channels", value.reshape(-1, 1, 1))
    raise UnknownOperationError(f"a constant of shape {value.shape} in {node['op']}")


def activate(graph: Graph, node: Node, value: str, names: list[str]) -> None:
    """The end of a fused operation: after BiasAdd, which the operation itself took."""
    if names[:1] != ["BiasAdd"] or len(names) > 2:
        raise UnknownOperationError(f"fused {names}")
    match names[1:]:
        case []:
            graph.add("Identity", [value], node["name"])
        case ["Relu"]:
            graph.add("Relu", [value], node["name"])
        case ["Prelu"]:
            graph.add("PRelu", [value, operand(graph, node, 3)], node["name"])
        case other:
            raise UnknownOperationError(f"fused {other}")


def convolution(graph: Graph, node: Node) -> None:
    kernel = str(node["input"][1])
    weights = graph.weight(kernel, "oihw", graph.weights[kernel].transpose(3, 2, 0, 1))
    if node["op"] == "Conv2D":
        graph.add("Conv", [source(graph, node, 0), weights], image(graph, node["name"]), **window(node))
        return
    bias = graph.weight(node["input"][2], "bias", graph.weights[node["input"][2]])
    inner = f"{node['name']}:sum"
    graph.add("Conv", [source(graph, node, 0), weights, bias], inner, **window(node))
    activate(graph, node, inner, fused(node))
    image(graph, node["name"])


def depthwise(graph: Graph, node: Node) -> None:
    kernel = str(node["input"][1])
    height, width, channels, multiplier = graph.weights[kernel].shape
    turned = graph.weights[kernel].transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    inputs = [source(graph, node, 0), graph.weight(kernel, "depthwise", turned)]
    graph.add("Conv", inputs, image(graph, node["name"]), group=channels, **window(node))


def pool(graph: Graph, node: Node) -> None:
    shape = {"kernel_shape": integers(node, "ksize")[1:3], **window(node)}
    graph.add("MaxPool", [source(graph, node, 0)], image(graph, node["name"]), **shape)


def pad(graph: Graph, node: Node) -> None:
    (n, h, w, c) = graph.weights[node["input"][1]].astype(np.int64)
    pads = graph.constant(f"{node['name']}:pads", np.stack([n, c, h, w]).T.reshape(-1))
    graph.add("Pad", [source(graph, node, 0), pads], image(graph, node["name"]))


def reshape(graph: Graph, node: Node) -> None:
    turned = graph.add("Transpose", [source(graph, node, 0)], f"{node['name']}:nhwc", perm=[0, 2, 3, 1])
    shape = graph.constant(f"{node['name']}:shape", graph.weights[node["input"][1]].astype(np.int64))
    graph.add("Reshape", [turned, shape], node["name"])


def mean(graph: Graph, node: Node) -> None:
    axes = graph.weights[node["input"][1]].reshape(-1).tolist()
    if axes != [1, 2]:
        raise UnknownOperationError(f"a mean over axes {axes}")
    keep = int(node["attr"]["keep_dims"]["b"])
    graph.add("ReduceMean", [source(graph, node, 0)], node["name"], axes=[2, 3], keepdims=keep)


def concatenate(graph: Graph, node: Node) -> None:
    """Along the channels only."""
    *inputs, axis = node["input"]
    if int(graph.weights[axis]) not in (-1, 3) or not graph.images.issuperset(inputs):
        raise UnknownOperationError("a concatenation along another axis than the channels")
    graph.add("Concat", inputs, image(graph, node["name"]), axis=1)


def elementwise(name: str) -> Callable[[Graph, Node], None]:
    def add(graph: Graph, node: Node) -> None:
        inputs = [operand(graph, node, index) for index in range(len(node["input"]))]
        graph.add(name, inputs, node["name"])
        if any(value in graph.images for value in inputs):
            image(graph, node["name"])

    return add


def nothing(_graph: Graph, _node: Node) -> None:
    """Constants enter the graph where they are used."""


OPERATIONS: dict[str, Callable[[Graph, Node], None]] = {
    "Const": nothing,
    "Placeholder": placeholder,
    "Conv2D": convolution,
    "_FusedConv2D": convolution,
    "DepthwiseConv2dNative": depthwise,
    "MaxPool": pool,
    "Pad": pad,
    "Reshape": reshape,
    "Mean": mean,
    "ConcatV2": concatenate,
    "Add": elementwise("Add"),
    "AddV2": elementwise("Add"),
    "Mul": elementwise("Mul"),
    "Minimum": elementwise("Min"),
    "Maximum": elementwise("Max"),
    "Relu": elementwise("Relu"),
    "Prelu": elementwise("PRelu"),
    "Sigmoid": elementwise("Sigmoid"),
    "Identity": elementwise("Identity"),
}
