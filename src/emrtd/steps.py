"""One plain command of a protected batch to come, what it is for, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emrtd.apdu import OK, CommandApdu
from emrtd.channel import Session

Place = Literal["master file", "application"]
Kind = Literal["place", "select", "read", "agree", "shown", "challenge"]


@dataclass(frozen=True)
class Step:
    """One plain command of a batch to come, and the status words after which the batch goes on.

    ``then`` is the session in which the next command is sent, where this one agrees a new key; ``place`` what is
    selected when it succeeds, where it selects.
    """

    command: CommandApdu
    allowed: tuple[int, ...] = (OK,)
    then: Session | None = field(default=None, kw_only=True)
    place: Place | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ReadStep(Step):
    """A step of a reading: the file it serves, the range it reads.

    "agree" are the commands of chip authentication, "shown" the first one in the channel that it makes, which no
    genuine chip refuses; "challenge" is active authentication.
    """

    kind: Kind = "read"
    file_id: int = 0
    offset: int = 0
    length: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer opened. ``plain`` says that it came unprotected: an error that may have ended the channel.

    ``status`` 0 is an answer that did not open in a channel made anew. ``raw`` and ``counter`` are what a chip
    authentication keeps as evidence.
    """

    status: int
    data: bytes = field(repr=False)
    plain: bool = False
    raw: bytes = field(default=b"", repr=False)
    counter: int = 0
