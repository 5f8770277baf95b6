"""The credential as strangers may bend it: parts, payloads under a right signature, requests; refused by name or read, never a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.credential import CredentialRefused, Expected, sdjwt, status, verify_presentation
from alicem.credential.issuance import IssuanceError, proof_of
from alicem.credential.issue import TYP, VCT, compose
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.keys import SigningKey

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PRIVATE, HOLDER = (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in (7, 11))
ISSUER = SigningKey(kid="k", purpose="issuer", created=NOW, used_from=NOW, use_by=None, private=PRIVATE)
EXPECTED = Expected("nonce", "aud", frozenset({"given_name"}))


def feed_credential(data: bytes) -> None:
    """The first byte says what the rest is."""
    if data:
        KINDS[data[0] % len(KINDS)](data[1:].decode("utf-8", "replace"))


def _presentation(text: str) -> None:
    try:
        verify_presentation(text, EXPECTED, (ISSUER,), NOW)
    except CredentialRefused as refused:
        _ = str(refused)


def _signed_payload(text: str) -> None:
    """What an issuer gone mad would sign: the rest of it is right."""
    token = jose.sign(PRIVATE, TYP, text, kid="k") + "~"
    proof = {"nonce": "nonce", "aud": "aud", "iat": int(NOW.timestamp()), "sd_hash": _hash(token)}
    _presentation(token + jose.sign(HOLDER, "kb+jwt", proof))


def _signed_binding(text: str) -> None:
    token = _credential().split("~")[0] + "~"
    _presentation(token + jose.sign(HOLDER, "kb+jwt", text))


def _disclosed(text: str) -> None:
    """A payload, and beside it disclosures that each fit a digest of it."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(payload, dict):
        return
    texts = [jose.b64(json.dumps(["s", *one], default=str).encode()) for one in (["a", payload], [payload], ["b", 1])]
    payload.setdefault("_sd", [_hash(one) for one in texts[:1]])
    try:
        whole = sdjwt.parse("~".join(["j", *texts, ""]))
        for shown in ((), whole.disclosures[:1], whole.disclosures):
            sdjwt.reveal(payload, shown)
    except BadToken:
        return


def _sealed(text: str) -> None:
    try:
        jose.decrypt(text, HOLDER)
    except BadToken:
        return


def _request(text: str) -> None:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(asked, dict):
        try:
            proof_of(asked)
        except IssuanceError as refused:
            _ = str(refused)


KINDS: tuple[Callable[[str], None], ...] = (
    _presentation, _signed_payload, _signed_binding, _disclosed, _sealed, _request,
)  # fmt: skip


def credential_seeds() -> tuple[bytes, ...]:
    credential = _credential()
    issuer_jwt, disclosure, _ = credential.split("~")
    proof = {"nonce": "nonce", "aud": "aud", "iat": int(NOW.timestamp()), "sd_hash": _hash(credential)}
    payload = jose.unpack(issuer_jwt, TYP).json()
    nested = {"a": {"_sd": [_hash(disclosure)]}, "n": [{"...": "x"}, 1], "vct": VCT}
    asked = {"credential_configuration_id": "identity", "proofs": {"jwt": ["a.b.c"]}}
    texts: tuple[Any, ...] = (
        credential + jose.sign(HOLDER, "kb+jwt", proof),
        json.dumps(payload),
        json.dumps(proof),
        json.dumps(nested),
        jose.encrypt_to(HOLDER.public_key(), b"{}"),
        json.dumps(asked),
    )
    return tuple(bytes((kind,)) + text.encode() for kind, text in enumerate(texts))


def _credential() -> str:
    end = int((NOW + timedelta(days=9)).timestamp())
    return compose(
        [("given_name", "Zoë")],
        HOLDER.public_key(),
        ISSUER,
        level=Level.LOW,
        specimen=True,
        expires=end,
        status=status.reference("https://a.example", 7),
        origin="https://a.example",
        now=NOW,
        rng=bytes,
    )


def _hash(text: str) -> str:
    return jose.b64(hashlib.sha256(text.encode()).digest())
