"""Answers that a phone makes up, where the service reads a chip through it: refused by name, never a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state

from alicem.enrolment.document import DocumentLines, read_chip
from alicem.jose import b64
from alicem.reasons import Refused
from emrtd.contact import FIRST_CONTACT
from emrtd.exchange import Answers, run_batch
from emrtd.rng import seeded
from emrtd.softchip import SoftChip

WAYS = {"bac": (), "pace": ("ECDH-GM-AES-128/13",)}
LIES: dict[str, Answers] = {
    "none": (),
    "more than were asked": (b"\x90\0",) * 500,
    "a single byte": (b"\x90",),
    "nothing": (b"",),
}


class Phone:
    """Both ends of the link at once: a chip beside it for the first contact, then made-up answers."""

    def __init__(self, chip: SoftChip, lie: Answers) -> None:
        self.chip, self.lie = chip, lie

    def send(self, kind: str, **members: Any) -> None:
        pass

    def wait_for(self, *kinds: str, seconds: float | None = None) -> tuple[str, bytes]:
        answers = run_batch(FIRST_CONTACT, self.chip) if "chip_found" in kinds else self.lie
        return kinds[0], json.dumps({"answers": [b64(answer) for answer in answers]}).encode()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("way", WAYS)
def test_answers_of_no_chip(way: str, lie: str) -> None:
    document = make_document(replace(DESCRIPTION, portrait=JPEG[:900], pace=WAYS[way]))
    phone = Phone(SoftChip(document, seeded(b"silicon")), LIES[lie])
    lines = DocumentLines("passport", document.access)
    with pytest.raises(Refused) as refused:
        read_chip(phone, lines, make_state().trust, seeded(b"t"), lambda: NOW)  # type: ignore[arg-type]
    assert refused.value.reason.name == "chip_unreadable"
