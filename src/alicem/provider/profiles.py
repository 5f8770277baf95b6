"""What kinds of clients there are, and what each may be registered with; docs/clients.md shows the same as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ES256, HS256 = "ES256", "HS256"
POST, BASIC, ASSERTION = "client_secret_post", "client_secret_basic", "private_key_jwt"
JSON, JWT = "json", "jwt"
ENCRYPTION_ALGS = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES")
ENCRYPTION_ENC = "A256GCM"


@dataclass(frozen=True)
class Profile:
    """What a client of this kind may choose; where its table says nothing, the first counts, of `auth` each.

    `encryption_alg`: None is none. `pkce`, `pushed`, `bound`: it has to send a code_challenge (RFC 7636), to push its requests (RFC 9126), and
    to prove a key its tokens are bound to (RFC 9449).
    """

    name: str
    auth: tuple[str, ...]
    id_token_alg: tuple[str, ...]
    userinfo: tuple[str, ...]
    encryption_alg: tuple[str | None, ...]
    pkce: bool = False
    pushed: bool = False
    bound: bool = False


_ALL = (
    Profile(
        name="franceconnect",
        auth=(POST, BASIC),
        id_token_alg=(HS256, ES256),
        userinfo=(JSON, JWT),
        encryption_alg=(None, *ENCRYPTION_ALGS),
    ),
    Profile(
        name="franceconnect_plus",
        auth=(POST, BASIC),
        id_token_alg=(ES256,),
        userinfo=(JWT,),
        encryption_alg=ENCRYPTION_ALGS,
    ),
    Profile(
        name="direct",
        auth=(ASSERTION,),
        id_token_alg=(ES256,),
        userinfo=(JSON, JWT),
        encryption_alg=(None, *ENCRYPTION_ALGS),
        pkce=True,
        pushed=True,
        bound=True,
    ),
)
PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
