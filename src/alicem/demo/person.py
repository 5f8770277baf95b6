"""A persona with a phone, as a process of its own: `python -m alicem.demo.person`. Orders come as JSON lines, what happens goes out as JSON lines.

Orders: `{"do": "enrol"}`, `{"do": "approve", "link", "number"}`, `{"do": "refuse", "link"}`. Answers: `{"tell": "message", …}` for each protocol message,
then `{"tell": "enrolled" | "approved" | "declined" | "refused" | "failed", …}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from alicem.demo.personas import Persona, impostor_of, load
from alicem.face import Action
from alicem.jose import BadToken
from alicem.phone.approve import approve, fetch, refuse
from alicem.phone.enrol import Enrolment, Holder, RefusedAt
from alicem.phone.instruct import Device
from alicem.phone.state import PhoneHasForgotten, Storage, new_phone
from alicem.reasons import Refused
from emrtd.exchange import Transmit
from emrtd.softchip.personalise import zone_date

LETTER_SECONDS = 20.0
Observe = Callable[[str, dict[str, Any]], None]


class Chip:
    """The persona's software chip at the stage, over a WebSocket: one command, one answer a message."""

    def __init__(self, stage: str, name: str, wrong: str) -> None:
        address = stage.replace("http", "ws", 1) + f"/chips/{name}" + (f"?wrong={wrong}" if wrong else "")
        self._closing = contextlib.ExitStack()
        self._socket = self._closing.enter_context(connect(address, proxy=None, compression=None, open_timeout=60))

    def close(self) -> None:
        """Take the document away."""
        self._closing.close()

    def transmit(self, apdu: bytes) -> bytes:
        self._socket.send(apdu)
        answer = self._socket.recv(timeout=10)
        if not isinstance(answer, bytes):
            raise TypeError("a chip answers bytes")
        return answer


class ActorCamera:
    """The actor before the phone's camera."""

    def __init__(self, shown: Persona) -> None:
        from alicem.demo import actor  # noqa: PLC0415 - it draws: who is not filmed needs none of its libraries

        self._actor = actor.Actor(shown.face, secrets.randbits(32))
        self.about, self.light = self._actor.about, self._actor.light
        self.frame, self.eyes = self._actor.frame, self._actor.eyes

    def perform(self, action: str | None, at_ms: float) -> None:
        self._actor.perform(None if action is None else Action(action), at_ms)


class Person:
    """One persona, one phone. `wrong`: what goes wrong (`face`, `document`, `chip`, `code`), or nothing. `observe`: told of every message.
    `keep_phones`: the identity's other phones stay. `renewing`: today's code, where a renewed document continues this phone's identity."""

    def __init__(
        self,
        persona: Persona,
        device: Device,
        stage: str,
        wrong: str,
        observe: Observe = lambda *_: None,
        keep_phones: bool = False,
        renewing: str | None = None,
    ) -> None:
        self.persona, self.device, self.stage, self.wrong = persona, device, stage, wrong
        self._observe, self._keep_phones, self._renewing = observe, keep_phones, renewing
        self._chip: Chip | None = None
        shown = impostor_of(persona) if wrong == "face" else persona
        self.camera = ActorCamera(shown)

    def holder(self) -> Holder:
        """The persona with document, camera and letter box."""
        document = self.persona.document
        return Holder(
            email=self.persona.email,
            code=self.persona.code,
            kind=document.kind,
            number=document.number,
            birth_date=zone_date(document.born),
            expiry_date=f"{document.expiry_date:%y%m%d}",
            lay_document=self._lay_document,
            camera=self.camera,
            read_letter=self._read_letter,
            keep_phones=self._keep_phones,
            renewing=self._renewing,
        )

    async def enrol(self) -> dict[str, Any]:
        enrolled = await Enrolment(self.device, self.holder(), self._observe).run()
        return {
            "tell": "enrolled",
            "receipt": enrolled.receipt,
            "suspension_code": enrolled.suspension_code,
            "measurements": enrolled.measurements,
        }

    async def approve(self, link: str, number: str) -> dict[str, Any]:
        request = await fetch(self.device, link)
        code = self.persona.code
        if self.wrong == "code":
            code = f"{(int(code) + 1) % 1_000_000:06d}"
        try:
            await approve(self.device, request, number, code, self._lay_document)
        except Refused:
            with contextlib.suppress(httpx.HTTPStatusError):  # what was refused may have ended the sign-in already
                await refuse(self.device, request)
            raise
        return {"tell": "approved", "asker": request.asker, "claims": list(request.claims), "level": request.level}

    async def refuse(self, link: str) -> dict[str, Any]:
        await refuse(self.device, await fetch(self.device, link), not_mine=True)
        return {"tell": "declined"}

    def _lay_document(self) -> Transmit:
        wrong = self.wrong if self.wrong in ("document", "chip") else ""
        if self._chip is not None:
            self._chip.close()
        self._chip = Chip(self.stage, self.persona.name, wrong)
        return self._chip.transmit

    async def _read_letter(self) -> str:
        """The six digits of the newest letter in the mail box."""
        async with httpx.AsyncClient(base_url=self.stage, trust_env=False) as client:
            for _ in range(int(LETTER_SECONDS / 0.1)):
                listed = (await client.get("/letters", params={"to": self.persona.email})).json()["letters"]
                found = [digits for one in listed for digits in re.findall(r"\b[0-9]{6}\b", one["text"])]
                if found:
                    return str(found[0])  # newest first
                await asyncio.sleep(0.1)
        raise Refused("mail_unavailable")


def _tell_message(who: str, message: dict[str, Any]) -> None:
    """Frames are counted by nobody; everything else is told, long members shortened."""
    if message["type"] != "frame":
        _tell({"tell": "message", "from": who, "message": message})


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")
    sys.stdout.flush()


async def _obey(person: Person, order: dict[str, Any]) -> dict[str, Any]:
    try:
        if order["do"] == "enrol":
            return await person.enrol()
        if order["do"] == "refuse":
            return await person.refuse(order["link"])
        return await person.approve(order["link"], order["number"])
    except RefusedAt as refusal:
        return {
            "tell": "refused",
            "reason": refusal.reason.name,
            "step": refusal.step,
            "measurements": refusal.measurements,
        }
    except Refused as refusal:
        return {"tell": "refused", "reason": refusal.reason.name, "tries_left": refusal.tries_left}
    except (httpx.HTTPError, OSError, BadToken, PhoneHasForgotten) as error:
        return {"tell": "failed", "why": f"{type(error).__name__}: {error}"}


async def _main(arguments: argparse.Namespace) -> None:
    storage = Storage(Path(arguments.state))
    async with httpx.AsyncClient(base_url=arguments.origin, timeout=20, trust_env=False) as http:
        try:
            phone = storage.load()
        except PhoneHasForgotten:
            phone = new_phone(arguments.origin, "fr", secrets.token_bytes)
        device = Device(storage, http, lambda: datetime.now(UTC), secrets.token_bytes, phone)
        person = Person(load()[arguments.persona], device, arguments.stage, arguments.wrong, _tell_message)
        while line := await asyncio.to_thread(sys.stdin.readline):
            _tell(await _obey(person, json.loads(line)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m alicem.demo.person")
    for name in ("--state", "--origin", "--stage", "--persona"):
        parser.add_argument(name, required=True)
    parser.add_argument("--wrong", default="", choices=("", "face", "document", "chip", "code"))
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
