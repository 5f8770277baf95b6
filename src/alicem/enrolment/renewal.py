"""A renewed document continues the account of the one before: the phone that holds the earlier credential asks for it with its code, and the
State's new record must be of the same person.

The server keeps nothing by which it could tell; what it compares are claims it signed itself and forgot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from alicem.accounts import take_approval
from alicem.credential import CredentialRefused, Expected, Presentation, verify_presentation
from alicem.enrolment.journey import Journey
from alicem.evidence import CivilIdentity
from alicem.reasons import Refused
from emrtd.names import transliterate

CLAIMS = frozenset(("birth_family_name", "given_name", "birthdate", "birthplace_cog", "birthcountry_cog"))
"""What stays the same in a life; a first name that was changed by law is a matter for an office."""
GRACE = timedelta(days=365)
"""A document is often renewed after its end, and the credential ended with it."""


async def renewed(journey: Journey, token: Any, challenge: str) -> int:
    """The number of the account that this enrolment may continue. Raises `Refused` (`registration_refused`, `renewal_mismatch`)."""
    room, session = journey.room, journey.session
    expected = Expected(nonce=challenge, audience=session.origin, claims=CLAIMS, grace=GRACE)
    now = room.clock()
    try:
        shown = verify_presentation(str(token), expected, room.ring.signing_all("issuer"), now)
    except CredentialRefused as error:
        raise Refused("registration_refused") from error
    digest = hashlib.sha256(f"renew.{session.name}".encode()).digest()
    phone = await room.store.write(lambda c: take_approval(c, digest, now))
    if phone is None or phone.thumbprint != shown.thumbprint:
        raise Refused("registration_refused")
    _require_same_person(shown, journey.identity)
    return phone.account


def _require_same_person(shown: Presentation, identity: CivilIdentity | None) -> None:
    if identity is None or not _same(shown.claims, identity):
        raise Refused("renewal_mismatch")


def _same(before: Mapping[str, Any], now: CivilIdentity) -> bool:
    """Names as the machine-readable zone would write them, so that an accent may be put right."""
    return (
        _folded(before.get("birth_family_name", "")) == _folded(now.family_name),
        _folded(before.get("given_name", "")) == _folded(now.given_names),
        before.get("birthdate"),
        before.get("birthplace_cog", ""),
        before.get("birthcountry_cog"),
    ) == (True, True, str(now.birthdate), now.birthplace_cog, now.birthcountry_cog)


def _folded(name: str) -> str:
    return " ".join(transliterate(name).replace("<", " ").split())
