"""One-to-one comparison of a living person with the portrait of a chip. Nothing here writes, logs, or keeps.

A process that looks at no face holds neither the runtime of the networks nor the library of pictures.
"""

from typing import TYPE_CHECKING

from alicem.first_use import names

if TYPE_CHECKING:
    from alicem.face.camera import BadCameraError, Camera, read_camera
    from alicem.face.challenge import Action, Challenge, Colour, draw
    from alicem.face.configuration import Configuration, ConfigurationError, read_configuration
    from alicem.face.decide import Outcome, Reason, Verdict
    from alicem.face.hints import Hint
    from alicem.face.live import LiveCheck, Phase, Progress

__all__ = [
    "Action",
    "BadCameraError",
    "Camera",
    "Challenge",
    "Colour",
    "Configuration",
    "ConfigurationError",
    "Hint",
    "LiveCheck",
    "Outcome",
    "Phase",
    "Progress",
    "Reason",
    "Verdict",
    "draw",
    "read_camera",
    "read_configuration",
]
__getattr__ = names(
    __name__,
    {
        "camera": ("BadCameraError", "Camera", "read_camera"),
        "challenge": ("Action", "Challenge", "Colour", "draw"),
        "configuration": ("Configuration", "ConfigurationError", "read_configuration"),
        "decide": ("Outcome", "Reason", "Verdict"),
        "hints": ("Hint",),
        "live": ("LiveCheck", "Phase", "Progress"),
    },
)
