"""Read a travel document and check it, from the first command to the holder's name.

Here the chip is a specimen in memory, so the example runs anywhere: `python examples/read_passport.py`.
For a real one, replace `chip` by a function that sends a command APDU to your reader and returns the answer,
`trust` by the certificates of your master list, and the access key by what is printed on the document.
"""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta

from emrtd import active_authentication
from emrtd.dates import PartialDate
from emrtd.errors import AccessRefused, NotGenuine, WireFailure
from emrtd.exchange import Traffic, run
from emrtd.keys import MrzKey
from emrtd.passive import passive_authentication
from emrtd.pki.specimen import make_authority, make_signer
from emrtd.pki.trust import TrustStore
from emrtd.contact import first_contact
from emrtd.reading import read_document
from emrtd.softchip import Description, SoftChip, personalise


def specimen(now: datetime) -> tuple[SoftChip, TrustStore]:
    """A specimen State, one of its passports on a software chip, and the trust that accepts it."""
    authority = make_authority("UT", at=now - timedelta(days=30), rng=secrets.token_bytes)
    signer = make_signer(authority, at=now - timedelta(days=1), rng=secrets.token_bytes)
    holder = Description(
        surname="Lefèvre-Dœuil",
        given_names="Zoë Anaïs",
        number="24AA12345",
        birth_date=PartialDate(1990, 5, 17),
        sex="F",
        nationality="UTO",
        issuer="UTO",
        expires=date(now.year + 8, 2, 28),
        portrait=b"\xff\xd8\xff" + bytes(15_000),  # any JPEG or JPEG 2000 file
        birth_place=("Besançon",),
    )
    document = personalise(holder, signer, rng=secrets.token_bytes, at=now)
    return SoftChip(document, secrets.token_bytes), TrustStore.of([authority.certificate])


def main() -> None:
    now = datetime.now(UTC)
    chip, trust = specimen(now)
    key = MrzKey(document_number="24AA12345", birth_date="900517", expiry_date=f"{(now.year + 8) % 100:02d}0228")
    traffic = Traffic()
    try:
        found = run(first_contact(), chip)
        reading = read_document(key, contact=found, rng=secrets.token_bytes)
        raw = run(reading, chip, traffic)
        document = passive_authentication(raw, trust, at=now)
        active_authentication.verify(document, raw)
    except (AccessRefused, WireFailure, NotGenuine) as refusal:
        raise SystemExit(f"{type(refusal).__name__}: {refusal} ({refusal.clause})") from None
    print(f"{document.full_name}, born {document.birth_date}, {document.mrz.nationality}")
    print(f"document {document.mrz.number} of {document.mrz.issuer}, valid until {document.expiry_date}")
    print(f"portrait: {len(document.portrait.image)} bytes of {document.portrait.format}")
    print(f"read in {traffic.round_trips} round trips, {traffic.commands} commands, {traffic.bytes} bytes")
    print("warnings:", ", ".join(document.warnings) or "none")


if __name__ == "__main__":
    main()
