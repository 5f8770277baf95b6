"""Who holds the foreign phone: a persona with a document, a face and a letter box."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from alicem.demo.person import ActorCamera, Chip
from alicem.demo.personas import Persona
from emrtd.errors import TagLost


@dataclass
class Holder:
    """`slips_after`: the document slips from the phone once, after so many commands. `tunnels`: at which messages (by type, or name of the step) the line is lost."""

    persona: Persona
    stage: str
    slips_after: int | None = None
    tunnels: list[str] = field(default_factory=list)
    camera: ActorCamera = field(init=False)
    _chip: Chip | None = None

    def __post_init__(self) -> None:
        self.camera = ActorCamera(self.persona)

    def access_key(self) -> dict[str, str]:
        """What opens the chip, as read from the document (`YYMMDD`)."""
        printed = self.persona.document
        born = printed.birth_date.replace("-00", "<<").replace("-", "")[
            2:
        ]  # what is not known is `<<`, as on the document
        return {"number": printed.number, "birth_date": born, "expiry_date": f"{printed.expiry_date:%y%m%d}"}

    def lay_document(self) -> None:
        """The document lies on the phone, or lies there again."""
        self.take_document()
        self._chip = Chip(self.stage, self.persona.name, "")

    def loses_the_line(self, message: Mapping[str, Any]) -> bool:
        """Whether the phone is cut off as this message comes, which it never sees."""
        if message.get("resume") or message.get("name", message["type"]) not in self.tunnels[:1]:
            return False
        self.tunnels.pop(0)
        return True

    def take_document(self) -> None:
        if self._chip is not None:
            self._chip.close()

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer. Raises `TagLost` as the document slips."""
        if self.slips_after == 0:
            self.slips_after = None
            raise TagLost
        if self.slips_after is not None:
            self.slips_after -= 1
        assert self._chip is not None
        return self._chip.transmit(apdu)

    async def letters(self) -> list[str]:
        """The six digits of every letter in the box, newest first."""
        async with httpx.AsyncClient(base_url=self.stage, trust_env=False) as client:
            listed = (await client.get("/letters", params={"to": self.persona.email})).json()["letters"]
        return [digits for one in listed for digits in re.findall(r"\b[0-9]{6}\b", one["text"])]

    async def next_letter(self, known: int) -> str:
        """The digits of a letter that comes after the first `known`."""
        while len(found := await self.letters()) <= known:
            await asyncio.sleep(0.05)
        return found[0]
