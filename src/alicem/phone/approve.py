"""Signing in from the phone: fetch what is asked, let the owner see and decide, answer with the credential (approval.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem import jose
from alicem.credential import sdjwt
from alicem.jose import BadToken, b64, unb64
from alicem.phone.chip import DocumentReading, LayDocument, Observe
from alicem.phone.instruct import Answer, Device
from alicem.phone.state import MOST_HISTORY, open_vault, seal_vault
from alicem.phone.trust import verified
from alicem.reasons import Refused

STOPPED = ("account_locked", "account_suspended", "account_not_active", "clone_suspected", "too_many_approvals")
"""Outcomes after which no try of this phone helps, for a while at least."""


@dataclass(frozen=True)
class SignInRequest:
    """What the owner is shown, and what the answer needs. `claims`: names asked. `chip`: the document is read again."""

    token: str
    reference: str
    asker: str
    level: str
    browser: str
    region: str
    chip: bool
    claims: tuple[str, ...]
    client_id: str
    response_uri: str
    nonce: str
    state: str
    transaction_data: tuple[str, ...]
    encryption_key: EllipticCurvePublicKey
    encryption_kid: str


async def fetch(device: Device, link: str) -> SignInRequest:
    """The request behind a QR or link `origin/phone/approve#REF`. Raises `Refused`, `BadToken`."""
    address, _, reference = link.partition("#")
    if address != f"{device.phone.origin}/phone/approve" or not reference:
        raise BadToken("not a link of this phone's provider")
    answer = await device.http.get(f"/signin/request/{reference}")
    if answer.status_code != 200:
        raise Refused("signin_expired")
    payload, leaf = verified(answer.text, "oauth-authz-req+jwt", device.phone.anchor, device.clock())
    return _request(answer.text, reference, payload, leaf, device)


def _request(token: str, reference: str, payload: dict[str, Any], leaf: bytes, device: Device) -> SignInRequest:
    try:
        client_id, response_uri = payload["client_id"], payload["response_uri"]
        said = json.loads(unb64(payload["transaction_data"][0]))
        queries, keys = payload["dcql_query"]["credentials"], payload["client_metadata"]["jwks"]["keys"]
        request = SignInRequest(
            token=token,
            reference=reference,
            asker=said["asker"],
            level=said["level"],
            browser=said["browser"],
            region=said["region"],
            chip=said.get("chip") is True,
            claims=tuple(one["path"][0] for one in queries[0].get("claims", [])),
            client_id=client_id,
            response_uri=response_uri,
            nonce=payload["nonce"],
            state=payload["state"],
            transaction_data=tuple(payload["transaction_data"]),
            encryption_key=jose.public_key(keys[0]),
            encryption_kid=keys[0]["kid"],
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadToken("the request lacks something") from error
    rules = (
        payload.get("aud") == "https://self-issued.me/v2",
        payload.get("exp", 0) > device.clock().timestamp(),
        client_id == "x509_hash:" + b64(hashlib.sha256(leaf).digest()),
        _origin(response_uri) == device.phone.origin,
        said.get("type") == "alicem_signin",
        len(queries) == 1,
    )
    if not all(rules):
        raise BadToken("the request is not one this phone may answer")
    return request


async def approve(
    device: Device,
    request: SignInRequest,
    number: str,
    code: str,
    lay_document: LayDocument | None = None,
    observe: Observe = lambda *_: None,
) -> None:
    """Order the sign-in with the code, have the document read again where it is asked, then show the credential.

    Raises `Refused`, `WrongCode`, `PhoneHasForgotten`.
    """
    if request.chip and lay_document is None:
        raise Refused("level_not_reachable")  # before anything is typed for nothing; another phone may still answer
    answer = await _ordered(device, request, number, code)
    vault = open_vault(device.phone, answer.share, device.storage.load_vault())
    if request.chip and lay_document is not None:
        await _prove_chip(device, request, vault, lay_document, observe)
    presentation = present(device, vault["credential"], request)
    outcome = await _post(device, request, presentation)
    entry = {
        "at": f"{device.clock():%Y-%m-%dT%H:%M:%SZ}",
        "asker": request.asker,
        "level": request.level,
        "claims": [name for name in request.claims if name != "chip_key"],  # which goes no further than the provider
        "outcome": outcome,
    }
    vault["history"] = [*vault["history"], entry][-MOST_HISTORY:]
    device.storage.save_vault(seal_vault(device.phone, answer.share, vault, device.rng))
    if outcome != "done":
        raise Refused(outcome)


async def _ordered(device: Device, request: SignInRequest, number: str, code: str) -> Answer:
    """The share. Where this phone can do nothing more, its browser goes back with the reason. Raises as `instruct`."""
    try:
        return await device.instruct(code, "approve", f"{request.token}.{number}".encode())
    except Refused as refused:
        if refused.reason.name in STOPPED:
            await _decline(device, request, refused.reason.name)
        raise


async def _prove_chip(
    device: Device, request: SignInRequest, vault: dict[str, Any], lay_document: LayDocument, observe: Observe
) -> None:
    """Raises `Refused`; what this phone can never do ends the sign-in, so that its browser goes back."""
    held = {one.name for one in sdjwt.parse(vault["credential"]).disclosures}
    access_key = vault.get("access_key")
    if access_key is None or "chip_key" not in held:
        await _decline(device, request, "level_not_reachable")
        raise Refused("level_not_reachable")
    await DocumentReading(device, request.reference, request.state, access_key, lay_document, observe).run()


async def refuse(device: Device, request: SignInRequest, *, not_mine: bool = False) -> None:
    """Say no in one tap; `not_mine` reports a request the owner did not start."""
    await _decline(device, request, "not_mine" if not_mine else None)


async def _decline(device: Device, request: SignInRequest, why: str | None) -> None:
    form = {"error": "access_denied", "state": request.state, **({} if why is None else {"error_description": why})}
    (await device.http.post(request.response_uri, data=form)).raise_for_status()


def present(device: Device, credential: str, request: SignInRequest) -> str:
    """The credential with the disclosures asked and no other, bound to this request."""
    hashes = [b64(hashlib.sha256(one.encode()).digest()) for one in request.transaction_data]
    bound = {"transaction_data_hashes": hashes, "transaction_data_hashes_alg": "sha-256"}
    return show(device, credential, request.claims, nonce=request.nonce, aud=request.client_id, **bound)


def show(device: Device, credential: str, claims: Collection[str], **binding: Any) -> str:
    """The credential with the disclosures named, and a key-binding proof over `binding` (RFC 9901 §4.3)."""
    whole = sdjwt.parse(credential)
    shown = tuple(one for one in whole.disclosures if one.name in claims)
    part = sdjwt.SdJwt(whole.issuer_jwt, shown, "")
    payload = {"iat": int(device.clock().timestamp()), "sd_hash": part.sd_hash, **binding}
    proof = jose.sign(device.phone.device_key, "kb+jwt", payload)
    return "~".join([part.issuer_jwt, *(one.text for one in shown), proof])


async def _post(device: Device, request: SignInRequest, presentation: str) -> str:
    body = json.dumps({"vp_token": {"identity": [presentation]}, "state": request.state}).encode()
    response = jose.encrypt_to(request.encryption_key, body, kid=request.encryption_kid)
    answer = await device.http.post(request.response_uri, data={"response": response})
    try:
        return str(answer.json()["outcome"])
    except (ValueError, KeyError, TypeError, httpx.DecodingError) as error:
        raise Refused("internal") from error


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
