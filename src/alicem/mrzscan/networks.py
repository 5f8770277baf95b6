"""The two networks, files of this package: one finds the lines, one reads them. Trained by alicem.mrzscan.training."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def folder() -> Path:
    return Path(__file__).parent / "weights"


@cache
def _session(name: str) -> onnxruntime.InferenceSession:
    """One thread: one frame is one core's work."""
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        (folder() / f"{name}.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def run(name: str, pictures: Floats) -> Floats:
    """Pictures: n × rows × columns; answers n × channels × rows × columns of the network's own raster."""
    session = _session(name)
    (scores,) = session.run(None, {"picture": pictures[:, None]})
    return np.asarray(scores, np.float32)
