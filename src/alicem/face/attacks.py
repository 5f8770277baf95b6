"""Cheap signs of a picture that is not a person before a camera, each a number of its own.

None of them proves a person; together they close what costs an attacker nothing. Whoever feeds a generated
face into a virtual camera passes them all: that is for the challenge, the phone's attestation and the office.
"""

import hashlib
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face.compare import OperatingPoint, score
from alicem.face.detect import Mesh
from alicem.face.embed import Template, average
from alicem.face.geometry import Points
from alicem.face.images import Picture
from alicem.face.look import Look

REPEATED_AFTER_MS = 1000.0
TENTH_MS = 100.0
CLOSE_MS = 260.0  # two frames further apart say nothing about continuity


class Stream:
    """Frames that stand still, come again, or jump."""

    def __init__(self) -> None:
        self._seen: dict[bytes, float] = {}
        self._last: tuple[bytes, float] | None = None
        self._since = 0.0
        self._face: tuple[float, Mesh, float] | None = None
        self.frozen_ms = 0.0
        self.repeated = 0
        self.jump = 0.0
        self.leap = 0.0
        self.gap_ms = 0.0

    def frame(self, jpeg: bytes, at: float) -> None:
        fingerprint = hashlib.blake2b(jpeg, digest_size=16).digest()
        if self._last is not None and self._last[0] == fingerprint:
            self.frozen_ms = max(self.frozen_ms, at - self._since)
        else:
            self._since = at
            if fingerprint in self._seen and at - self._seen[fingerprint] > REPEATED_AFTER_MS:
                self.repeated += 1
        self._seen[fingerprint] = at
        self._last = (fingerprint, at)

    def face(self, mesh: Mesh, yaw: float, at: float) -> None:
        """One face on one track: how far it jumped from frame to frame, in sizes of itself; how many degrees it turned
        in a tenth of a second, which no neck does beyond a measure; how long it was out of sight. A turn made out of
        sight counts whole."""
        if self._face is not None:
            before, mesh_before, yaw_before = self._face
            passed, turned = at - before, abs(yaw - yaw_before)
            self.gap_ms = max(self.gap_ms, passed)
            if passed <= CLOSE_MS:
                moved = np.linalg.norm(mesh.points[:, :2].mean(0) - mesh_before.points[:, :2].mean(0))
                self.jump = max(self.jump, float(moved) / mesh_before.square.side)
                turned /= max(1.0, passed / TENTH_MS)
            self.leap = max(self.leap, turned)
        self._face = (at, mesh, yaw)


def one_person(at_rest: Sequence[Template], in_order: Sequence[Template], point: OperatingPoint) -> float:
    """The least likeness of any moment to the face at rest, and of all before a moment to all after it.

    The first finds somebody else in one moment; the second an exchange for good, after which the face at rest is a
    mixture that both persons resemble. `in_order`: every moment, from the neutral face on."""
    rest = average(at_rest, point.matchers)
    alone = [score(rest, one, point) for one in in_order]
    before_and_after = [
        score(average(in_order[:place], point.matchers), average(in_order[place:], point.matchers), point)
        for place in range(FIRST, len(in_order))
    ]
    return min([*alone, *before_and_after])


FIRST = 2  # moments of the neutral face: fewer are not held against what follows
TRACKED = 15  # fewer points followed say nothing


def relief(before: Look, after: Look) -> float | None:
    """How far the face is from a plane, between two poses: what the best homography leaves of its movement, over
    the distance of the eyes. A turned sheet of paper leaves nothing, a nose stays before its cheeks."""
    start, end = _grey(before.picture), _grey(after.picture)
    corners = cv2.goodFeaturesToTrack(start, 120, 0.005, before.mesh.eye_distance / 14, mask=_inside(before))
    if corners is None:
        return None
    seen = np.asarray(corners, np.float32)
    found, followed = _follow(start, end, seen, before.mesh, after.mesh)
    if followed.sum() < TRACKED:
        return None
    plane, _ = cv2.findHomography(seen[followed], found[followed], cv2.LMEDS)
    if plane is None:
        return None
    left = cv2.perspectiveTransform(seen[followed], plane) - found[followed]
    distance = np.linalg.norm(left.reshape(-1, 2), axis=1) / before.mesh.eye_distance
    return float(np.sqrt(np.mean(np.minimum(distance, 0.2) ** 2)))


def _grey(picture: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _flat(mesh: Mesh) -> Points:
    return np.ascontiguousarray(mesh.points[:, :2])


def _inside(look: Look) -> Picture:
    """The face without its rim, where the background shows."""
    hull = cv2.convexHull(_flat(look.mesh)).reshape(-1, 2)
    middle = hull.mean(0)
    rim = np.round((hull - middle) * 0.9 + middle).astype(np.int32)
    mask = np.zeros(look.picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, rim, 255)
    return mask


def _follow(start: Picture, end: Picture, seen: Points, before: Mesh, after: Mesh) -> tuple[Points, NDArray[np.bool_]]:
    """Where the points went, and which of them come back when followed the other way. The search begins where
    the best plane map of the mesh leads: a start, no more."""
    rough, _ = cv2.estimateAffine2D(_flat(before), _flat(after))
    guess = (seen.reshape(-1, 2) @ rough[:, :2].T + rough[:, 2]).reshape(-1, 1, 2).astype(np.float32)
    side = int(before.eye_distance / 4) | 1
    flow = partial(cv2.calcOpticalFlowPyrLK, winSize=(side, side), maxLevel=1, flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
    found, there, _ = flow(start, end, seen, guess)
    returned, back, _ = flow(end, start, found, seen.copy())
    near = np.linalg.norm((returned - seen).reshape(-1, 2), axis=1) < 0.03 * before.eye_distance
    return np.asarray(found, np.float32), (there.ravel() == 1) & (back.ravel() == 1) & near
