"""What clients and their developers send: forms, assertions, proofs, published keys, hints, encrypted tokens; refused by name or read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.jose import BadToken
from alicem.keys import SigningKey
from alicem.provider import client_assertions, client_keys, dpop, logout, parameters
from alicem.provider.checks import ProtocolError
from alicem.provider.client_authentication import by_secret
from alicem.provider.clients import Client
from alicem.provider.parameters import Given, Unreadable
from alicem.provider.profiles import PROFILES

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
AT = NOW.timestamp()
ISSUER = "https://alicem.example"
PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
SIGNING = SigningKey(kid="k", purpose="signing", created=NOW, used_from=NOW, use_by=None, private=PRIVATE)
CLIENTS = {
    name: Client(
        client_id=name,
        name=name,
        profile=profile,
        secret="s" * 32,
        redirect_uris=("https://client.example/back",),
        post_logout_redirect_uris=("https://client.example/out",),
        auth=profile.auth,
        id_token_alg=profile.id_token_alg[0],
        userinfo=profile.userinfo[0],
        encryption_alg=None,
        sector=name,
        scopes=frozenset({"openid"}),
    )
    for name, profile in PROFILES.items()
}


def feed_client(data: bytes) -> None:
    """The first byte says what the rest is."""
    if data:
        KINDS[data[0] % len(KINDS)](data[1:])


def _form(data: bytes) -> None:
    try:
        given = parameters.parse(data)
        logout.way_back(given, CLIENTS, (SIGNING,), ISSUER)
    except (Unreadable, ProtocolError) as refused:
        _ = str(refused)


def _authorization(data: bytes) -> None:
    """An HTTP Basic header, as it comes and around whatever."""
    for header in (_text(data), "Basic " + base64.b64encode(data).decode()):
        try:
            by_secret(Given({}), header, CLIENTS)
        except ProtocolError as refused:
            _ = str(refused)


def _assertion(data: bytes) -> None:
    given = Given({"client_assertion_type": client_assertions.TYPE, "client_assertion": _text(data)})
    try:
        client_assertions.read(given, CLIENTS, ISSUER, AT)
    except ProtocolError as refused:
        _ = str(refused)


def _claimed(data: bytes) -> None:
    """Claims of a client that signs whatever."""
    _assertion(jose.sign(PRIVATE, "JWT", _text(data)).encode())


def _proof(data: bytes) -> None:
    try:
        dpop.proven([_text(data)], dpop.Request("POST", f"{ISSUER}/token", AT))
    except ProtocolError as refused:
        _ = str(refused)


def _proven(data: bytes) -> None:
    _proof(jose.sign(PRIVATE, "dpop+jwt", _text(data), jwk=jose.public_jwk(PRIVATE.public_key())).encode())


def _keys(data: bytes) -> None:
    try:
        found = client_keys.parse(data)
    except BadToken:
        return
    for recipient in found.recipients.values():
        recipient.seal("a.b.c")


def _hint(data: bytes) -> None:
    """An id token that a key of ours signed over whatever."""
    _hinted(jose.sign(PRIVATE, "JWT", _text(data), kid="k"))


def _forged_hint(data: bytes) -> None:
    """A header, a payload and a signature, each of a line."""
    _hinted(".".join(jose.b64(part) for part in data.split(b"\n")[:3]))


def _hinted(hint: str) -> None:
    try:
        logout.way_back(Given({"id_token_hint": hint}), CLIENTS, (SIGNING,), ISSUER)
    except ProtocolError as refused:
        _ = str(refused)


def _encrypted(data: bytes) -> None:
    try:
        jose.decrypt(_text(data), PRIVATE)
    except BadToken:
        return


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


KINDS: tuple[Callable[[bytes], None], ...] = (
    _form, _assertion, _claimed, _proof, _proven, _keys, _hint, _encrypted, _forged_hint, _authorization,
)  # fmt: skip


def client_seeds() -> tuple[bytes, ...]:
    now = int(AT)
    jwk = jose.public_jwk(PRIVATE.public_key())
    asserted = {"iss": "direct", "sub": "direct", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": "j"}
    proven = {"htm": "POST", "htu": f"{ISSUER}/token", "iat": now, "jti": "j"}
    hinted = {"iss": ISSUER, "aud": "direct", "sub": "s", "auth_time": now}
    published = {"keys": [{**jwk, "use": "enc", "alg": "ECDH-ES", "kid": "e"}, {**jwk, "use": "sig", "kid": "s"}]}
    texts: tuple[Any, ...] = (
        "client_id=direct&post_logout_redirect_uri=https%3A%2F%2Fclient.example%2Fout&state=s&id_token_hint=a.b.c",
        jose.sign(PRIVATE, "JWT", asserted, kid="s"),
        json.dumps(asserted),
        jose.sign(PRIVATE, "dpop+jwt", proven, jwk=jwk),
        json.dumps(proven),
        json.dumps(published),
        json.dumps(hinted),
        jose.encrypt_to(PRIVATE.public_key(), b"{}", cty="JWT"),
        json.dumps({"alg": "HS256"}) + "\n" + json.dumps({**hinted, "aud": "franceconnect"}) + "\ns",
        "franceconnect:" + "s" * 32,
    )
    return tuple(bytes((kind,)) + text.encode() for kind, text in enumerate(texts))
