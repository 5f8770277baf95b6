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

    auth: tuple[str, ...]
    id_token_alg: tuple[str, ...]
    userinfo: tuple[str, ...]
    encryption_alg: tuple[str | None, ...]
    pkce: bool = False
    pushed: bool = False
    bound: bool = False


PROFILES: Mapping[str, Profile] = {
    "franceconnect": Profile(
        auth=(POST, BASIC),
        id_token_alg=(HS256, ES256),
        userinfo=(JSON, JWT),
        encryption_alg=(None, *ENCRYPTION_ALGS),
    ),
    "franceconnect_plus": Profile(
        auth=(POST, BASIC),
        id_token_alg=(ES256,),
        userinfo=(JWT,),
        encryption_alg=ENCRYPTION_ALGS,
    ),
    "direct": Profile(
        auth=(ASSERTION,),
        id_token_alg=(ES256,),
        userinfo=(JSON, JWT),
        encryption_alg=(None, *ENCRYPTION_ALGS),
        pkce=True,
        pushed=True,
        bound=True,
    ),
}
