"""`python -m tests.transcript`: record docs/protocols/enrolment-transcript.jsonl from a headless enrolment of one persona."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alicem.demo import personas
from alicem.demo.headless import Clock, Phone, Report, phone_of
from alicem.demo.town import Town, found, running

TARGET = Path(__file__).parent.parent / "docs" / "protocols" / "enrolment-transcript.jsonl"
LONG = 48


def shortened(value: Any) -> Any:
    """Sealed and signed members, keys and batches of commands, cut to what shows their form."""
    if isinstance(value, str):
        return value if len(value) <= LONG else f"{value[:20]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items() if name != "measurements"}
    if isinstance(value, list) and len(value) > 4:
        return [*map(shortened, value[:2]), f"… ({len(value)} in all)"]
    return [shortened(one) for one in value] if isinstance(value, list) else value


class Recorder(Phone):
    """A phone whose messages are kept."""

    def __init__(self, phone: Phone, began: float) -> None:
        self.__dict__ |= phone.__dict__
        self.began = began
        self.lines: list[str] = []

    def _follow(self, told: dict[str, Any]) -> None:
        row = {"at": round(time.monotonic() - self.began, 2), "from": told["from"], **shortened(told["message"])}
        self.lines.append(json.dumps(row, ensure_ascii=False))


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        town = Town(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
        people = personas.load()
        found(town, tuple(people.values()))
        report = Report()
        async with (
            running(town),
            phone_of(town, people["zoe"], "", Clock(report, lambda *_: None), town.folder / "phone") as phone,
        ):
            recorder = Recorder(phone, time.monotonic())
            await recorder.order(do="enrol")
    TARGET.write_text("\n".join(recorder.lines) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
