"""A face as two vectors: dlib's ResNet on its own alignment, FaceRes on a square crop; both with their mirror image."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face.detect import Mesh
from alicem.face.geometry import Points, Square, crop, similarity
from alicem.face.images import Picture
from alicem.face.models import Models

Vector = NDArray[np.float32]

# dlib's five points (outer and inner corners of the eyes, under the nose), as mesh points and as places in its
# 150-pixel crop: `get_face_chip_details` with a padding of 0.25
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
DLIB_SIZE = 150
FACERES_SIZE = 224
FACERES_MARGIN = 1.3
FACERES_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red


@dataclass(frozen=True)
class Template:
    """What is compared: one unit vector a network."""

    dlib: Vector
    faceres: Vector


def template(models: Models, picture: Picture, mesh: Mesh) -> Template:
    return Template(_dlib(models, picture, mesh.points[:, :2]), _faceres(models, picture, mesh.square))


def average(templates: Sequence[Template]) -> Template:
    """One template of several pictures of one face."""
    dlib = unit(np.sum([one.dlib for one in templates], axis=0))
    return Template(dlib, unit(np.sum([one.faceres for one in templates], axis=0)))


def unit(vector: Vector) -> Vector:
    scaled: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


def _dlib(models: Models, picture: Picture, points: Points) -> Vector:
    places = (DLIB_PLACES + 0.25) / 1.5 * DLIB_SIZE
    cut = crop(picture, similarity(points[DLIB_POINTS], places), DLIB_SIZE)
    return _both(models, "dlib", cut.astype(np.float32))


def _faceres(models: Models, picture: Picture, square: Square) -> Vector:
    wide = Square(square.x, square.y, FACERES_MARGIN * square.side, square.angle)
    cut = crop(picture, wide.matrix(FACERES_SIZE), FACERES_SIZE)
    features = _both(models, "faceres", cv2.cvtColor(cut, cv2.COLOR_RGB2BGR).astype(np.float32) - FACERES_MEAN)
    # averages of rectified features, never negative: under the square root, the few that are strong in every
    # face weigh less (the Hellinger kernel)
    return unit(np.sqrt(np.maximum(features, 0)))


def _both(models: Models, network: str, cut: NDArray[np.float32]) -> Vector:
    """The crop and its mirror image, averaged."""
    plain = models.run(network, cut[None])["embedding"][0]
    mirrored = models.run(network, np.ascontiguousarray(cut[None, :, ::-1]))["embedding"][0]
    return unit(unit(plain) + unit(mirrored))
