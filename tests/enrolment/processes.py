"""The processes of a running provider, as the system's process table shows them."""

from __future__ import annotations

import time
from pathlib import Path

from alicem.demo.memory import descendants, of_program
from alicem.demo.town import Town

ZYGOTE, AFRESH = "alicem.enrolment.zygote", "alicem.enrolment.process"


def command(pid: int) -> str:
    """Its command line; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether it has ended, now or within `seconds`."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def of_part(town: Town, part: str) -> list[int]:
    """The process of a part of the demonstration (`alicem`, `registry`, …), and all below it."""
    return of_program(town.folder / part)


def sessions(town: Town) -> set[int]:
    """The provider's session processes, the warm one too."""
    below = of_part(town, "alicem")
    zygotes = [pid for pid in below if ZYGOTE in command(pid)]
    forked = {pid for zygote in zygotes[:1] for pid in descendants(zygote)[1:]}
    return forked | {pid for pid in below if AFRESH in command(pid)}


def the_session(town: Town, seconds: float = 10.0) -> int:
    """The one session process there is, as soon as there is one."""
    deadline = time.monotonic() + seconds
    while not (found := {pid for pid in sessions(town) if alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    (one,) = found
    return one
