"""What a client is told of a person, in the form it is registered for: id token and userinfo (OIDC Core §2, §5.3.2)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alicem import jose
from alicem.keys import SigningKey
from alicem.provider.client_keys import Recipient
from alicem.provider.clients import Client
from alicem.provider.profiles import ES256, JSON
from alicem.provider.room import ID_TOKEN_LIFE


@dataclass(frozen=True)
class Writer:
    """Writes to one client. `key`: that signs now. `recipient`: whom it encrypts to, if it does."""

    issuer: str
    client: Client
    key: SigningKey
    recipient: Recipient | None

    def id_token(self, grant: Mapping[str, Any], access_token: str, now: datetime) -> str:
        """OIDC Core §2. Never `nbf`: FranceConnect allows no clock difference."""
        payload = {
            "iss": self.issuer,
            "sub": grant["sub"],
            "aud": self.client.client_id,
            "exp": int((now + ID_TOKEN_LIFE).timestamp()),
            "iat": int(now.timestamp()),
            "auth_time": grant["auth_time"],
            "acr": grant["acr"],
            "amr": grant["amr"],
            "at_hash": jose.b64(hashlib.sha256(access_token.encode()).digest()[:16]),  # §3.1.3.6
        }
        if grant["nonce"] is not None:
            payload["nonce"] = grant["nonce"]
        return self._written(payload)

    def userinfo(self, grant: Mapping[str, Any]) -> dict[str, str]:
        """Its media `type` and `body`. A signed one never has `exp`: nobody takes it for an id token (RFC 8725 §3.12)."""
        claims = {"sub": grant["sub"], **grant["claims"]}
        if self.client.userinfo == JSON:
            return {"type": "application/json", "body": json.dumps(claims, separators=(",", ":"), ensure_ascii=False)}
        named = {"iss": self.issuer, "aud": self.client.client_id, **claims}
        return {"type": "application/jwt", "body": self._written(named)}

    def _written(self, payload: Mapping[str, Any]) -> str:
        token = sign_for(self.client, self.key, payload)
        return token if self.recipient is None else self.recipient.seal(token)


def sign_for(client: Client, key: SigningKey, payload: Mapping[str, Any]) -> str:
    """A JWT in the algorithm the client is registered with; HS256 is keyed with its secret (OIDC Core §10.1)."""
    if client.id_token_alg == ES256:
        return jose.sign(key.private, "JWT", payload, kid=key.kid)
    body = jose.b64(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
    return f"{_HS256}.{body}.{jose.b64(mac(client, f'{_HS256}.{body}'))}"


def mac(client: Client, signing_input: str) -> bytes:
    """HS256 under the client's secret."""
    return hmac.digest(client.secret.encode(), signing_input.encode(), hashlib.sha256)


_HS256 = jose.b64(b'{"alg":"HS256","typ":"JWT"}')
