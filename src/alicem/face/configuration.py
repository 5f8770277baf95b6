"""The operator's file of face networks: matchers in place of ours, attack detectors beside our rules (docs/face-networks.md)."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alicem.face.camera import SCORE
from alicem.face.detectors import Detector, read_detector
from alicem.face.matchers import BUILT_IN, Matcher, read_matcher
from alicem.face.models import Models, OwnNetwork
from alicem.face.thresholds import Thresholds, operating_point, published

FILE_MAX, NETWORKS_MAX = 1 << 16, 8


class ConfigurationError(ValueError):
    """A file of face networks that cannot be followed; the text names the key."""


@dataclass(frozen=True)
class Configuration:
    """What the check runs with. Without a file: the networks of the product and its published thresholds."""

    thresholds: Thresholds = field(default_factory=published)
    detectors: Sequence[Detector] = ()
    colours_required: bool = False  # where the screen's light is not seen on the face, the check is not accepted
    virtual_camera_signs: bool = False

    @property
    def limits(self) -> Mapping[str, float]:
        """What the scores are held against, by their names."""
        limits = self.thresholds.decision()
        return {**limits, SCORE: 0.0} if self.virtual_camera_signs else limits

    @property
    def networks(self) -> Mapping[str, OwnNetwork]:
        """The operator's files, by name."""
        matchers = {one.name: one.own for one in self.thresholds.compare.matchers if one.own is not None}
        return matchers | {one.name: one.own for one in self.detectors}

    def add_to(self, models: Models) -> Models:
        """Raises `ModelsMissingError`."""
        return models.having(self.networks) if self.networks else models


def read_configuration(file: Path) -> Configuration:
    """Raises `ConfigurationError`, `OSError`. Where there are matchers, `[compare]` and their scales are mandatory."""
    tree = _tree(file)
    if unknown := set(tree) - {"matcher", "detector", "compare"}:
        raise ConfigurationError(f"unknown key {min(unknown)}")
    matchers = _matchers(tree, file.parent)
    detectors = tuple(_each(tree, "detector", lambda row: read_detector(row, file.parent)))
    names = [one.name for one in (*matchers, *detectors)]
    if len(set(names)) != len(names):
        raise ConfigurationError("two networks of one name")
    thresholds = published()
    if "compare" in tree or matchers != BUILT_IN:
        try:
            thresholds = replace(thresholds, compare=operating_point(tree["compare"], matchers))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"compare: {error}") from error
    limits = {detector.score: detector.threshold for detector in detectors}
    return Configuration(replace(thresholds, attacks={**thresholds.attacks, **limits}), detectors)


def read_matchers(file: Path) -> tuple[Matcher, ...]:
    """The matchers alone, to be calibrated. Raises `ConfigurationError`, `OSError`."""
    return _matchers(_tree(file), file.parent)


def _tree(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    if len(content) > FILE_MAX:
        raise ConfigurationError(f"{len(content)} bytes")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"not TOML: {error}") from error


def _matchers(tree: Mapping[str, Any], folder: Path) -> tuple[Matcher, ...]:
    return tuple(_each(tree, "matcher", lambda row: read_matcher(row, folder))) or BUILT_IN


def _each(tree: Mapping[str, Any], name: str, read: Any) -> list[Any]:
    rows = tree.get(name, [])
    if not isinstance(rows, list) or len(rows) > NETWORKS_MAX or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(f"[[{name}]] is a list of at most {NETWORKS_MAX} tables")
    try:
        return [read(row) for row in rows]
    except (ValueError, TypeError) as error:
        raise ConfigurationError(str(error)) from error
