"""Carrying batches of commands from the server to a chip (enrolment.md, step 4): the phone understands nothing of what passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alicem.jose import b64, unb64
from emrtd.contact import FIRST_CONTACT
from emrtd.errors import TagLost
from emrtd.exchange import Answers, Batch, Command, Transmit, run_batch


def first_contact(transmit: Transmit) -> bytes:
    """The content of `chip_found`."""
    return _content(run_batch(FIRST_CONTACT, transmit))


def relay(message: Mapping[str, Any], transmit: Transmit) -> tuple[str, bytes]:
    """Run a `chip_batch`: the type of the answer and its content, also where the chip was lost on the way."""
    commands = tuple(
        Command(unb64(one["apdu"]), tuple(int(status, 16) for status in one["allowed"])) for one in message["commands"]
    )
    try:
        return "chip_answers", _content(run_batch(Batch(commands), transmit))
    except TagLost as lost:
        return "chip_lost", _content(lost.answers)


def _content(answers: Answers) -> bytes:
    return json.dumps({"answers": [b64(one) for one in answers]}).encode()
