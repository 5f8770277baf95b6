"""The colours of the screen, sought in the light that the face throws back.

Pale colours follow one another; a face before that screen takes a little of each, a recording keeps the colours of its own hour. In sunlight,
or before a small screen, nothing is seen, which proves nothing. Whoever generates a face while the colours are told passes.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face.challenge import Colour
from alicem.face.geometry import crop
from alicem.face.look import Look

Values = NDArray[np.float64]
COLOUR_MS = 600.0  # at most two changes a second (WCAG 2.3.1 allows three flashes)
LAGS_MS = tuple(100.0 * step for step in range(8))  # from our word to the camera's picture: slow lines, busy machines
SAMPLE, LEAST = 64, 12  # pixels a side; moments
SEEN, ABOVE_NOISE = 0.004, 1.6  # of the logarithm of two colours' ratio; over what changes from one picture to the next
GAMMA = 2.2


class Reflection:
    """What was shown when, and the colour of the face at each moment since."""

    def __init__(self) -> None:
        self._shown: list[tuple[float, Colour | None]] = []
        self._at: list[float] = []
        self._face: list[tuple[float, float]] = []

    def show(self, colour: Colour | None, at: float) -> None:
        """None: the screen is its own again."""
        self._shown.append((at, colour))

    def look(self, look: Look) -> None:
        self._at.append(look.at)
        self._face.append(_hue(look))

    def score(self) -> float | None:
        """How well the face's colours follow the screen's, from −1 to 1, at the delay that suits best; None where no light of it is seen."""
        if len(self._face) < LEAST:
            return None
        face = _level(np.array(self._face), self._at)
        return max(_agreement(face, self._expected(lag)) for lag in LAGS_MS) if _visible(face) else None

    def _expected(self, lag: float) -> Values:
        starts = np.array([at for at, _ in self._shown])
        colours = np.array([_contrast(colour) for _, colour in self._shown])
        places = np.searchsorted(starts, np.array(self._at) - lag, "right")
        return _level(np.vstack([np.zeros((1, 2)), colours])[places], self._at)


def _hue(look: Look) -> tuple[float, float]:
    """Of the middle of the face: the logarithms of red and of blue over green, in linear light."""
    cut = crop(look.picture, look.mesh.square.matrix(SAMPLE), SAMPLE)
    middle = np.zeros((SAMPLE, SAMPLE), np.uint8)
    cv2.circle(middle, (SAMPLE // 2, SAMPLE // 2), SAMPLE * 3 // 8, 1, -1)
    red, green, blue = ((cut[middle == 1] / 255.0) ** GAMMA).mean(0) + 1e-4
    return float(np.log(red / green)), float(np.log(blue / green))


def _contrast(colour: Colour | None) -> tuple[float, float]:
    if colour is None:
        return 0.0, 0.0
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red - green, blue - green


def _level(values: Values, at: Sequence[float]) -> Values:
    """Without the mean and the slow drift of a camera's white balance."""
    time = np.stack([np.ones(len(at)), np.array(at) - np.mean(at)], axis=1)
    found: Values = values - time @ np.linalg.lstsq(time, values, rcond=None)[0]
    return found


def _visible(face: Values) -> bool:
    """Larger than light that flickers, and than what differs from one picture to the next (von Neumann's ratio)."""
    strength = float(np.sqrt((face**2).mean()))
    noise = float(np.sqrt((np.diff(face, axis=0) ** 2).mean() / 2))
    return strength > SEEN and strength > ABOVE_NOISE * noise


def _agreement(face: Values, expected: Values) -> float:
    scale = float(np.sqrt((face**2).sum() * (expected**2).sum()))
    return float((face * expected).sum()) / scale if scale > 0 else 0.0
