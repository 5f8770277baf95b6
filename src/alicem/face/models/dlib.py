"""dlib's face recognition ResNet, from its `.dat` file into ONNX.

The file is a chain of layers in the order the picture meets them, each opened by its name; parameters are
tensors of four packed integers (samples, channels, rows, columns) and little-endian floats. The shape of the
network is fixed by dlib's example `dnn_face_recognition_ex.cpp` (29 convolutions): it is written below, the
file gives the numbers. Licence of the weights: CC0.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from alicem.face.models.tfjs import serialise

Tensor = NDArray[np.float32]

SIZE = 150
MEAN = (122.782, 117.001, 104.298)
# filters, residual blocks, whether the first of them halves the picture
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
# the layers that carry weights, and how many integers stand before their tensor
NAMES = {"con_4": 0, "affine_": 0, "fc_2": 2}


class UnreadableWeightsError(Exception):
    """The file is not the network that is expected."""


def packed(data: bytes, at: int) -> tuple[int, int]:
    """dlib's integers: a byte with the sign and the number of bytes, then these, least significant first."""
    head = data[at]
    size = head & 0x0F
    value = int.from_bytes(data[at + 1 : at + 1 + size], "little")
    return (-value if head & 0x80 else value), at + 1 + size


def tensor(data: bytes, at: int) -> Tensor:
    version, at = packed(data, at)
    if version != 2:
        raise UnreadableWeightsError(f"a tensor of version {version}")
    shape = []
    for _ in range(4):
        size, at = packed(data, at)
        shape.append(size)
    return np.frombuffer(data, "<f4", int(np.prod(shape)), at).reshape(shape)


def layers(data: bytes) -> Iterator[tuple[str, Tensor]]:
    """The layers that carry weights, in order: name and parameters, a flat tensor."""
    at = 0
    while found := [(data.find(tag(name), at), name) for name in NAMES if data.find(tag(name), at) >= 0]:
        start, name = min(found)
        at = start + len(tag(name))
        for _ in range(NAMES[name]):
            _, at = packed(data, at)
        parameters = tensor(data, at)
        yield name, parameters.reshape(-1)
        at += parameters.nbytes


def tag(name: str) -> bytes:
    return b"\x01" + bytes([len(name)]) + name.encode()


class _Network:
    """ONNX nodes under construction; each method adds a layer and answers its output's name."""

    def __init__(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        name = f"weights_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def take(self, wanted: str) -> Tensor:
        name, values = next(self.weights, ("the end", np.zeros(0, np.float32)))
        if name != wanted:
            raise UnreadableWeightsError(f"{name} where {wanted} was expected")
        return values

    def convolution(self, source: str, filters: int, channels: int, size: int, stride: int) -> str:
        """A convolution and the affine layer after it, folded into one."""
        values = self.take("con_4")
        count = filters * channels * size * size
        kernel = values[:count].reshape(filters, channels, size, size)
        bias = values[count:] if values.size == count + filters else np.zeros(filters, np.float32)
        gamma, beta = self.take("affine_").reshape(2, filters)
        weights = self.constant(kernel * gamma[:, None, None, None])
        shift = self.constant(bias * gamma + beta)
        edge = 0 if stride > 1 else size // 2  # dlib pads nothing where it strides
        inputs = [source, weights, shift]
        return self.add("Conv", inputs, strides=[stride, stride], pads=[edge] * 4)

    def residual(self, source: str, shape: tuple[int, int], filters: int, halve: bool) -> tuple[str, tuple[int, int]]:
        """dlib's `ares` and `ares_down`: what differs in size is completed with zeros before the addition."""
        channels, rows = shape
        inner = self.add("Relu", [self.convolution(source, filters, channels, 3, 2 if halve else 1)])
        inner = self.convolution(inner, filters, filters, 3, 1)
        after = (rows - 3) // 2 + 1 if halve else rows
        short, kept = source, rows
        if halve:
            short, kept = self.add("AveragePool", [source], kernel_shape=[2, 2], strides=[2, 2]), rows // 2
        size = max(after, kept)
        inner = self.widen(inner, filters, filters, size - after)
        short = self.widen(short, channels, filters, size - kept)
        return self.add("Relu", [self.add("Add", [inner, short])]), (filters, size)

    def widen(self, source: str, channels: int, wanted: int, rows: int) -> str:
        if channels == wanted and rows == 0:
            return source
        pads = np.array([0, 0, 0, 0, 0, wanted - channels, rows, rows], np.int64)
        return self.add("Pad", [source, self.constant(pads)])


def convert(data: bytes) -> bytes:
    """The ONNX file: an RGB picture 1×150×150×3 of 0…255 in, `embedding` 1×128 out."""
    network = _Network(layers(data))
    picture = network.add("Transpose", ["picture"], perm=[0, 3, 1, 2])
    mean = network.constant(np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
    scale = network.constant(np.array(256, np.float32))
    picture = network.add("Div", [network.add("Sub", [picture, mean]), scale])
    value = network.add("Relu", [network.convolution(picture, 32, 3, 7, 2)])
    value = network.add("MaxPool", [value], kernel_shape=[3, 3], strides=[2, 2])
    shape = (32, ((SIZE - 7) // 2 + 1 - 3) // 2 + 1)
    for filters, blocks, halved in LEVELS:
        for block in range(blocks):
            value, shape = network.residual(value, shape, filters, halved and block == 0)
    value = network.add("ReduceMean", [value], axes=[2, 3], keepdims=0)
    matrix = network.constant(network.take("fc_2").reshape(shape[0], 128))
    network.nodes.append(helper.make_node("MatMul", [value, matrix], ["embedding"]))
    if (left := next(network.weights, None)) is not None:
        raise UnreadableWeightsError(f"{left[0]} after the last layer")
    return serialise(network.nodes, network.constants, "picture", [1, SIZE, SIZE, 3], ["embedding"])
