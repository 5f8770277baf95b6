"""Whether frames come as a camera sends them: in order, whole, at the pace of our own clock, not without end."""

from enum import StrEnum

from alicem.face.decide import Reason

MIN_STEP_MS = 60.0  # frames that come faster are left unseen: they cost, and say no more
MAX_FRAMES = 1500
MAX_FAULTY = 25  # frames that are unreadable or out of order
MAX_DRIFT_MS = 4000.0  # between the phone's clock and ours, over the whole clip
LEAST_RATE = 4.0  # frames a second


class Arrival(StrEnum):
    USE = "use"
    SKIP = "skip"
    FAULT = "fault"


class Pace:
    """`at` is the phone's clock, `received` ours; both in milliseconds."""

    def __init__(self) -> None:
        self.frames = 0
        self.at = self.first = 0.0
        self.broken: Reason | None = None
        self._received: float | None = None
        self._faulty = 0

    def arrives(self, at: float, received: float | None) -> Arrival:
        self.frames += 1
        if self.frames == 1:
            self.at = self.first = at
            self._received = received
            return Arrival.USE
        if at <= self.at:
            return self.fault()
        if self.frames > MAX_FRAMES:
            self.broken = Reason.FRAMES
        if at - self.at < MIN_STEP_MS:
            return Arrival.SKIP
        self.at = at
        if received is not None and self._received is not None:
            drift = abs((received - self._received) - (at - self.first))
            self.broken = Reason.TOO_SLOW if drift > MAX_DRIFT_MS else self.broken
        return Arrival.USE

    def fault(self) -> Arrival:
        self._faulty += 1
        if self._faulty > MAX_FAULTY:
            self.broken = Reason.FRAMES
        return Arrival.FAULT

    @property
    def too_slow(self) -> bool:
        return self.frames < LEAST_RATE * (self.at - self.first) / 1000
