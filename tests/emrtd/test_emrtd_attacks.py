"""What somebody who holds the chip, the phone or the wire would try, and who stops it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state

from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact
from emrtd.errors import DataGroupAltered, TagLost
from emrtd.exchange import Transmit, run
from emrtd.files import CARD_SECURITY
from emrtd.passive import passive_authentication
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import SoftChip
from emrtd.softchip.faults import cloned

SMALL = replace(DESCRIPTION, portrait=JPEG[:900], active_authentication="none")
MAPPED = replace(SMALL, pace=("ECDH-CAM-AES-128/13",))


def lost_at(transmit: Transmit, last: int) -> Transmit:
    """A chip that leaves the field in place of answering command number `last`."""
    count = 0

    def send(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        if count == last:
            raise TagLost
        return transmit(apdu)

    return send


def commands_of(transmit: Transmit, access: object) -> int:
    count = 0

    def send(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        return transmit(apdu)

    run(read_document(access, rng=seeded(b"t")), send)  # type: ignore[arg-type]
    return count


def test_the_proof_of_one_chip_does_not_serve_the_files_of_another() -> None:
    """A copy of one document is read up to its end and taken away; in its place lies a genuine card of the same State,
    which proves itself by its mapping. A relay that knows what opens both makes them open alike."""
    victim, card = make_document(MAPPED), make_document(replace(MAPPED, surname="Autre", given_names="Personne"))
    files = {file_id: content for file_id, content in victim.files.items() if file_id != CARD_SECURITY.file_id}
    copy = replace(cloned(victim, seeded(b"forger")), files=files)
    assert copy.access == card.access
    commands = commands_of(SoftChip(copy, seeded(b"s")).transmit, copy.access)
    with pytest.raises(TagLost) as lost:
        run(
            read_document(copy.access, rng=seeded(b"t")),
            lost_at(SoftChip(copy, seeded(b"s")).transmit, commands),
        )
    chip = SoftChip(card, seeded(b"s"))
    contact = run(first_contact(), chip)
    raw = run(read_document(card.access, contact=contact, rng=seeded(b"u"), resume=lost.value.read), chip)
    with pytest.raises(DataGroupAltered):
        prove_chip(passive_authentication(raw, make_state().trust, at=NOW), raw)
