"""What one frame shows: where the head looks, the mouth, the lids, and whether the picture is good enough."""

from dataclasses import dataclass

import cv2
import numpy as np

from alicem.face.detect import LEFT_EYE, MOUTH, RIGHT_EYE, SIDES, Mesh, eye
from alicem.face.geometry import Points, Square, crop
from alicem.face.images import Picture
from alicem.face.models import Models

LIPS = (13, 14)  # the middles of the upper and lower lip, where they meet
FOREHEAD_CHIN = (10, 152)
# of the iris network's contour: the corners, then pairs of facing points of the lower and the upper lid
LID_CORNERS = (0, 8)
LIDS = ((2, 10), (3, 11), (4, 12), (5, 13), (6, 14))
SAMPLE = 128  # pixels of the square on which light and sharpness are measured


@dataclass(frozen=True)
class Measure:
    """Angles in degrees: `yaw` grows as the person turns to their own left, `pitch` as they look up."""

    yaw: float
    pitch: float
    roll: float
    mouth_width: float  # over the distance of the eyes
    mouth_lift: float  # corners above the meeting of the lips, over the distance of the eyes
    mouth_open: float
    opening: float  # of the lids, height over width; the wider of the two eyes
    size: float  # side of the face over the height of the picture
    light: float  # 0…255, mean over the face
    clipped: float  # share of the face that is burnt out or black
    sharpness: float


def measure(models: Models, picture: Picture, face: Mesh) -> Measure:
    yaw, pitch, roll = angles(face.points)
    width, lift, gap = mouth(face.points, yaw)
    light, clipped, sharpness = quality(picture, face.square)
    return Measure(
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        mouth_width=width,
        mouth_lift=lift,
        mouth_open=gap,
        opening=opening(models, picture, face, yaw),
        size=face.square.side / picture.shape[0],
        light=light,
        clipped=clipped,
        sharpness=sharpness,
    )


def angles(points: Points) -> tuple[float, float, float]:
    across = points[SIDES[1]] - points[SIDES[0]]
    down = points[FOREHEAD_CHIN[1]] - points[FOREHEAD_CHIN[0]]
    yaw = np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = -np.degrees(np.arctan2(down[2], np.hypot(down[0], down[1])))
    roll = np.degrees(np.arctan2(across[1], across[0]))
    return float(yaw), float(pitch), float(roll)


def mouth(points: Points, yaw: float) -> tuple[float, float, float]:
    """In the plane of the face, so that a turned head does not pass for a narrow mouth."""
    scale = float(np.linalg.norm(points[RIGHT_EYE[0]] - points[LEFT_EYE[0]]))
    left, right = points[list(MOUTH)]
    lips = points[list(LIPS)].mean(0)
    up = points[FOREHEAD_CHIN[0]] - points[FOREHEAD_CHIN[1]]
    lift = float(((left + right) / 2 - lips) @ (up / np.linalg.norm(up))) / scale
    gap = float(np.linalg.norm(points[LIPS[0]] - points[LIPS[1]])) / scale
    return float(np.linalg.norm(right - left)) / scale, lift, gap


def opening(models: Models, picture: Picture, face: Mesh, yaw: float) -> float:
    """Of the eye that faces the camera; of both, the wider, when the head looks straight."""
    eyes = [LEFT_EYE, RIGHT_EYE] if abs(yaw) < 12 else [LEFT_EYE if yaw > 0 else RIGHT_EYE]
    return max(_opening(eye(models, picture, face, corners)) for corners in eyes)


def _opening(contour: Points) -> float:
    width = float(np.linalg.norm(contour[LID_CORNERS[1]] - contour[LID_CORNERS[0]]))
    heights = [np.linalg.norm(contour[upper] - contour[lower]) for lower, upper in LIDS]
    return float(np.mean(heights)) / width


def quality(picture: Picture, square: Square) -> tuple[float, float, float]:
    grey = cv2.cvtColor(crop(picture, square.matrix(SAMPLE), SAMPLE), cv2.COLOR_RGB2GRAY)
    clipped = float(((grey < 16) | (grey > 250)).mean())
    return float(grey.mean()), clipped, float(cv2.Laplacian(grey, cv2.CV_64F).var())


def worth(measured: Measure) -> float:
    """How good a moment is for comparison: large, sharp, straight, well lit; about 1 for a portrait."""
    turned = (measured.yaw / 20) ** 2 + (measured.pitch / 25) ** 2
    return float(
        min(1.0, measured.size / 0.4) * min(1.0, measured.sharpness / 60) * (1 - measured.clipped) / (1 + turned)
    )
