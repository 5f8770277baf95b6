"""A specimen State, a specimen document and a way to read it, for all tests of the chip library."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from emrtd.contact import first_contact
from emrtd.dates import PartialDate
from emrtd.exchange import Traffic, run
from emrtd.passive import RawDocument
from emrtd.pki.specimen import (
    Authority,
    DocumentSigner,
    make_authority,
    make_revocation_list,
    make_signer,
)
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, Description, SoftChip, personalise

MADE = datetime(2025, 3, 1, 12, tzinfo=UTC)
NOW = MADE + timedelta(days=400)
FRAME = bytes.fromhex("FFC0 000B 08 0213 019D 01 011100")  # grey, 413 by 531: all that is read of an image here
JPEG = b"\xff\xd8" + FRAME + b"\xff\xda" + seeded(b"portrait")(15_000) + b"\xff\xd9"
JP2 = bytes.fromhex("0000000C6A5020200D0A870A") + seeded(b"jp2")(12_000)
BSI_2008 = Path(__file__).parents[2].parent / "shared" / "data" / "documents" / "bsi2008"


@dataclass(frozen=True)
class State:
    """A specimen State at work."""

    authority: Authority
    signer: DocumentSigner
    trust: TrustStore


@cache
def make_state(authority: str = "secp384r1", signer: str = "secp256r1", pss: bool = False) -> State:
    rng = seeded(f"{authority} {signer} {pss}".encode())
    above = make_authority("FR", at=MADE - timedelta(days=30), rng=rng, kind=authority, pss=pss)
    below = make_signer(above, at=MADE - timedelta(days=1), rng=rng, kind=signer, pss=pss)
    trust = TrustStore.of([above.certificate], [make_revocation_list(above, [], at=NOW)])
    return State(above, below, trust)


DESCRIPTION = Description(
    surname="Lefèvre-Dœuil",
    given_names="Zoë Anaïs",
    number="24AA12345",
    birth_date=PartialDate(1990, 5, 17),
    sex="F",
    nationality="FRA",
    issuer="FRA",
    expires=date(2034, 2, 28),
    portrait=JPEG,
    portrait_size=(413, 531),
    birth_place=("Besançon",),
    personal_number="1990055512345",
)


def make_document(
    description: Description = DESCRIPTION,
    *,
    state: State | None = None,
    profile: ChipProfile | None = None,
    digest: str = "sha256",
) -> ChipDocument:
    signer = (state or make_state()).signer
    return personalise(description, signer, rng=seeded(b"chip"), at=MADE, profile=profile, digest=digest)


def read(document: ChipDocument, *, traffic: Traffic | None = None, extended: bool = True) -> RawDocument:
    """Read a document on a new software chip, as a terminal would."""
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)
    protocol = read_document(document.access, contact=found, rng=seeded(b"terminal"), extended=extended)
    return run(protocol, chip, traffic)
