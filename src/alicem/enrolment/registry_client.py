"""The State's registry, asked as docs/protocols/registry.md says. Down or slow, it closes the door without costing a try."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from alicem.evidence import Gender, PartialDate
from alicem.reasons import Refused
from alicem.settings import Registry, secret

_ATTEMPTS, _PAUSE = 3, 0.5
_MOST = 16 * 1024
_REFUSED = {
    "lost": "document_reported",
    "stolen": "document_reported",
    "cancelled": "document_reported",
    "deceased": "holder_deceased",
    "unknown": "document_unknown",
}


@dataclass(frozen=True)
class DocumentQuery:
    """A document as its chip names it; dates are `YYMMDD`."""

    issuer: str
    kind: str
    number: str
    birth_date: str
    expiry_date: str


@dataclass(frozen=True)
class CivilStatus:
    """What the State knows of the holder and the chip does not."""

    family_name: str
    given_names: str
    usage_name: str | None
    gender: Gender
    birthdate: PartialDate
    birthplace_cog: str
    birthcountry_cog: str


class RegistryClient:
    """One connection pool to the registry."""

    def __init__(self, settings: Registry) -> None:
        token = secret(settings.token_file, "ALICEM_REGISTRY_TOKEN")
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            timeout=settings.timeout_seconds,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )

    async def check(self, query: DocumentQuery) -> CivilStatus:
        """The civil status of the holder of a valid document. Raises `Refused`."""
        answer = await self._post("/v1/check", vars(query))
        status = answer.get("status")
        if status != "valid":
            raise Refused(_REFUSED.get(str(status), "registry_unavailable"))
        try:
            return _civil_status(answer["civil_status"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused("registry_unavailable") from error

    async def write_to_holder(self, query: DocumentQuery, reference: str, at: datetime) -> None:
        """Have the State write that an identity was made with this document. Raises `Refused`."""
        letter = {**vars(query), "reference": reference, "notice": "enrolled", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        await self._post("/v1/letters", letter)

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_PAUSE * attempt)
            try:
                answer = await self._client.post(path, json=dict(body))
                if answer.status_code < 300 and len(answer.content) <= _MOST:
                    tree = answer.json()
                    return tree if isinstance(tree, dict) else {}
            except (httpx.HTTPError, ValueError):
                continue
        raise Refused("registry_unavailable")


def _civil_status(tree: Mapping[str, Any]) -> CivilStatus:
    family_name, given_names = str(tree["family_name"]), str(tree["given_names"])
    if not 1 <= len(family_name) <= 256 or len(given_names) > 256:
        raise ValueError("names of 1 to 256 characters")
    usage_name = tree.get("usage_name")
    return CivilStatus(
        family_name,
        given_names,
        str(usage_name) if usage_name else None,
        Gender(tree["gender"]),
        PartialDate.parse(tree["birthdate"]),
        str(tree["birthplace_cog"]),
        str(tree["birthcountry_cog"]),
    )
