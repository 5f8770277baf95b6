"""Attack detectors of the operator: networks that answer how much a moment looks like a picture of a person.

None comes with the product: those that may be had freely carried no signal in what was measured (docs/measurements.md).
Each is one more layer: above its threshold the check is refused, and a detector that could not look refuses as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from alicem.face.detect import Mesh
from alicem.face.geometry import Square, crop
from alicem.face.images import Picture
from alicem.face.models import Models, OwnNetwork

SIZES = range(32, 513)
KEYS = {
    "name",
    "path",
    "sha256",
    "licence",
    "size",
    "margin",
    "colours",
    "layout",
    "mean",
    "std",
    "attack",
    "threshold",
}
WANTED = {"name", "path", "sha256", "licence", "size", "margin", "attack", "threshold"}


@dataclass(frozen=True)
class Detector:
    """`attack` are the places of its answer that mean an attack; several places are made to add up to one first."""

    name: str
    size: int
    margin: float
    attack: tuple[int, ...]
    threshold: float
    own: OwnNetwork
    colours: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhwc", "nchw"] = "nchw"
    mean: float = 0.0
    std: float = 1.0

    @property
    def score(self) -> str:
        """Its name among the scores and thresholds."""
        return f"attack_{self.name}"

    def look(self, models: Models, picture: Picture, mesh: Mesh) -> float:
        """From 0 to 1, the greater the more like an attack."""
        square = mesh.square
        wide = Square(square.x, square.y, self.margin * square.side, square.angle)
        cut = crop(picture, wide.matrix(self.size), self.size)
        ordered = cut[..., ::-1] if self.colours == "bgr" else cut
        values = (ordered.astype(np.float32) - self.mean) / self.std
        shown = values[None] if self.layout == "nhwc" else values.transpose(2, 0, 1)[None]
        answer = next(iter(models.run(self.name, np.ascontiguousarray(shown)).values())).reshape(-1).astype(np.float64)
        if len(answer) == 1:
            return float(1 / (1 + np.exp(-answer[0]))) if not 0 <= answer[0] <= 1 else float(answer[0])
        shares = np.exp(answer - answer.max())
        return float(shares[list(self.attack)].sum() / shares.sum())


def read_detector(row: Mapping[str, Any], folder: Path) -> Detector:
    """A `[[detector]]` of the operator's file; paths are relative to it. Raises `ValueError`, which names the key."""
    if unknown := set(row) - KEYS:
        raise ValueError(f"detector: unknown key {min(unknown)}")
    if missing := WANTED - set(row):
        raise ValueError(f"detector: {min(missing)} is missing")
    for key, words in (("colours", ("rgb", "bgr")), ("layout", ("nhwc", "nchw"))):
        if row.get(key, words[0]) not in words:
            raise ValueError(f"detector {row['name']}: {key} is one of {', '.join(words)}")
    attack = row["attack"] if isinstance(row["attack"], list) else [row["attack"]]
    if row["size"] not in SIZES or not attack or not all(isinstance(place, int) and place >= 0 for place in attack):
        raise ValueError(
            f"detector {row['name']}: size is {SIZES.start} to {SIZES.stop - 1}, attack a place or several"
        )
    own = OwnNetwork(folder / str(row["path"]), str(row["sha256"]), str(row["licence"]))
    mean, std = float(row.get("mean", 0.0)), float(row.get("std", 1.0))
    chosen: dict[str, Any] = {key: row[key] for key in ("colours", "layout") if key in row}
    return Detector(
        str(row["name"]), row["size"], float(row["margin"]), tuple(attack), float(row["threshold"]), own,
        mean=mean, std=std, **chosen,
    )  # fmt: skip
