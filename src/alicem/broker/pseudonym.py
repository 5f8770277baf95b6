"""The pseudonym a service knows a person by: of its organisation, the same whichever provider was used.

The rule and its vector are FranceConnect's published ones.
"""

from __future__ import annotations

import base64
import hashlib

from alicem.broker.claims import FRANCE, Identity


def identity_hash(identity: Identity) -> str:
    """Base64 of SHA-256 over the civil registry's identity."""
    place = identity.birthplace if identity.birthcountry == FRANCE else ""
    serial = (
        identity.given_name
        + identity.family_name
        + identity.birthdate
        + identity.gender
        + place
        + identity.birthcountry
    )
    return base64.b64encode(hashlib.sha256(_latin_1(serial)).digest()).decode()


def pairwise(entity: str, identity: Identity, secret: str) -> str:
    """The `sub` for the services of one organisation: 64 hexadecimal digits and `v1`."""
    whole = entity + identity_hash(identity) + secret
    return hashlib.sha256(whole.encode()).hexdigest() + "v1"


def _latin_1(text: str) -> bytes:
    """Latin-1 as the published rule computes it: the low byte of each UTF-16 unit, so letters beyond it (Œ) lose their high byte."""
    return text.encode("utf-16-le")[::2]
