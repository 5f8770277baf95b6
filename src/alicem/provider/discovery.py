"""Discovery and keys (OpenID Connect Discovery 1.0 §3, RFC 7517 §5). FranceConnect fetches both at every step."""

from __future__ import annotations

import json
from typing import Any

from alicem import jose
from alicem.evidence import Level
from alicem.keys import KeyRing, SigningKey
from alicem.provider.claims import CLAIMS, SCOPES
from alicem.provider.profiles import ASSERTION, BASIC, ENCRYPTION_ALGS, ENCRYPTION_ENC, ES256, HS256, POST
from alicem.provider.room import Provider


def configuration(provider: Provider) -> bytes:
    """`/.well-known/openid-configuration`."""
    issuer = provider.issuer
    tree: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "require_pushed_authorization_requests": False,
        "userinfo_endpoint": f"{issuer}/userinfo",
        "end_session_endpoint": f"{issuer}/end_session",
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": [level.acr for level in Level if level <= provider.reachable],
        "subject_types_supported": ["pairwise"],
        **{
            f"{answer}_{name}_values_supported": values
            for answer in ("id_token", "userinfo")
            for name, values in (
                ("signing_alg", [ES256, HS256]),
                ("encryption_alg", list(ENCRYPTION_ALGS)),
                ("encryption_enc", [ENCRYPTION_ENC]),
            )
        },
        "token_endpoint_auth_methods_supported": [POST, BASIC, ASSERTION],
        "token_endpoint_auth_signing_alg_values_supported": [ES256],
        "dpop_signing_alg_values_supported": [ES256],
        "claim_types_supported": ["normal"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", *CLAIMS],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["login"],
        "ui_locales_supported": ["fr", "en"],
    }
    return json.dumps(tree).encode()


class Keys:
    """`/jwks`: every living key for id tokens, the one to come too, so that rotation overlaps. Written anew when they change alone."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._written: tuple[tuple[SigningKey, ...], bytes] = ((), b"")

    def document(self) -> bytes:
        found = self._ring.published("signing")
        if found != self._written[0]:
            self._written = found, json.dumps({"keys": [_jwk(key) for key in found]}).encode()
        return self._written[1]


def _jwk(key: SigningKey) -> dict[str, str]:
    return {**jose.public_jwk(key.private.public_key()), "kid": key.kid, "use": "sig", "alg": ES256}
