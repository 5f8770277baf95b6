"""Issue the credential: every claim the provider can emit is a disclosure of its own (SD-JWT VC, PID rulebook names)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem import jose
from alicem.credential.sdjwt import disclose
from alicem.evidence import Evidence, Gender, Level
from alicem.keys import SigningKey

VCT = "urn:eudi:pid:fr:1"
TYP = "dc+sd-jwt"
_SEX = {Gender.UNSPECIFIED: 0, Gender.MALE: 1, Gender.FEMALE: 2}  # ISO/IEC 5218, as the PID rulebook has it
_DECOYS = (
    3  # digests without a claim, so that their number does not tell whether there is a usage name (RFC 9901 §4.2.5)
)


def issue(
    evidence: Evidence,
    holder: EllipticCurvePublicKey,
    key: SigningKey,
    *,
    status: dict[str, Any],
    origin: str,
    now: datetime,
    lifetime: timedelta,
    rng: Callable[[int], bytes],
) -> str:
    """A credential bound to `holder`, all disclosures attached. It ends with the document or with the retention of the check."""
    return compose(
        claims(evidence),
        holder,
        key,
        level=evidence.level,
        specimen=evidence.specimen,
        expires=int(_end(evidence, now, lifetime).timestamp()),
        status=status,
        origin=origin,
        now=now,
        rng=rng,
    )


def compose(
    said: Iterable[tuple[str, Any]],
    holder: EllipticCurvePublicKey,
    key: SigningKey,
    *,
    level: Level,
    specimen: bool,
    expires: int,
    status: dict[str, Any],
    origin: str,
    now: datetime,
    rng: Callable[[int], bytes],
) -> str:
    """A credential that says this of its holder, each claim a disclosure of its own. `expires`: Unix time."""
    disclosures = [disclose(name, value, rng) for name, value in said]
    decoys = [jose.b64(rng(32)) for _ in range(_DECOYS)]
    payload = {
        "iss": origin,
        "iat": int(now.timestamp()),
        "exp": expires,
        "vct": VCT,
        "cnf": {"jwk": jose.public_jwk(holder)},
        "status": status,
        "level": level.name.lower(),
        "issuing_country": "FR",
        "issuing_authority": "Alicem",
        "specimen": specimen,
        "_sd_alg": "sha-256",
        "_sd": sorted([*(one.digest for one in disclosures), *decoys]),
    }
    token = jose.sign(key.private, TYP, payload, kid=key.kid, x5c=key.x5c_header)
    return "~".join([token, *(one.text for one in disclosures), ""])


def claims(evidence: Evidence) -> Iterator[tuple[str, Any]]:
    """The claims of a credential by name; one the person does not have is absent, but for given names: nobody shall be able to hide theirs."""
    identity = evidence.identity
    yield "family_name", identity.preferred_username or identity.family_name
    yield "birth_family_name", identity.family_name
    yield "given_name", identity.given_names
    yield "birthdate", str(identity.birthdate)
    yield "sex", _SEX[identity.gender]
    yield "nationalities", [identity.nationality]
    if identity.birthplace_cog:
        yield "birthplace_cog", identity.birthplace_cog
    yield "birthcountry_cog", identity.birthcountry_cog
    if identity.preferred_username:
        yield "preferred_username", identity.preferred_username
    yield "email", evidence.email
    yield "chip_key", jose.b64(evidence.document.chip_key)
    yield "date_of_expiry", evidence.document.expires.isoformat()


def _end(evidence: Evidence, now: datetime, lifetime: timedelta) -> datetime:
    return min(now + lifetime, datetime.combine(evidence.document.expires, time.max, UTC))
