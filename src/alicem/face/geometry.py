"""Crops and similarity transforms: where a network looks, and how its points come back to the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face.images import Picture

Points = NDArray[np.float32]  # n × 2 or n × 3; x to the right, y down, pixels
Matrix = NDArray[np.float64]  # 2 × 3


@dataclass(frozen=True)
class Square:
    """A turned square of the picture: centre, side, and the angle (radians) that brings it upright."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self, size: int) -> Matrix:
        """Picture → crop of `size` pixels."""
        scale = size / self.side
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        middle = size / 2
        return np.array(
            [
                [cos, sin, middle - cos * self.x - sin * self.y],
                [-sin, cos, middle + sin * self.x - cos * self.y],
            ]
        )


def crop(picture: Picture, matrix: Matrix, size: int) -> Picture:
    """The `size` × `size` crop; what lies outside of the picture is its nearest edge."""
    shrink = np.hypot(matrix[0, 0], matrix[0, 1]) < 0.7
    flags = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    if shrink:  # warpAffine does not average: shrink the picture first, then turn
        scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=flags), np.uint8)
        matrix = matrix @ np.diag([1 / scale, 1 / scale, 1.0])
    cut = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def back(points: Points, matrix: Matrix) -> Points:
    """Crop → picture; a third coordinate (depth) is scaled as the two others."""
    linear = np.linalg.inv(matrix[:, :2])
    flat = (points[:, :2] - matrix[:, 2]) @ linear.T
    if points.shape[1] == 2:
        return flat.astype(np.float32)
    depth = points[:, 2:] * np.hypot(linear[0, 0], linear[1, 0])
    return np.hstack([flat, depth]).astype(np.float32)


def similarity(source: Points, target: Points) -> Matrix:
    """The turn, scale and shift that brings one set of points closest to another (Umeyama 1991)."""
    from_mean, to_mean = source.mean(0), target.mean(0)
    a, b = source - from_mean, target - to_mean
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    linear = rotation * (values @ sign) / (a**2).sum()
    return np.hstack([linear, (to_mean - linear @ from_mean)[:, None]])


def tilt(left: Points, right: Points) -> float:
    """The angle of the line from one eye to the other, as the picture shows them left to right."""
    dx, dy = (right - left)[:2]
    return float(np.arctan2(dy, dx))
