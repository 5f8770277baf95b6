"""A software chip on no reader at all, laid and lost as one on a reader is."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from emrtd.errors import TagLost
from emrtd.exchange import Transmit
from emrtd.rng import Rng
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.faults import lost_after, slow
from emrtd.transports.vpcd import ATR


class SoftwareCard:
    """A specimen document; a `Transmit` once `connect` has laid it.

    `milliseconds` and `lost_after` stand in for those of its profile, where they are given.
    """

    extended = True  # the device in between, which there is none, carries all

    def __init__(
        self,
        document: ChipDocument,
        rng: Rng,
        *,
        milliseconds: int | None = None,
        lost_after: int | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        profile = document.profile
        self._chip, self._wait = SoftChip(document, rng), wait
        self._milliseconds = profile.milliseconds if milliseconds is None else milliseconds
        self._lost_after = profile.lost_after if lost_after is None else lost_after
        self._transmit: Transmit | None = None

    def connect(self) -> bytes:
        """Lay it (again) and give its ATR."""
        self.reset()
        self._transmit = self._chip
        if self._milliseconds:
            self._transmit = slow(self._transmit, self._wait, seconds=self._milliseconds / 1000)
        if self._lost_after:
            self._transmit = lost_after(self._transmit, self._lost_after)
        return ATR

    def reset(self) -> None:
        """The chip forgets its state."""
        self._chip.reset()

    def __call__(self, apdu: bytes) -> bytes:
        """One command and its answer. Raises TagLost."""
        if self._transmit is None:
            raise TagLost
        return self._transmit(apdu)

    def close(self) -> None:
        self._transmit = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
