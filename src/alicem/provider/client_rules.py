"""What must hold of a client of the file, each with the sentence that its operator is told where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alicem.provider.claims import SCOPES
from alicem.provider.profiles import ASSERTION, ENCRYPTION_ENC, JSON

if TYPE_CHECKING:
    from alicem.provider.clients import Client

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,2000}")


def rules(client: Client, table: Mapping[str, Any], loopback: bool) -> Iterator[tuple[bool, str]]:
    """What must hold, each with the sentence where it does not."""
    profile, called = client.profile, client.profile.name
    uris = client.redirect_uris + client.post_logout_redirect_uris
    with_secret, with_assertion = ASSERTION not in client.auth, ASSERTION in client.auth
    with_keys = with_assertion or client.encryption_alg is not None
    algs = [str(alg) for alg in profile.encryption_alg if alg is not None]
    yield 0 < len(client.name) <= 80, "name: 1 to 80 characters"
    yield bool(client.sector), "sector: a name"
    yield bool(client.redirect_uris), "redirect_uris: at least one"
    yield (
        all(_redirectable(uri, loopback) for uri in uris),
        "redirect_uris: absolute, https (http to this machine outside production alone), without fragment",
    )
    yield client.scopes <= SCOPES.keys() and "openid" in client.scopes, f"scopes: openid, among {', '.join(SCOPES)}"
    yield set(client.auth) <= set(profile.auth), f"auth: {called} has {', '.join(profile.auth)}"
    yield client.id_token_alg in profile.id_token_alg, f"id_token_alg: {called} has {', '.join(profile.id_token_alg)}"
    yield client.userinfo in profile.userinfo, f"userinfo: {called} has {', '.join(profile.userinfo)}"
    yield client.encryption_alg in profile.encryption_alg, f"encryption_alg: {called} has {', '.join(algs)}"
    yield table.get("encryption_enc", ENCRYPTION_ENC) == ENCRYPTION_ENC, f"encryption_enc: {ENCRYPTION_ENC}"
    yield client.encryption_alg is None or client.userinfo != JSON, "userinfo: jwt where answers are encrypted"
    yield "secret_file" in table or not with_secret, f"secret_file: {called} needs one"
    yield "secret_file" not in table or with_secret, "secret_file: a client that proves its key has no secret"
    yield ("jwks_uri" in table) + ("jwks_file" in table) == with_keys, _keys_wanted(with_keys)
    yield client.jwks_uri is None or _fetchable(client.jwks_uri, loopback), "jwks_uri: an https address"
    yield client.keys is None or not with_assertion or bool(client.keys.signing), "jwks_file: no ES256 key with use sig"
    yield (
        client.keys is None or client.encryption_alg is None or client.encryption_alg in client.keys.recipients,
        f"jwks_file: no {client.encryption_alg} key with use enc",
    )


def _keys_wanted(wanted: bool) -> str:
    if wanted:
        return "jwks_uri: exactly one of jwks_uri and jwks_file, for private_key_jwt or encryption"
    return "jwks_uri: of no use without private_key_jwt or encryption"


def _redirectable(uri: str, loopback: bool) -> bool:
    """RFC 6749 §3.1.2 and RFC 9700 §2.6."""
    return _secure(uri, loopback) and "#" not in uri


def _fetchable(uri: str, loopback: bool) -> bool:
    return _secure(uri, loopback) and "@" not in urlsplit(uri).netloc


def _secure(uri: str, loopback: bool) -> bool:
    if not _VISIBLE.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (loopback and parts.scheme == "http" and host in _LOOPBACK))
