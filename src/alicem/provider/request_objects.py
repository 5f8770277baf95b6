"""The signed request a phone answers (OpenID4VP 1.0 §5, RFC 9101), one a sign-in; docs/protocols/approval.md shows it whole."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem import jose
from alicem.evidence import Level
from alicem.provider import chip_proof, references
from alicem.provider.authorize import Asked
from alicem.provider.claims import QUERY, Claim, claims_of, dcql
from alicem.provider.room import Provider, verifier_id

_BROWSERS = (  # first match wins: the later ones name themselves as the earlier ones too
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
UNKNOWN = "unknown"


def browser_of(user_agent: str) -> str:
    """`Firefox, Linux`: of words of ours alone, whatever the header says."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return ", ".join(word for word in (browser, system) if word) or UNKNOWN


def region_of(address: str) -> str:
    """Where the asking browser is, as far as its address alone says: `local network`, or unknown."""
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return UNKNOWN
    return "local network" if host.is_private or host.is_loopback or host.is_link_local else UNKNOWN


@dataclass(frozen=True)
class Asker:
    """What the phone shows beside who asks: the kind of browser and its region."""

    browser: str
    region: str


def make(
    provider: Provider,
    asked: Asked,
    asker: Asker,
    signin: str,
    answer_to: EllipticCurvePublicKey,
    now: datetime,
    exp: int,
) -> str:
    """The compact JWS, signed by the verifier's certified key."""
    key = provider.ring.signing("verifier", now)
    payload = {
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "client_id": verifier_id(key),
        "response_uri": f"{provider.issuer}/signin/response",
        "aud": "https://self-issued.me/v2",
        "nonce": jose.b64(provider.rng(16)),
        "state": references.state_of(provider.transaction_secret(now), signin),
        "iat": int(now.timestamp()),
        "exp": exp,
        "dcql_query": dcql(_shown(asked)),
        "client_metadata": _metadata(signin, answer_to),
        "transaction_data": [jose.b64(json.dumps(_transaction(asked, asker), ensure_ascii=False).encode())],
    }
    return jose.sign(key.private, "oauth-authz-req+jwt", payload, x5c=key.x5c_header)


def read(request_object: str) -> dict[str, Any]:
    """The payload of a request object of our own making."""
    payload: dict[str, Any] = json.loads(jose.unb64(request_object.split(".")[1]))
    return payload


def transaction(request_object: str) -> dict[str, Any]:
    """What it says to the person: asker, level, browser, region, whether the document is read again."""
    said: dict[str, Any] = json.loads(jose.unb64(read(request_object)["transaction_data"][0]))
    return said


def _shown(asked: Asked) -> tuple[Claim, ...]:
    """What the client asked and may have; and for a document that is read again, what its chip is compared with."""
    claims = claims_of(asked.scopes)
    return (*claims, chip_proof.CLAIM) if asked.level == Level.HIGH else claims


def _metadata(signin: str, answer_to: EllipticCurvePublicKey) -> dict[str, Any]:
    jwk = {**jose.public_jwk(answer_to), "use": "enc", "alg": "ECDH-ES", "kid": signin}
    return {
        "jwks": {"keys": [jwk]},
        "encrypted_response_enc_values_supported": list(jose.OPENED),
        "vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}},
    }


def _transaction(asked: Asked, asker: Asker) -> dict[str, Any]:
    return {
        "type": "alicem_signin",
        "credential_ids": [QUERY],
        "asker": asked.client.name,
        "level": asked.level.acr,
        "browser": asker.browser,
        "region": asker.region,
        "chip": asked.level == Level.HIGH,
    }
