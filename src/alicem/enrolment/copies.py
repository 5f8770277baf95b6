"""A copy of the credential for a wallet of another maker, where the settings allow it: ordered by a phone with its code, at the level they say.

Such a wallet has no code instruction, so its copy signs in nowhere here; it serves at other verifiers (docs/protocols/credential.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alicem import journal
from alicem.accounts import take_approval
from alicem.credential import (
    Copy,
    CredentialRefused,
    Expected,
    Presentation,
    Status,
    current_status,
    verify_presentation,
)
from alicem.credential.metadata import CLAIMS, offer_of
from alicem.enrolment.journey import Enrolment
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.reasons import Refused
from alicem.web.bodies import BodyTooLarge, json_of

COPIED = frozenset(CLAIMS) - {"chip_key"}
"""Claims a copy may have: the chip's key is for this provider alone."""
_BODY = 32 * 1024
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 22, 100  # of a nonce: 128 bits and more


async def order(room: Enrolment, request: Request) -> Response:
    """`POST /phone/copy`: a credential offer (OpenID4VCI 1.0 §4.1), or the row of reasons.toml."""
    try:
        offer = await _ordered(room, await json_of(request, _BODY))
    except (BadToken, BodyTooLarge):
        return JSONResponse({"outcome": "wire_malformed"}, 400)
    except Refused as refused:
        return JSONResponse({"outcome": refused.reason.name}, 403)
    return JSONResponse({"outcome": "done", "credential_offer": offer})


async def _ordered(room: Enrolment, asked: Mapping[str, Any]) -> dict[str, Any]:
    if room.settings.wallets.foreign == "off":
        raise Refused("wallets_not_admitted")
    nonce, token, now = asked.get("nonce"), asked.get("presentation"), room.clock()
    if not isinstance(nonce, str) or not nonce.isascii() or not isinstance(token, str):
        raise BadToken("no nonce, or no presentation")
    if not _FEWEST_CHARACTERS <= len(nonce) <= _MOST_CHARACTERS:
        raise BadToken("a nonce too short or too long")
    expected = Expected(nonce=nonce, audience=room.settings.service.origin, claims=COPIED)
    try:
        shown = verify_presentation(token, expected, room.ring.signing_all("issuer"), now)
    except CredentialRefused as refused:
        raise Refused(refused.reason) from refused
    copy = await room.store.write(lambda connection: _allowed(room, connection, nonce, shown, now))
    return offer_of(room.settings.service.origin, room.offers.add(copy))


def _allowed(room: Enrolment, connection: Connection, nonce: str, shown: Presentation, now: datetime) -> Copy:
    """The order of the phone that shows it is taken; the copy it gets. Raises `Refused`."""
    phone = take_approval(connection, hashlib.sha256(f"copy.{nonce}".encode()).digest(), now)
    if phone is None or phone.thumbprint != shown.thumbprint:
        raise Refused("key_binding_wrong")
    if phone.state != "active" or current_status(connection, shown.status_index) is not Status.VALID:
        raise Refused("credential_revoked")
    level = min(shown.level, phone.level, Level.from_name(room.settings.wallets.foreign))
    journal.append(connection, now, "copy_offered", room.rng, content={"level": level.name.lower()})
    return Copy(shown.claims, level, shown.specimen, shown.expires, shown.status_index)
