"""Issuing over OpenID4VCI 1.0: pre-authorized code, nonce, one key proof, one credential. Each refusal has the specification's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from alicem import jose
from alicem.credential import status
from alicem.credential.issue import compose, issue
from alicem.credential.metadata import CONFIGURATION, GRANT
from alicem.credential.offers import LIFE, Copy, Offer, Offers
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.settings import Settings
from alicem.store import Store

_PROOF_AGE = 300  # seconds


class IssuanceError(Exception):
    """`error`: of OpenID4VCI 1.0 §8.3.1, or of RFC 6749 §5.2. `text`: for developers; holds nothing that was sent."""

    def __init__(self, error: str, text: str, status: int = 400) -> None:
        super().__init__(f"{error}: {text}")
        self.error, self.text, self.status = error, text, status


@dataclass(frozen=True)
class Issuer:
    """What issuing needs; `offers` is shared with enrolment, which fills it."""

    settings: Settings
    store: Store
    ring: KeyRing
    offers: Offers
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """§6: an access token for a code. The code came over the enrolment's own session to the phone, so a transaction code would protect nothing."""
        if form.get("grant_type") != GRANT:
            raise IssuanceError("unsupported_grant_type", "only pre-authorized codes")
        if "tx_code" in form:
            raise IssuanceError("invalid_request", "no transaction code belongs to this offer")
        token = self.offers.redeem(form.get("pre-authorized_code", ""))
        if token is None:
            raise IssuanceError("invalid_grant", "the code is unknown, used or over")
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(LIFE.total_seconds())}

    async def credential(self, token: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """§8.2. A request that is refused leaves the token as it was."""
        offer = self.offers.peek(token)
        if offer is None:
            raise _bad_token()
        holder = self._proven(proof_of(asked), offer.holder if isinstance(offer, Offer) else None)
        if self.offers.take(token) is None:
            raise _bad_token()
        if isinstance(offer, Copy):
            credential = await self._copied(offer, holder)
        else:
            credential = await self.store.write(lambda connection: self._issued(connection, offer))
            offer.issued()
        return {"credentials": [{"credential": credential}]}

    def deferred(self) -> dict[str, Any]:
        """§9: whatever is issued is issued at once."""
        raise IssuanceError("invalid_transaction_id", "nothing was deferred: credentials are issued at once")

    def _proven(self, proof: str, holder: EllipticCurvePublicKey | None) -> EllipticCurvePublicKey:
        """Appendix F.1, F.4: by the key that signed the enrolment, or by the foreign wallet's own; over a nonce of ours."""
        try:
            unverified = jose.unpack(proof, "openid4vci-proof+jwt")
            key = holder or jose.public_key(unverified.header.get("jwk"))
            jose.check(unverified, key)
            payload = unverified.json()
        except BadToken as error:
            raise IssuanceError("invalid_proof", str(error)) from error
        made = payload.get("iat")
        age = int(self.clock().timestamp()) - made if isinstance(made, int) else _PROOF_AGE + 1
        if payload.get("aud") != self.settings.service.origin or abs(age) > _PROOF_AGE:
            raise IssuanceError("invalid_proof", "for another audience, or too old")
        if not self.offers.take_nonce(str(payload.get("nonce", ""))):
            raise IssuanceError("invalid_nonce", "not ours, used or over")
        return key

    def _issued(self, connection: Connection, offer: Offer) -> str:
        now, origin = self.clock(), self.settings.service.origin
        index = status.allocate(connection, self.rng)
        offer.on_issue(connection, index)
        return issue(
            offer.evidence,
            offer.holder,
            self.ring.signing("issuer", now),
            status=status.reference(origin, index),
            origin=origin,
            now=now,
            lifetime=timedelta(days=365 * self.settings.retention.identity_check_years),
            rng=self.rng,
        )

    async def _copied(self, copy: Copy, holder: EllipticCurvePublicKey) -> str:
        """Says what the phone's said, at its own level, to the same end."""
        now, origin = self.clock(), self.settings.service.origin
        standing = await self.store.look_up(lambda connection: status.current(connection, copy.status_index))
        if standing is not status.Status.VALID:
            raise IssuanceError("credential_request_denied", "what was to be copied is no longer in force")
        return compose(
            copy.claims.items(),
            holder,
            self.ring.signing("issuer", now),
            level=copy.level,
            specimen=copy.specimen,
            expires=copy.expires,
            status=status.reference(origin, copy.status_index),
            origin=origin,
            now=now,
            rng=self.rng,
        )


def proof_of(asked: Mapping[str, Any]) -> str:
    """The one key proof of a credential request, of which everything else is checked. Raises `IssuanceError`."""
    if "credential_identifier" in asked:
        raise IssuanceError("unknown_credential_identifier", "none was given with the access token")
    if not isinstance(asked.get("credential_configuration_id"), str):
        raise IssuanceError("invalid_credential_request", "no credential_configuration_id")
    if asked["credential_configuration_id"] != CONFIGURATION:
        raise IssuanceError("unknown_credential_configuration", f"only {CONFIGURATION}")
    if "credential_response_encryption" in asked:
        raise IssuanceError("invalid_encryption_parameters", "answers are not encrypted")
    proofs = asked.get("proofs")
    jwts = proofs.get("jwt") if isinstance(proofs, dict) and proofs.keys() == {"jwt"} else None
    if not isinstance(jwts, list) or not jwts or not all(isinstance(one, str) for one in jwts):
        raise IssuanceError("invalid_proof", "one proof of type jwt is expected")
    if len(jwts) > 1:
        raise IssuanceError("invalid_credential_request", "no batches: one copy is issued, for one key")
    return str(jwts[0])


def _bad_token() -> IssuanceError:
    return IssuanceError("invalid_token", "the access token is unknown, used or over", 401)
