"""A specimen person in numbers."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from alicem.demo.portraits.sources import OUTLINES, SOURCES

Colour = tuple[float, float, float]

TRAITS = frozenset(
    (
        *("width", "jaw", "forehead", "chin", "length", "eyes_apart", "eye_size", "eye_tilt", "eyes", "brow"),
        *("brow_tilt", "cheeks", "nose_width", "nose_length", "mouth_width", "mouth", "lips"),
    )
)


@dataclass(frozen=True)
class Face:
    """A person in numbers. Mixes name the sources with their weights; colours are in L, a, b."""

    head: str
    shape: Mapping[str, float]
    skin: Mapping[str, float]
    eyes: Mapping[str, float]
    nose: Mapping[str, float]
    mouth: Mapping[str, float]
    light: Mapping[str, float]
    traits: Mapping[str, float] = field(default_factory=dict)
    tone: Colour | None = None  # of the cheeks; without it, the head's own
    hair: Colour | None = None
    volume: float = 1.0  # of the hair
    mirrored: bool = False
    clothes: str = "#39465a"


class FaceError(ValueError):
    """A face that the table does not describe."""


def parse(table: Mapping[str, Any]) -> Face:
    """A table of faces.toml."""
    try:
        face = Face(
            head=str(table["head"]),
            shape=_mix(table["shape"]),
            skin=_mix(table["skin"]),
            eyes=_mix(table["eyes"]),
            nose=_mix(table["nose"]),
            mouth=_mix(table["mouth"]),
            light=_mix(table["light"]),
            traits={str(name): float(value) for name, value in table.get("traits", {}).items()},
            tone=_colour(table.get("tone")),
            hair=_colour(table.get("hair")),
            volume=float(table.get("volume", 1.0)),
            mirrored=bool(table.get("mirrored", False)),
            clothes=str(table["clothes"]),
        )
    except (KeyError, TypeError) as error:
        raise FaceError(f"face: {error}") from error
    if face.head not in OUTLINES or not TRAITS.issuperset(face.traits):
        raise FaceError(f"face: unknown head or trait among {face.head}, {', '.join(face.traits)}")
    return face


@cache
def faces() -> Mapping[str, Face]:
    """The specimen persons of faces.toml, by name."""
    tables = tomllib.loads(files(__package__).joinpath("faces.toml").read_text(encoding="utf-8"))
    return {name: parse(table) for name, table in tables.items()}


def _mix(weights: Mapping[str, Any]) -> dict[str, float]:
    total = sum(weights.values())
    if not SOURCES.keys() >= weights.keys() or total <= 0:
        raise FaceError(f"face: {dict(weights)} is no mix of {', '.join(SOURCES)}")
    return {name: float(weight) / total for name, weight in weights.items()}


def _colour(values: Any) -> Colour | None:
    if values is None:
        return None
    lightness, a, b = values
    return float(lightness), float(a), float(b)
