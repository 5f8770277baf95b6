"""The citizen is told of an unusual sign-in: by a browser not known as theirs, through a provider or to a service new in six months."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection

from alicem.broker import kept
from alicem.broker.kept import SignedIn
from alicem.broker.parts import PARIS, Parts
from alicem.broker.post import Letter
from alicem.web.text import long_date

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing to be taken for something else


def session_code(rng: Callable[[int], bytes]) -> str:
    """What a person names to support: twelve characters, 60 random bits."""
    return "".join(_ALPHABET[byte % 32] for byte in rng(12))


def spelled(code: str) -> str:
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def unusual(connection: Connection, row: SignedIn, cookie: str) -> tuple[str, ...]:
    """Why a sign-in is unusual, before it is in the history; empty where it is not. The browser is known from now on."""
    providers, services = kept.seen(connection, row.person, row.at - kept.SIX_MONTHS)
    # Bound to the person: the database does not tell that two people share a browser.
    digest = hashlib.sha256(f"{cookie} {row.person}".encode()).hexdigest()
    found = (
        ("browser", not kept.know(connection, digest, row.at)),
        ("provider", row.provider not in providers),
        ("service", row.service not in services),
    )
    return tuple(name for name, holds in found if holds)


def paris_time(language: str, at: int) -> str:
    """`21 novembre 2026 à 16:05`."""
    local = datetime.fromtimestamp(at, UTC).astimezone(PARIS)
    return f"{long_date(language, local)}, {local:%H:%M}"


def alert(parts: Parts, language: str, row: SignedIn, reasons: tuple[str, ...], to: str) -> Letter:
    """The letter; it names service, provider, time and code, and nothing of the person."""
    told = [parts.pages.texts.get(language, f"broker.alert.because.{one}") for one in reasons]
    return _letter(parts, language, "alert", row, to, reasons="\n".join(f"- {one}" for one in told))


def report(parts: Parts, language: str, row: SignedIn, to: str) -> Letter:
    """To the person who said that it was not them, or to support."""
    return _letter(parts, language, "report", row, to)


def _letter(parts: Parts, language: str, kind: str, row: SignedIn, to: str, **more: str) -> Letter:
    values = {
        "service": title_of_service(parts, language, row.service),
        "provider": title_of_provider(parts, row.provider),
        "at": paris_time(language, row.at),
        "code": spelled(row.code),
        "history": f"{parts.issuer}/history",
        "product": parts.pages.texts.get(language, "broker.product"),
    }
    text = parts.pages.texts.get
    return Letter(
        to, text(language, f"broker.{kind}.subject", **values), text(language, f"broker.{kind}.text", **values, **more)
    )


def title_of_service(parts: Parts, language: str, client_id: str) -> str:
    """As its file says today; the broker's own history; the identifier of one that is gone."""
    if not client_id:
        return parts.pages.texts.get(language, "broker.history.title")
    service = parts.services.get(client_id)
    return client_id if service is None else service.file.title


def title_of_provider(parts: Parts, name: str) -> str:
    provider = parts.providers.get(name)
    return name if provider is None else provider.file.title
