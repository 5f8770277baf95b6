"""Networks that turn a face into a vector, described in numbers, so that an operator's own takes its place by configuration.

Two come with the product (`BUILT_IN`); a stronger one is a row in the operator's file, see docs/face-networks.md. How
its answers are scaled and held against a threshold is said in the same file: no matcher has a default for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face.detect import LEFT_EYE, MOUTH, RIGHT_EYE, Mesh
from alicem.face.geometry import Points, Square, crop, similarity
from alicem.face.images import Picture
from alicem.face.models import Models, OwnNetwork

Vector = NDArray[np.float32]
Alignment = Literal["dlib", "arcface", "square"]

# dlib's five points (outer and inner corners of the eyes, under the nose), as mesh points and as places in its
# crop, from 0 to 1: `get_face_chip_details` with a padding of 0.25
DLIB_POINTS = [263, 362, 33, 133, 2]
DLIB_PLACES = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ],
    np.float32,
)
# ArcFace's: the middles of the eyes, the tip of the nose, the corners of the mouth, in its crop of 112 pixels
ARCFACE_PLACES = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
ARCFACE_SIZE, NOSE_TIP = 112, 4
SIZES = range(32, 513)


@dataclass(frozen=True)
class Matcher:
    """How a face is cut out, shown to a network and compared.

    `mean` and `std` are a channel's, in the order of `colours`, on samples of 0…255. `square` cuts the upright square
    of the mesh, `margin` times as wide. `root` takes the square root of features that are never negative (the Hellinger
    kernel): the few that are strong in every face weigh less.
    """

    name: str
    size: int
    alignment: Alignment
    colours: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhwc", "nchw"] = "nhwc"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    margin: float = 1.3
    root: bool = False
    metric: Literal["cosine", "euclidean"] = "cosine"
    output: str = "embedding"
    own: OwnNetwork | None = None

    def vector(self, models: Models, picture: Picture, mesh: Mesh) -> Vector:
        """The face and its mirror image, averaged."""
        cut = self._cut(picture, mesh)
        return self.join([self._run(models, cut), self._run(models, np.ascontiguousarray(cut[:, ::-1]))])

    def join(self, vectors: list[Vector]) -> Vector:
        """Several looks at one face as one vector."""
        if self.metric == "euclidean":
            return np.asarray(np.mean(vectors, axis=0), np.float32)
        return unit(np.sum([unit(one) for one in vectors], axis=0))

    def compare(self, a: Vector, b: Vector) -> float:
        """The greater, the more alike."""
        return float(a @ b) if self.metric == "cosine" else -float(np.linalg.norm(a - b))

    def _run(self, models: Models, cut: Picture) -> Vector:
        ordered = cv2.cvtColor(cut, cv2.COLOR_RGB2BGR) if self.colours == "bgr" else cut
        values = (ordered.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        shown = values[None] if self.layout == "nhwc" else values.transpose(2, 0, 1)[None]
        found = models.run(self.name, np.ascontiguousarray(shown))
        vector = (found[self.output] if self.output in found else next(iter(found.values()))).reshape(-1)
        return np.sqrt(np.maximum(vector, 0)) if self.root else vector

    def _cut(self, picture: Picture, mesh: Mesh) -> Picture:
        if self.alignment == "square":
            square = mesh.square
            wide = Square(square.x, square.y, self.margin * square.side, square.angle)
            return crop(picture, wide.matrix(self.size), self.size)
        return crop(picture, similarity(*self._points(mesh.points[:, :2])), self.size)

    def _points(self, points: Points) -> tuple[Points, Points]:
        """Five points of the face, and where the network wants them in its crop."""
        if self.alignment == "dlib":
            return points[DLIB_POINTS], (DLIB_PLACES + 0.25) / 1.5 * self.size
        eyes = [points[list(LEFT_EYE)].mean(0), points[list(RIGHT_EYE)].mean(0)]
        found = np.array([*eyes, points[NOSE_TIP], *points[list(MOUTH)]], np.float32)
        return found, ARCFACE_PLACES * (self.size / ARCFACE_SIZE)


def unit(vector: Vector) -> Vector:
    scaled: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


BUILT_IN = (
    Matcher("dlib", 150, "dlib"),
    Matcher("faceres", 224, "square", "bgr", mean=(103.939, 116.779, 123.68), root=True),
)


def read_matcher(row: Mapping[str, Any], folder: Path) -> Matcher:
    """A `[[matcher]]` of the operator's file; paths are relative to it. Raises `ValueError`, which names the key.

    `path`, `sha256`, `licence`, `size` and `alignment` have no default.
    """
    known = {"name", "path", "sha256", "licence", "size", "alignment", "colours", "layout", "mean", "std", "margin", "metric", "output"}  # fmt: skip
    wanted = {"name", "path", "sha256", "licence", "size", "alignment"}
    if unknown := set(row) - known:
        raise ValueError(f"matcher: unknown key {min(unknown)}")
    if missing := wanted - set(row):
        raise ValueError(f"matcher: {min(missing)} is missing")
    words = {"alignment": ("dlib", "arcface", "square"), "colours": ("rgb", "bgr"), "layout": ("nhwc", "nchw"), "metric": ("cosine", "euclidean")}  # fmt: skip
    for key, allowed in words.items():
        if key in row and row[key] not in allowed:
            raise ValueError(f"matcher {row['name']}: {key} is one of {', '.join(allowed)}")
    if row["size"] not in SIZES:
        raise ValueError(f"matcher {row['name']}: size is {SIZES.start} to {SIZES.stop - 1} pixels")
    own = OwnNetwork(folder / str(row["path"]), str(row["sha256"]), str(row["licence"]))
    rest = {key: row[key] for key in ("size", "alignment", "colours", "layout", "metric", "output") if key in row}
    mean, std = _three(row, "mean", 0.0), _three(row, "std", 1.0)
    return Matcher(str(row["name"]), **rest, mean=mean, std=std, margin=float(row.get("margin", 1.3)), own=own)


def _three(row: Mapping[str, Any], key: str, default: float) -> tuple[float, float, float]:
    given = row.get(key, default)
    values = given if isinstance(given, list) else [given] * 3
    if len(values) != 3 or (key == "std" and 0 in values):
        raise ValueError(f"matcher {row['name']}: {key} is one number or three")
    first, second, third = (float(value) for value in values)
    return first, second, third
