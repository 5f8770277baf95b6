"""Piecewise-affine warps: a picture bent so that its points come where they should, nearer triangles in front."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Pixels = NDArray[Any]
Triangles = NDArray[np.int32]


COLLAPSED = 0.7  # square pixels: what a closed mouth hides is drawn under everything else


@dataclass(frozen=True)
class Cover:
    """For every pixel of the result, where it comes from in the source; outside of all triangles, nowhere."""

    x: Floats
    y: Floats

    def apply(self, picture: Floats, flags: int = cv2.INTER_LINEAR) -> Floats:
        return np.asarray(cv2.remap(picture, self.x, self.y, flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def triangulate(points: Floats) -> Triangles:
    """Delaunay triangles of two-dimensional points."""
    low, high = points.min(0) - 10, points.max(0) + 10
    width, height = high - low
    division = cv2.Subdiv2D((float(low[0]), float(low[1]), float(width) + 1, float(height) + 1))
    for x, y in points:
        division.insert((float(x), float(y)))
    corners = np.asarray(division.getTriangleList()).reshape(-1, 2)
    distance = np.abs(corners[:, None] - points[None]).sum(2)
    nearest = np.where(distance.min(1) < 1e-2, distance.argmin(1), -1).reshape(-1, 3)
    whole = (nearest >= 0).all(1)  # the others lean on the frame that the division adds
    return np.asarray(nearest[whole], np.int32)


@dataclass(frozen=True)
class Drawn:
    """Which triangle of the target each pixel belongs to; −1 where there is none."""

    owner: NDArray[np.int32]
    target: Floats
    triangles: Triangles

    def over(self, source: Floats) -> Cover:
        maps = _affine(self.target[self.triangles], source[self.triangles])
        inside = self.owner >= 0
        rows, columns = np.nonzero(inside)
        chosen = maps[self.owner[inside]]
        x = np.full(self.owner.shape, NOWHERE, np.float32)
        y = np.full(self.owner.shape, NOWHERE, np.float32)
        x[inside] = chosen[:, 0, 0] * columns + chosen[:, 0, 1] * rows + chosen[:, 0, 2]
        y[inside] = chosen[:, 1, 0] * columns + chosen[:, 1, 1] * rows + chosen[:, 1, 2]
        return Cover(x, y)


NOWHERE = -1e4


def draw(target: Floats, triangles: Triangles, size: tuple[int, int], depth: Floats) -> Drawn:
    """`size` is width, height; the far triangles (larger depth) are drawn first."""
    width, height = size
    order = np.argsort(-depth[triangles].mean(1), kind="stable")
    closed = _area(target[triangles[order]]) < COLLAPSED
    owner = np.full((height, width), -1, np.int32)
    corners = np.round(target[triangles] * 16).astype(np.int32)  # sixteenths of a pixel
    for index in [*order[closed], *order[~closed]]:
        cv2.fillConvexPoly(owner, corners[index], int(index), lineType=cv2.LINE_8, shift=4)
    return Drawn(owner, target, triangles)


def cover(source: Floats, target: Floats, triangles: Triangles, size: tuple[int, int], depth: Floats) -> Cover:
    return draw(target, triangles, size, depth).over(source)


def _area(corners: Floats) -> Floats:
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2)


def _affine(target: Floats, source: Floats) -> Floats:
    """For each triangle the 2×3 matrix that leads from the target back to the source."""
    ones = np.ones((*target.shape[:2], 1))
    left = np.concatenate([target, ones], axis=2)
    flat = np.abs(np.linalg.det(left)) < 1e-6
    left[flat] = np.eye(3)
    maps: Floats = np.linalg.solve(left, source).transpose(0, 2, 1)
    maps[flat] = 0
    return maps
