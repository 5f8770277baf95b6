"""Training: slopes agree with small steps, samples come again from their seed, a trained chain is the same in ONNX."""

import numpy as np
import onnxruntime
import pytest

from alicem.mrzscan.characters import BLANK, COLUMN, ROWS
from alicem.mrzscan.training import losses, scenes, writing
from alicem.mrzscan.training.camera import from_seed
from alicem.mrzscan.training.layers import Adam, Conv, backward, chain, forward, parameters
from alicem.mrzscan.training.onnx_file import onnx_file
from alicem.mrzscan.training.shapes import CHARACTERS, LINES

SMALL = (
    Conv(5, (5, 5), (2, 2), padding=(2, 2)),
    Conv(4, dilation=2, padding=(2, 2)),
    Conv(6, (2, 3), (1, 2), padding=(0, 1)),
    Conv(3, (1, 1), padding=(0, 0)),
)


def test_slopes_agree_with_small_steps() -> None:
    rng = np.random.default_rng(1)
    layers = chain(SMALL, rng)
    for layer in layers:  # twice the figures, so that a step may be small
        layer.weights, layer.bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)  # type: ignore[assignment]
    pictures = rng.normal(size=(2, 12, 14, 1))
    trace = forward(layers, pictures)
    wanted = rng.normal(size=trace[-1].shape)
    for values, slope in zip(parameters(layers), backward(layers, trace, wanted), strict=True):
        direction, kept, ends = rng.normal(size=values.shape), values.copy(), []
        for step in (-1e-6, 1e-6):
            values[...] = kept + step * direction
            ends.append(float((forward(layers, pictures)[-1] * wanted).sum()))
        values[...] = kept
        assert (ends[1] - ends[0]) / 2e-6 == pytest.approx(float((slope * direction).sum()), rel=1e-5)


def test_losses_agree_with_small_steps() -> None:
    rng = np.random.default_rng(2)
    scores, labels = rng.normal(size=(2, 1, 9, 38)).astype(np.float32), rng.integers(-1, 38, (2, 9))
    answers = rng.normal(size=(2, 6, 6, 2)).astype(np.float32)
    truth = np.concatenate([rng.random((2, 6, 6, 1)), rng.normal(size=(2, 6, 6, 1))], -1).astype(np.float32)
    for loss, at, wanted in ((losses.characters, scores, labels), (losses.lines, answers, truth)):
        direction = rng.normal(size=at.shape).astype(np.float32)
        slope = float((loss(at, wanted)[1] * direction).sum())
        ends = [loss(at + np.float32(step) * direction, wanted)[0] for step in (-1e-3, 1e-3)]
        assert (ends[1] - ends[0]) / 2e-3 == pytest.approx(slope, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("draw", [writing.batch, scenes.batch], ids=["characters", "lines"])
def test_samples_come_again_from_their_seed_and_place(draw: writing.Draw) -> None:
    first, again, other = (from_seed(draw, 5, 4, place) for place in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_strip_is_labelled_letter_by_letter() -> None:
    strips, labels = writing.batch(np.random.default_rng(6), 8)
    assert strips.shape[1:] == (ROWS, labels.shape[1] * COLUMN, 1)
    assert labels.min() >= writing.IGNORED and labels.max() <= BLANK
    for row in labels:
        letters = 1 + (np.diff(np.flatnonzero((row >= 0) & (row < BLANK))) > 1).sum()
        assert 3 <= letters <= 21


def test_a_chain_learns_and_is_the_same_in_onnx() -> None:
    """A few dozen steps on one batch halve the loss; onnxruntime then answers what numpy does."""
    rng = np.random.default_rng(7)
    strips, labels = writing.batch(rng, 2)
    layers = chain(CHARACTERS, rng)
    adam, found = Adam(parameters(layers)), []
    for _ in range(25):
        trace = forward(layers, strips)
        value, slope = losses.characters(trace[-1], labels)
        adam(backward(layers, trace, slope), 2e-3)
        found.append(value)
    assert found[-1] < 0.7 * found[0]
    file = onnx_file(layers, "characters", 7, 25)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"picture": strips.transpose(0, 3, 1, 2)})
    assert np.allclose(answer.transpose(0, 2, 3, 1), forward(layers, strips)[-1], atol=1e-3)


def test_the_network_of_lines_answers_a_cell_for_four_pixels() -> None:
    rng = np.random.default_rng(8)
    trace = forward(chain(LINES, rng), rng.normal(size=(1, 64, 96, 1)).astype(np.float32))
    assert trace[-1].shape == (1, 16, 24, 2)
