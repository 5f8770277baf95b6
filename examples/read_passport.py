"""Read a travel document and check it, from the first command to the holder's name.

    python examples/read_passport.py                     a specimen in memory: runs anywhere
    python examples/read_passport.py READER FOLDER       what lies on a PC/SC reader of that name; trust in FOLDER

FOLDER holds certificates of country signing authorities, DER or PEM, one or many a file; `emrtd.pki.collection` reads
master lists. PC/SC needs pyscard: docs/chip.md.
"""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path

from emrtd.authenticity import prove_chip
from emrtd.errors import EmrtdError, NoChipKey, TagLost
from emrtd.exchange import Traffic, run
from emrtd.keys import MrzKey
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.softchip.specimen_file import examples, issue, make_state, parse_specimen, specimen_portrait
from emrtd.transports.pcsc import Card
from emrtd.transports.software import SoftwareCard


def specimen(now: datetime) -> tuple[SoftwareCard, MrzKey, TrustStore]:
    """A passport of a specimen State, what is printed on it, and the trust that accepts it."""
    described = parse_specimen(examples()["french-passport"])
    state = make_state(described.state, at=now, rng=secrets.token_bytes)
    document = issue(described, state, specimen_portrait(), at=now, rng=secrets.token_bytes).document
    return SoftwareCard(document, secrets.token_bytes), document.access, TrustStore.of([state.certificate])


def on_reader(name: str, folder: Path) -> tuple[Card, MrzKey, TrustStore]:
    """The document on a reader, its key from the keyboard, trust from a folder."""
    trust = TrustStore.of(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())
    card = Card(name)
    key = MrzKey(*(getpass(f"{part}: ") for part in ("Document number", "Birth date YYMMDD", "Expiry date YYMMDD")))
    return card, key, trust


def read(chip: SoftwareCard | Card, key: MrzKey, traffic: Traffic) -> RawDocument:
    """Everything on the chip. When the document slips it is waited for, and the reading goes on where it was."""
    lost = TagLost()
    while True:
        chip.connect()
        try:
            return run(read_document(key, rng=secrets.token_bytes, resume=lost.read), chip, traffic)
        except TagLost as again:
            if again.read == lost.read:
                raise
            lost = again


def main() -> None:
    now, traffic = datetime.now(UTC), Traffic()
    if len(sys.argv) not in (1, 3):
        raise SystemExit("usage: read_passport.py [READER FOLDER]")
    try:
        chip, key, trust = on_reader(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) == 3 else specimen(now)
        with chip:
            raw = read(chip, key, traffic)
        document = passive_authentication(raw, trust, at=now)
        try:
            shown = ", ".join(prove_chip(document, raw))
        except NoChipKey:
            shown = "nothing: its State gave it no key"
    except EmrtdError as refusal:
        raise SystemExit(f"{type(refusal).__name__}: {refusal}") from None
    print(f"{document.full_name}, born {document.birth_date}, {document.mrz.nationality}")
    print(f"document {document.mrz.number} of {document.mrz.issuer}, valid until {document.expiry_date}")
    print(f"signed by {document.signer.country}; the chip showed by {shown} that it is no copy")
    print(f"portrait: {len(document.portrait.image)} bytes of {document.portrait.format}")
    print(f"read in {traffic.round_trips} round trips, {traffic.commands} commands, {traffic.bytes} bytes")
    print("warnings:", ", ".join(document.warnings) or "none")


if __name__ == "__main__":
    main()
