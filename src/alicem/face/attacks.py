"""Cheap signs of a picture that is not a person before a camera, each a number of its own.

None of them proves a person; together they close what costs an attacker nothing. Whoever feeds a generated
face into a virtual camera passes them all: that is for the challenge, the phone's attestation and the office.
"""

import hashlib

import numpy as np

from alicem.face.detect import Mesh

REPEATED_AFTER_MS = 1000.0
CLOSE_MS = 260.0  # two frames further apart say nothing about continuity


class Stream:
    """Frames that stand still, come again, or jump."""

    def __init__(self) -> None:
        self._seen: dict[bytes, float] = {}
        self._last: tuple[bytes, float] | None = None
        self._since = 0.0
        self._face: tuple[float, Mesh] | None = None
        self.frozen_ms = 0.0
        self.repeated = 0
        self.jump = 0.0

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

    def face(self, mesh: Mesh, at: float) -> None:
        """The farthest the face moved from one frame to the next, in sizes of itself."""
        if self._face is not None and at - self._face[0] <= CLOSE_MS:
            before = self._face[1]
            moved = np.linalg.norm(mesh.points[:, :2].mean(0) - before.points[:, :2].mean(0))
            self.jump = max(self.jump, float(moved) / before.square.side)
        self._face = (at, mesh)
