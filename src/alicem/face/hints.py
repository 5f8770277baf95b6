"""What the person can do better, told while it matters."""

from enum import StrEnum

from alicem.face.measure import Measure


class Hint(StrEnum):
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    CLOSER = "closer"
    FURTHER = "further"
    CENTRE = "centre"
    MORE_LIGHT = "more_light"
    LESS_LIGHT = "less_light"
    HOLD_STILL = "hold_still"
    LOOK_STRAIGHT = "look_straight"
    BACK_TO_NEUTRAL = "back_to_neutral"
    UNREADABLE = "unreadable"


SIZE = (0.24, 0.95)  # side of the face over the height of the picture
LIGHT = (45.0, 225.0)
CLIPPED = 0.45
STRAIGHT = (14.0, 20.0)  # yaw, pitch: degrees
ROLL = 20.0
BLURRED = 12.0


def about_picture(measure: Measure) -> Hint | None:
    """Faults that spoil every measure, the gravest first."""
    if measure.size < SIZE[0]:
        return Hint.CLOSER
    if measure.size > SIZE[1]:
        return Hint.FURTHER
    if measure.light < LIGHT[0]:
        return Hint.MORE_LIGHT
    if measure.light > LIGHT[1] or measure.clipped > CLIPPED:
        return Hint.LESS_LIGHT
    return Hint.HOLD_STILL if measure.sharpness < BLURRED else None


def about_pose(measure: Measure) -> Hint | None:
    """Asked for while the neutral face is measured, and between two actions."""
    straight = abs(measure.yaw) < STRAIGHT[0] and abs(measure.pitch) < STRAIGHT[1]
    return None if straight and abs(measure.roll) < ROLL else Hint.LOOK_STRAIGHT
