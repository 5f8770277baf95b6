"""What wallets and verifiers read before anything else: the issuer's metadata (OpenID4VCI 1.0 §12.2), plain or signed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from alicem import jose
from alicem.credential.issue import TYP, VCT
from alicem.keys import SigningKey

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
CONFIGURATION = "identity"
SIGNED = "openidvci-issuer-metadata+jwt"
_LIFE = timedelta(days=1)

CLAIMS: Mapping[str, tuple[str, str, bool]] = {
    "family_name": ("Nom", "Name", True),
    "birth_family_name": ("Nom de naissance", "Name at birth", True),
    "given_name": ("Prénoms", "First names", True),
    "birthdate": ("Date de naissance", "Date of birth", True),
    "sex": ("Sexe", "Sex", True),
    "nationalities": ("Nationalités", "Nationalities", True),
    "birthplace_cog": ("Commune de naissance (code)", "Municipality of birth (code)", False),
    "birthcountry_cog": ("Pays de naissance (code)", "Country of birth (code)", True),
    "preferred_username": ("Nom d’usage", "Name in use", False),
    "email": ("Adresse électronique", "E-mail address", True),
    "chip_key": ("Empreinte de la clé de la puce", "Fingerprint of the chip’s key", True),
    "date_of_expiry": ("Fin de validité du document", "Expiry of the document", True),
    "level": ("Niveau de garantie", "Level of assurance", True),
    "issuing_country": ("Pays émetteur", "Issuing country", True),
    "issuing_authority": ("Autorité émettrice", "Issuing authority", True),
    "specimen": ("Spécimen", "Specimen", True),
}
"""Every claim a credential may hold: its names in French and English, and whether everybody has it."""


def issuer(origin: str) -> dict[str, Any]:
    """§12.2.4. Neither batches, nor deferred issuing, nor notifications, nor encryption of what is issued: one copy, at once, over TLS."""
    return {
        "credential_issuer": origin,
        "authorization_servers": [origin],
        "credential_endpoint": f"{origin}/credential/credential",
        "nonce_endpoint": f"{origin}/credential/nonce",
        "display": _display("Alicem", "Alicem"),
        "credential_configurations_supported": {
            CONFIGURATION: {
                "format": TYP,
                "vct": VCT,
                "scope": CONFIGURATION,
                "cryptographic_binding_methods_supported": ["jwk"],
                "credential_signing_alg_values_supported": ["ES256"],
                "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
                "credential_metadata": {
                    "display": _display("Identité", "Identity"),
                    "claims": [
                        {"path": [name], "mandatory": always, "display": _display(fr, en)}
                        for name, (fr, en, always) in CLAIMS.items()
                    ],
                },
            }
        },
    }


def signed_issuer(origin: str, key: SigningKey, now: datetime) -> str:
    """§12.2.3: the same as a JWS, `sub` the issuer itself, its chain in `x5c`."""
    at = int(now.timestamp())
    times = {"iss": origin, "sub": origin, "iat": at, "exp": at + int(_LIFE.total_seconds())}
    return jose.sign(key.private, SIGNED, {**issuer(origin), **times}, x5c=key.x5c_header)


def authorization_server(origin: str) -> dict[str, Any]:
    """RFC 8414, OpenID4VCI 1.0 §12.3, Token Status List §9.1. Codes come from an enrolment alone, so there is no authorization endpoint."""
    return {
        "issuer": origin,
        "token_endpoint": f"{origin}/credential/token",
        "token_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": [GRANT],
        "pre-authorized_grant_anonymous_access_supported": True,
        "status_list_aggregation_endpoint": f"{origin}/status",
    }


def offer_of(origin: str, code: str) -> dict[str, Any]:
    """A credential offer (§4.1.1): to whoever it is given, so it goes to a phone or wallet alone."""
    grants = {GRANT: {"pre-authorized_code": code}}
    return {"credential_issuer": origin, "credential_configuration_ids": [CONFIGURATION], "grants": grants}


def _display(fr: str, en: str) -> list[dict[str, str]]:
    return [{"name": fr, "locale": "fr-FR"}, {"name": en, "locale": "en-GB"}]
