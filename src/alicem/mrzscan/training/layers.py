"""Chains of convolutions trained with numpy alone: forward, backward, Adam. One kind of layer, no framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv:
    """One convolution: `channels` out, kernel and stride as (rows, columns). All but the last are rectified."""

    channels: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    dilation: int = 1
    padding: Pair = (1, 1)

    def out(self, rows: int, columns: int) -> Pair:
        reach = [self.dilation * (side - 1) + 1 for side in self.kernel]
        sizes = zip((rows, columns), self.padding, reach, self.stride, strict=True)
        height, width = ((size + 2 * pad - span) // step + 1 for size, pad, span, step in sizes)
        return height, width

    def taps(self, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
        """Where each weight of the kernel looks in the padded input, for an output of rows × columns."""
        down, right = self.stride
        for y in range(0, self.kernel[0] * self.dilation, self.dilation):
            for x in range(0, self.kernel[1] * self.dilation, self.dilation):
                yield slice(y, y + down * (rows - 1) + 1, down), slice(x, x + right * (columns - 1) + 1, right)


@dataclass
class Layer:
    """A convolution with its weights: (taps × channels in) × channels out."""

    shape: Conv
    weights: Floats
    bias: Floats


Chain = list[Layer]


def chain(shapes: tuple[Conv, ...], rng: np.random.Generator, channels: int = 1) -> Chain:
    """Fresh weights (He et al. 2015) for pictures of `channels`."""
    layers = []
    for shape in shapes:
        size = shape.kernel[0] * shape.kernel[1] * channels
        weights = rng.normal(0, np.sqrt(2 / size), (size, shape.channels)).astype(np.float32)
        layers.append(Layer(shape, weights, np.zeros(shape.channels, np.float32)))
        channels = shape.channels
    return layers


Trace = list[Floats]  # the pictures that a chain is given, and what each layer makes of them


def forward(layers: Chain, pictures: Floats) -> Trace:
    """Pictures: n × rows × columns × channels. The answer is the last of the trace."""
    trace = [pictures]
    for layer in layers:
        rows, columns = layer.shape.out(*trace[-1].shape[1:3])
        out = np.empty((len(pictures), rows, columns, layer.shape.channels), pictures.dtype)
        for one, picture in zip(out, trace[-1], strict=True):  # one by one: what is unfolded then stays in the cache
            one[...] = _unfold(picture, layer.shape) @ layer.weights + layer.bias
        trace.append(out if layer is layers[-1] else np.maximum(out, 0, out=out))
    return trace


def backward(layers: Chain, trace: Trace, slope: Floats) -> list[Floats]:
    """The slope of the loss in every weight and bias, in the order of `parameters`, given its slope in the output."""
    found: list[Floats] = []
    for layer, before, after in reversed(list(zip(layers, trace[:-1], trace[1:], strict=True))):
        if layer is not layers[-1]:
            slope = slope * (after > 0)
        weights, below = np.zeros_like(layer.weights), np.zeros_like(before)
        for one, picture, there in zip(slope, before, below, strict=True):
            flat = one.reshape(-1, one.shape[-1])
            weights += _unfold(picture, layer.shape).reshape(len(flat), -1).T @ flat
            if layer is not layers[0]:
                _fold(one @ layer.weights.T, there, layer.shape)
        found += [slope.sum((0, 1, 2)), weights]
        slope = below
    return found[::-1]


def parameters(layers: Chain) -> list[Floats]:
    return [one for layer in layers for one in (layer.weights, layer.bias)]


def _unfold(picture: Floats, shape: Conv) -> Floats:
    """Rows × columns × (taps × channels): what each weight looks at."""
    down, right = shape.padding
    padded = np.pad(picture, ((down, down), (right, right), (0, 0)))
    rows, width = shape.out(*picture.shape[:2])
    return np.concatenate([padded[y, x] for y, x in shape.taps(rows, width)], axis=2)


def _fold(columns: Floats, picture: Floats, shape: Conv) -> None:
    """Into `picture` the sum of what `_unfold` would take from each of its places."""
    (rows, width, channels), (down, right) = picture.shape, shape.padding
    whole = np.zeros((rows + 2 * down, width + 2 * right, channels), columns.dtype)
    for place, (y, x) in enumerate(shape.taps(*columns.shape[:2])):
        whole[y, x] += columns[..., place * channels : (place + 1) * channels]
    picture[...] = whole[down : down + rows, right : right + width]


class Adam:
    """Kingma and Ba 2015, with decoupled decay of the weights."""

    def __init__(self, values: list[Floats], decay: float = 1e-4) -> None:
        self.values, self.decay, self.step = values, decay, 0
        self.mean = [np.zeros_like(one) for one in values]
        self.square = [np.zeros_like(one) for one in values]

    def __call__(self, slopes: list[Floats], rate: float) -> None:
        self.step += 1
        early = np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        for value, mean, square, slope in zip(self.values, self.mean, self.square, slopes, strict=True):
            mean[...] += 0.1 * (slope - mean)
            square[...] += 0.001 * (slope**2 - square)
            value[...] -= np.float32(rate) * (np.float32(early) * mean / (np.sqrt(square) + 1e-8) + self.decay * value)
