"""One-to-one comparison of a living person with the portrait of a chip. Nothing here writes, logs, or keeps."""

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
