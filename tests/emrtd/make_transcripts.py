"""Make tests/emrtd/vectors/transcripts: whole readings of specimens, and what each came to.

`python tests/emrtd/make_transcripts.py`, again whenever what a terminal sends has changed on purpose.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact
from emrtd.exchange import Transmit, run
from emrtd.keys import Access
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import SoftChip
from emrtd.softchip.specimen_file import Chip, Specimen, examples, issue, make_state, parse_specimen
from emrtd.transports.replay import SpecimenRecorder

FOLDER = Path(__file__).parent / "vectors" / "transcripts"
MADE = datetime(2026, 1, 15, 12, tzinfo=UTC)
SEED = b"terminal"
PORTRAIT = b"\xff\xd8\xff\xe0" + seeded(b"portrait")(700) + b"\xff\xd9"
PASSPORT = parse_specimen(examples()["french-passport"])

READINGS: dict[str, Specimen] = {
    "bac-in-short-reads": replace(PASSPORT, chip=Chip(quirks=("no-extended-length", "no-master-file-6a86"))),
    "pace-gm-and-chip-authentication": PASSPORT,
    "pace-cam": replace(PASSPORT, chip=Chip(pace=("ECDH-CAM-AES-128/12",), active_authentication="none")),
    "pace-im-over-dh": replace(PASSPORT, chip=Chip(pace=("DH-IM-AES-128/0",))),
}


def trust() -> TrustStore:
    """In the State that signed all of them."""
    return TrustStore.of([make_state(PASSPORT.state, at=MADE, rng=seeded(b"state")).certificate])


def read(transmit: Transmit, access: Access) -> RawDocument:
    contact = run(first_contact(), transmit)
    return run(read_document(access, contact=contact, rng=seeded(SEED)), transmit)


def outcome(raw: RawDocument) -> str:
    """What a reading came to, as the line of TOML that is compared."""
    document = passive_authentication(raw, trust(), at=MADE)
    files = hashlib.sha256(b"".join((raw.sod, *(raw.groups[number] for number in sorted(raw.groups)))))
    return f'{{ opened = "{raw.protocol}", shown = {list(prove_chip(document, raw))}, files = "{files.hexdigest()}" }}'


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    lines = ["# What each transcript comes to; made by tests/emrtd/make_transcripts.py."]
    for name, described in READINGS.items():
        authority = make_state(PASSPORT.state, at=MADE, rng=seeded(b"state"))
        document = issue(described, authority, PORTRAIT, at=MADE, rng=seeded(name.encode())).document
        chip = SoftChip(document, seeded(b"silicon"))
        recorder = SpecimenRecorder(chip, lambda: 0.0, access=document.access, seed=SEED)
        raw = read(recorder, document.access)
        (FOLDER / f"{name}.json").write_bytes(recorder.transcript.to_bytes())
        lines.append(f"{name} = {outcome(raw)}")
    (FOLDER / "outcomes.toml").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
