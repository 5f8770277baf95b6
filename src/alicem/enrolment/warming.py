"""Everything a session will need, loaded before the sandbox closes: afterwards nothing can be read from disk, not even a module.

What is loaded at its first use (by us, by Python, by a library) is named here; tests/enrolment/test_warming.py looks for more of it. Going
once through a session's work also makes most of what it allocates, so that forked processes share it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from PIL import Image

from alicem import face
from alicem.enrolment import chip_warming
from alicem.face import camera, models
from alicem.face.look import Follower
from alicem.face.thresholds import published

TABLES: tuple[Callable[[], object], ...] = (published, camera.prepare)
MODULES = (
    "colorsys",
    "gc",
    "heapq",
    "numpy.char",
    "numpy.fft",
    "numpy.ma",
    "numpy.polynomial",
    "numpy.random",
    "numpy.rec",
    "numpy.strings",
    "tracemalloc",
)


@dataclass(frozen=True)
class Prepared:
    """The networks, loaded, and what they are used with."""

    models: models.Models
    configuration: face.Configuration


def warm(networks: Path | None = None) -> Prepared:
    """All that a session uses. `networks`: the operator's file of face networks. Raises `face.ConfigurationError`, `ModelsMissingError`."""
    configuration = face.read_configuration(networks) if networks is not None else face.Configuration()
    loaded = configuration.add_to(models.load())
    loaded.rehearse()
    chip_warming.warm()
    for table in TABLES:
        table()
    for module in MODULES:
        import_module(module)
    Image.init()
    for kind in ("JPEG2000", "JPEG"):
        face.LiveCheck(loaded, _nobody(kind), face.draw(), configuration)
    Follower(loaded).look(_nobody("JPEG"), 0.0)
    return Prepared(loaded, configuration)


def _nobody(kind: str) -> bytes:
    """An empty picture."""
    file = io.BytesIO()
    Image.new("RGB", (640, 480)).save(file, kind)
    return file.getvalue()
