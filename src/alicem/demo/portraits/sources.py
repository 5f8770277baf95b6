"""The four source portraits, had from public packages: official portraits, works of the United States government,
in the public domain. They are fetched when the demonstration is first set up, and never kept in the project.
"""

from collections.abc import Mapping
from pathlib import Path

from alicem.face.models import ModelsMissingError, WrongFileError
from alicem.face.models.files import folder, lock, sha256, write
from alicem.face.models.packages import Member, Package, Progress, fetch

SKIMAGE = Package(
    "PyPI",
    "scikit-image",
    "0.25.2",
    15_003_435,
    "a17e17eb8562660cc0d31bb55643a4da996a81944b82c54805c91b3fe66f4824",
    ("--python-version", "3.12", "--platform", "manylinux2014_x86_64"),
)

FACE_RECOGNITION = Package(
    "PyPI",
    "face_recognition",
    "1.3.0",
    3_182_249,
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)

# Official portraits, works of the United States government: in the public domain.
SOURCES: Mapping[str, Member] = {
    "a": Member(
        SKIMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "b": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    ),
    "c": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    "d": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/obama3.jpg",
        "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    ),
}

LIT_FROM_BEHIND = "b"

SMILING, AT_REST = "c", "d"  # the same person twice: their difference is a smile

# The outline of the heads with their hair, as distances from the middle of the face every 7.5°, clockwise from
# the right, in heights of the face.
OUTLINES: Mapping[str, tuple[float, ...]] = {
    "a": (
        *(0.558, 0.515, 0.473, 0.431, 0.450, 0.469, 0.481, 0.523, 0.604, 0.635, 0.631, 0.612),
        *(0.588, 0.596, 0.612, 0.631, 0.623, 0.542, 0.473, 0.454, 0.438, 0.431, 0.454, 0.496),
        *(0.508, 0.608, 0.681, 0.723, 0.785, 0.850, 0.873, 0.869, 0.873, 0.912, 0.950, 0.965),
        *(0.973, 0.958, 0.962, 0.942, 0.935, 0.915, 0.888, 0.842, 0.796, 0.742, 0.688, 0.619),
    ),
    "b": (
        *(0.580, 0.545, 0.492, 0.460, 0.458, 0.470, 0.490, 0.505, 0.515, 0.525, 0.530, 0.530),
        *(0.530, 0.530, 0.530, 0.525, 0.515, 0.505, 0.490, 0.470, 0.458, 0.460, 0.492, 0.545),
        *(0.580, 0.600, 0.610, 0.655, 0.730, 0.785, 0.838, 0.865, 0.888, 0.902, 0.910, 0.912),
        *(0.912, 0.912, 0.910, 0.902, 0.888, 0.865, 0.838, 0.785, 0.730, 0.655, 0.610, 0.600),
    ),
    "c": (
        *(0.455, 0.405, 0.400, 0.410, 0.425, 0.435, 0.440, 0.458, 0.473, 0.488, 0.512, 0.542),
        *(0.560, 0.560, 0.550, 0.545, 0.535, 0.504, 0.435, 0.420, 0.410, 0.405, 0.410, 0.420),
        *(0.448, 0.500, 0.540, 0.575, 0.575, 0.580, 0.640, 0.708, 0.755, 0.775, 0.812, 0.820),
        *(0.824, 0.812, 0.793, 0.762, 0.728, 0.685, 0.605, 0.570, 0.570, 0.560, 0.525, 0.490),
    ),
}


def _files() -> Path:
    return folder() / "portraits-1"


def ready() -> bool:
    return all((_files() / f"{name}.img").exists() for name in SOURCES)


def build(progress: Progress = lambda name, fraction: None) -> None:
    """Fetch the source portraits that are missing."""
    with lock("portraits"):
        for package in (SKIMAGE, FACE_RECOGNITION):
            wanted = {name: member for name, member in SOURCES.items() if member.package is package}
            if all((_files() / f"{name}.img").exists() for name in wanted):
                continue
            contents = fetch(package, list(wanted.values()), progress)
            for name, member in wanted.items():
                write(_files() / f"{name}.img", contents[member.path])


def read(name: str) -> bytes:
    """The file of a source portrait. Raises `ModelsMissingError`, `WrongFileError`."""
    try:
        data: bytes = (_files() / f"{name}.img").read_bytes()
    except FileNotFoundError:
        raise ModelsMissingError(f"source portrait {name}", "is not on this machine") from None
    if sha256(data) != SOURCES[name].sha256:
        (_files() / f"{name}.img").unlink(missing_ok=True)
        raise WrongFileError(f"source portrait {name}", f"expected SHA-256 {SOURCES[name].sha256}")
    return data
