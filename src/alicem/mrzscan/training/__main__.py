"""`python -m alicem.mrzscan.training`: train both networks from nothing and write them into the package.

Every sample is drawn by chance from the seed, none is seen twice, nothing is downloaded. The same seed gives the same
samples everywhere; the weights agree to rounding, which the number of threads changes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from alicem.mrzscan.networks import folder
from alicem.mrzscan.training import losses, scenes, writing
from alicem.mrzscan.training.camera import from_seed
from alicem.mrzscan.training.layers import Adam, Chain, Conv, Floats, backward, chain, forward, parameters
from alicem.mrzscan.training.onnx_file import onnx_file
from alicem.mrzscan.training.shapes import CHARACTERS, LINES

SEED = 9303
RATE = 2e-3
Draw = Callable[[np.random.Generator, int], tuple[Floats, Any]]
Loss = Callable[[Floats, Any], tuple[float, Floats]]

NETWORKS: dict[str, tuple[tuple[Conv, ...], Draw, Loss, int, int]] = {  # the last two: samples of a batch, batches
    "lines": (LINES, scenes.batch, losses.lines, 16, 2500),
    "characters": (CHARACTERS, writing.batch, losses.characters, 32, 4500),
}


def train(layers: Chain, draw: Draw, loss: Loss, size: int, count: int) -> Chain:
    adam, began, lately = Adam(parameters(layers)), time.monotonic(), 0.0
    for place in range(count):
        pictures, wanted = from_seed(draw, SEED, size, place)
        trace = forward(layers, pictures)
        value, slope = loss(trace[-1], wanted)
        rate = RATE * min(1, place / 200) * (0.5 + 0.5 * np.cos(np.pi * place / count))
        adam(backward(layers, trace, slope), rate)
        lately = value if place == 0 else 0.99 * lately + 0.01 * value
        if place % 100 == 0:
            print(f"{place}/{count} loss {lately:.4f} {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return layers


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m alicem.mrzscan.training")
    parser.add_argument("network", choices=tuple(NETWORKS))
    asked = parser.parse_args()
    shapes, draw, loss, size, count = NETWORKS[asked.network]
    layers = train(chain(shapes, np.random.default_rng(SEED)), draw, loss, size, count)
    (folder() / f"{asked.network}.onnx").write_bytes(onnx_file(layers, asked.network, SEED, count))


if __name__ == "__main__":
    main()
