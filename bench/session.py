"""A session process: how soon one is warm, and what it takes while two people enrol at once; forked from a zygote, and started afresh.

`rows()` gives (name, value, unit, note) for the common table; run as a script it prints them. The people are personas with the Python phone
against a real provider, chip and film included. Memory is read from /proc/PID/smaps_rollup twenty times a second, the most of each session
is kept; only root may read it of a process that is not dumpable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from alicem.demo import personas  # noqa: E402
from alicem.demo.headless import Clock, Report, phone_of  # noqa: E402
from alicem.demo.memory import descendants, of_program  # noqa: E402
from alicem.demo.town import Town, found, running  # noqa: E402
from alicem.enrolment.children import SessionProcess, nursery  # noqa: E402
from free_ports import free_ports  # noqa: E402

Row = tuple[str, float, str, str]
PEOPLE, ROUNDS = ("zoe", "mael"), 3
FORKS, STARTS = 20, 5
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Use:
    """The most one session process took: megabytes, seconds."""

    resident: float = 0.0
    own: float = 0.0
    proportional: float = 0.0
    processor: float = 0.0

    def see(self, pid: int) -> None:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        size = {name: int(kilobytes) / 1024 for name, kilobytes in re.findall(r"(\w+):\s+(\d+) kB", text)}
        self.resident = max(self.resident, size["Rss"])
        self.own = max(self.own, size["Private_Clean"] + size["Private_Dirty"])
        self.proportional = max(self.proportional, size["Pss"])
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.processor = (int(times[11]) + int(times[12])) / TICK


async def starts(*, shared: bool) -> list[float]:
    """Seconds until a process is warm, one after the other; the first of the forked ones waits for the zygote."""
    with tempfile.TemporaryDirectory() as trust:
        place, taken = nursery(Path(trust), shared=shared), []
        for _ in range(1 + FORKS if shared else STARTS):
            began = time.monotonic()
            process: SessionProcess = await place.start()
            taken.append(time.monotonic() - began)
            await process.end()
        await place.close()
    return taken


@contextlib.asynccontextmanager
async def provider(*, shared: bool) -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder).resolve(), free_ports())
        found(town, tuple(personas.load().values()))
        settings = town.provider_folder / "alicem.toml"
        settings.write_text(settings.read_text().replace("[face]\n", f"[face]\nshared = {str(shared).lower()}\n"))
        async with running(town):
            yield town


async def enrol(town: Town, name: str) -> None:
    clock = Clock(Report(), lambda *_: None)
    with tempfile.TemporaryDirectory() as phone:
        async with phone_of(town, personas.load()[name], "", clock, Path(phone)) as person:
            told = await person.order(do="enrol")
            assert told["tell"] == "enrolled", told


async def watched(town: Town, used: dict[int, Use]) -> None:
    """Look at every session process, again and again."""
    while True:
        for pid in of_program(town.provider_folder)[1:]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
                if "alicem.enrolment" in Path(f"/proc/{pid}/cmdline").read_text():
                    used.setdefault(pid, Use()).see(pid)
        await asyncio.sleep(0.05)


async def two_at_once(*, shared: bool) -> tuple[Use, list[Use]]:
    """The zygote (of none: nothing), and each session process that served somebody."""
    used: dict[int, Use] = {}
    async with provider(shared=shared) as town:
        watching = asyncio.create_task(watched(town, used))
        for _ in range(ROUNDS):
            await asyncio.gather(*(enrol(town, name) for name in PEOPLE))
        parents = {pid for pid in used if len(descendants(pid)) > 1}
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    zygote = next((used[pid] for pid in parents), Use())
    served = [use for pid, use in used.items() if pid not in parents and use.processor > 1.2]
    return zygote, served


def most(values: list[float]) -> str:
    return f"median; {min(values):.3g}…{max(values):.3g}, n = {len(values)}"


def row(name: str, unit: str, values: list[float], goal: str = "") -> Row:
    return (f"session: {name}", round(statistics.median(values), 2), unit, most(values) + goal)


async def measure() -> list[Row]:
    forked, afresh = await starts(shared=True), await starts(shared=False)
    rows = [
        ("session: zygote and first process warm", round(forked[0], 2), "s", "n = 1"),
        row("forked process warm", "ms", [one * 1000 for one in forked[1:]]),
        row("process started afresh warm", "s", afresh),
    ]
    for word, shared in (("forked", True), ("afresh", False)):
        zygote, served = await two_at_once(shared=shared)
        if zygote.resident:
            rows.append(("session: zygote, resident", round(zygote.resident), "MB", "networks, libraries, program"))
        rows += [
            row(f"{word}, resident", "MB", [one.resident for one in served], "; goal 400"),
            row(f"{word}, its own", "MB", [one.own for one in served], "; goal 60 beyond what is shared"),
            row(f"{word}, proportional", "MB", [one.proportional for one in served]),
            row(f"{word}, processor", "s", [one.processor for one in served], "; chip, film of about 9 s, all it does"),
        ]
    return rows


def rows() -> list[Row]:
    if sys.platform != "linux" or os.geteuid() != 0:
        return [("session: not measured", 0.0, "", "wants root on Linux: a session process is not dumpable")]
    return asyncio.run(measure())


if __name__ == "__main__":
    for name, value, unit, note in rows():
        print(f"{name:<42} {value:>8} {unit:<3} {note}")
