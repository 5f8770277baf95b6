"""Whether frames come as a camera sends them: in order, whole, at the pace of our own clock, not without end."""

from enum import StrEnum

from alicem.face.decide import Reason

MIN_STEP_MS = 60.0  # frames that come faster are left unseen: they cost, and say no more
MAX_FRAMES = 1500
MAX_FAULTY = 25  # frames that are unreadable or out of order


class Arrival(StrEnum):
    USE = "use"
    SKIP = "skip"
    FAULT = "fault"


class Pace:
    """`at` is the phone's clock, `received` ours; both in milliseconds. `most_drift`: between the two, over the whole clip."""

    def __init__(self, most_drift: float) -> None:
        self.frames = self.seen = 0
        self.drift = 0.0
        self._most_drift = most_drift
        self.at = self.first = 0.0
        self.broken: Reason | None = None
        self._received: float | None = None
        self._faulty = 0

    def arrives(self, at: float, received: float | None, *, looked_at: bool = True) -> Arrival:
        """`looked_at` is false for a frame that is passed over because a newer one has come."""
        self.frames += 1
        if self.frames == 1:
            self.at = self.first = at
            self._received = received
            self.seen += looked_at
            return Arrival.USE
        if at <= self.at:
            return self.fault()
        if self.frames > MAX_FRAMES:
            self.broken = Reason.FRAMES
        if at - self.at < MIN_STEP_MS:
            return Arrival.SKIP
        self.at = at
        self.seen += looked_at
        if received is not None and self._received is not None:
            self.drift = max(self.drift, abs((received - self._received) - (at - self.first)))
            self.broken = Reason.TOO_SLOW if self.drift > self._most_drift else self.broken
        return Arrival.USE

    def fault(self) -> Arrival:
        self._faulty += 1
        if self._faulty > MAX_FAULTY:
            self.broken = Reason.FRAMES
        return Arrival.FAULT

    @property
    def rate(self) -> float:
        """Frames a second that were looked at, of a clip of a second or more."""
        return self.seen * 1000 / max(1000.0, self.at - self.first)
