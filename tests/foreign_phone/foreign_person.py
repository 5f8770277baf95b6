"""Who holds the foreign phone: a persona with a document, a face and a letter box."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import httpx

from alicem.demo.person import ActorCamera, Chip
from alicem.demo.personas import Persona
from emrtd.errors import TagLost


@dataclass
class Holder:
    """`slips_after`: the document slips from the phone once, after so many commands."""

    persona: Persona
    stage: str
    slips_after: int | None = None
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
