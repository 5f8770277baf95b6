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
    names = {}
    for index, (x, y) in enumerate(points):
        names[division.insert((float(x), float(y)))] = index
    found = []
    for triangle in np.asarray(division.getTriangleList()).reshape(-1, 3, 2):
        corners = [_nearest(points, corner) for corner in triangle]
        if None not in corners and len(set(corners)) == 3:
            found.append(corners)
    return np.array(found, np.int32)


def _nearest(points: Floats, corner: Floats) -> int | None:
    distance = np.abs(points - corner).sum(1)
    best = int(distance.argmin())
    return best if distance[best] < 1e-2 else None


def cover(
    source: Floats, target: Floats, triangles: Triangles, size: tuple[int, int], depth: Floats | None = None
) -> Cover:
    """`size` is width, height; with `depth` (larger is farther) the far triangles are drawn first."""
    width, height = size
    order = np.arange(len(triangles))
    if depth is not None:
        order = np.argsort(-depth[triangles].mean(1), kind="stable")
    closed = _area(target[triangles[order]]) < COLLAPSED
    order = np.concatenate([order[closed], order[~closed]])
    owner = np.full((height, width), -1, np.int32)
    corners = np.round(target[triangles] * 16).astype(np.int32)  # sixteenths of a pixel
    for index in order:
        cv2.fillConvexPoly(owner, corners[index], int(index), lineType=cv2.LINE_8, shift=4)
    maps = _affine(target[triangles], source[triangles])
    inside = owner >= 0
    rows, columns = np.nonzero(inside)
    chosen = maps[owner[inside]]
    x = np.full((height, width), -1e4, np.float32)
    y = np.full((height, width), -1e4, np.float32)
    x[inside] = chosen[:, 0, 0] * columns + chosen[:, 0, 1] * rows + chosen[:, 0, 2]
    y[inside] = chosen[:, 1, 0] * columns + chosen[:, 1, 1] * rows + chosen[:, 1, 2]
    return Cover(x, y)


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
