"""What is wrong with an answer, and its slope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan.training.layers import Floats

GEOMETRY = 0.05  # weight of the size beside line or not


def characters(scores: Floats, labels: NDArray[np.int64]) -> tuple[float, Floats]:
    """Cross entropy of the columns that have a label. Scores: n × 1 × columns × classes; labels: n × columns."""
    flat, wanted = scores.reshape(-1, scores.shape[-1]), labels.reshape(-1)
    told = wanted >= 0
    shares = np.exp(flat - flat.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(wanted))
    loss = -np.log(shares[rows[told], wanted[told]] + 1e-9).mean()
    shares[rows[told], wanted[told]] -= 1
    shares *= told[:, None] / max(1, told.sum())
    return float(loss), shares.reshape(scores.shape).astype(np.float32)


def lines(answers: Floats, wanted: Floats) -> tuple[float, Floats]:
    """Line or not, for each cell; size only where there is a line. Both n × rows × columns × 2."""
    heat, truth = answers[..., 0], wanted[..., 0]
    shares = 1 / (1 + np.exp(-np.clip(heat, -30, 30)))
    doubt = np.maximum(heat, 0) - heat * truth + np.log1p(np.exp(-np.abs(heat)))
    there = (truth > 0.5)[..., None]
    many = max(1, int(there.sum()))
    away = np.where(there, answers[..., 1:] - wanted[..., 1:], 0)
    slope = np.empty_like(answers)
    slope[..., 0] = (shares - truth) / heat.size
    slope[..., 1:] = np.clip(away, -0.5, 0.5) * (GEOMETRY / many)
    near = np.minimum(np.abs(away), 0.5)  # Huber 1964
    loss = doubt.mean() + GEOMETRY * (near * (np.abs(away) - near / 2)).sum() / many
    return float(loss), slope
