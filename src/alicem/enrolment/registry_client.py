"""The State's registry, asked as docs/protocols/registry.md says. Down or slow, it closes the door without costing a try."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import structlog

from alicem.evidence import Gender, PartialDate, civil_name
from alicem.reasons import Refused
from alicem.settings import Registry, SettingsError, secret

_log = structlog.get_logger("alicem.enrolment")
_ATTEMPTS = 3
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

    def __init__(self, settings: Registry, pause: float = 0.5) -> None:
        """`pause`: seconds before the second try; twice as long before the third. Raises `SettingsError`: no token, or certificates that cannot be read."""
        self._pause = pause
        token = secret(settings.token_file, "ALICEM_REGISTRY_TOKEN")
        self._seconds = settings.timeout_seconds
        self.reachable = True
        """Whether it answered when it was last asked, and as its contract says."""
        self._client = connect(settings)
        self._client.headers["Authorization"] = f"Bearer {token}"

    async def check(self, query: DocumentQuery) -> CivilStatus:
        """The civil status of the holder of a valid document. Raises `Refused`."""
        answer = await self._post("/v1/check", vars(query))
        status = answer.get("status")
        if status != "valid":
            raise Refused(_REFUSED.get(str(status), "registry_unavailable"))
        try:
            return civil_status(answer["civil_status"])
        except (KeyError, TypeError, ValueError) as error:
            _log.error("registry asked", call="check", outcome="wrong", said="civil status of another form")
            raise Refused("registry_unavailable") from error

    async def write_to_holder(self, query: DocumentQuery, reference: str, at: datetime) -> None:
        """Have the State write that an identity was made with this document. Raises `Refused`."""
        letter = {**vars(query), "reference": reference, "notice": "enrolled", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        await self._post("/v1/letters", letter)

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request may be sent again: a check changes nothing, and a letter has its reference."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause * attempt)
            began = time.monotonic()
            try:
                async with asyncio.timeout(
                    self._seconds
                ):  # httpx counts each piece by itself: drops would go on for ever
                    tree = await self._ask(path, body)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _Away) as error:
                late = isinstance(error, (TimeoutError, httpx.TimeoutException))
                self._asked(path, "timed_out" if late else "away", began, error)
            except _Wrong as error:
                self._asked(path, "wrong", began, error)
                break
            else:
                self._asked(path, "answered", began)
                return tree
        raise Refused("registry_unavailable")

    def _asked(self, path: str, outcome: str, began: float, error: Exception | None = None) -> None:
        self.reachable = outcome == "answered"
        said = str(error) if isinstance(error, (_Away, _Wrong)) else type(error).__name__
        why = {} if error is None else {"said": said}
        level = {"answered": logging.INFO, "wrong": logging.ERROR}.get(outcome, logging.WARNING)
        seconds = round(time.monotonic() - began, 3)
        _log.log(level, "registry asked", call=path.rpartition("/")[2], outcome=outcome, seconds=seconds, **why)

    async def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._client.stream("POST", path, json=dict(body)) as answer:
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _Away(f"status {answer.status_code}")
            if answer.status_code not in (200, 202):
                raise _Wrong(f"status {answer.status_code}")
            content = b""
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > _MOST:
                    raise _Wrong(f"more than {_MOST} bytes")
        try:
            tree = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _Wrong("not JSON") from error
        if not isinstance(tree, dict):
            raise _Wrong("not a JSON object")
        return tree


class _Away(Exception):
    """It says itself that it cannot answer now."""


class _Wrong(Exception):
    """It answers, and not as its contract says: asking again would change nothing."""


def connect(settings: Registry) -> httpx.AsyncClient:
    """A line to the registry, without a token. Raises `SettingsError`."""
    return httpx.AsyncClient(
        base_url=settings.url,
        timeout=settings.timeout_seconds,
        headers={"Accept-Encoding": "identity"},
        verify=_tls(settings),
        trust_env=False,
    )


def _tls(settings: Registry) -> ssl.SSLContext:
    """Whom we trust to be the registry, and who we are where it wants a certificate of its callers."""
    try:
        context = ssl.create_default_context(cafile=settings.authority_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"registry: its certificates cannot be read ({type(error).__name__})") from error
    return context


def civil_status(tree: Mapping[str, Any]) -> CivilStatus:
    """Raises `KeyError`, `TypeError` or `ValueError` for another form than the contract's."""
    given_names = _text(tree, "given_names", 0, 512)
    return CivilStatus(
        civil_name(_text(tree, "family_name", 1, 512)),
        civil_name(given_names) if given_names else "",
        None if tree.get("usage_name") is None else civil_name(_text(tree, "usage_name", 1, 512)),
        Gender(tree["gender"]),
        PartialDate.parse(_text(tree, "birthdate", 10, 10)),
        _text(tree, "birthplace_cog", 0, 5),
        _text(tree, "birthcountry_cog", 5, 5),
    )


def _text(tree: Mapping[str, Any], name: str, least: int, most: int) -> str:
    value = tree[name]
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise ValueError(name)
    return value
