"""Requests to the registry, parsed once into frozen values (docs/protocols/registry.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from alicem.registry.records import DOCUMENT_FORMS, Document

MOST = 4096  # bytes a request may have


class Malformed(Exception):
    """`member` is missing, unknown or of another form; None where the whole is not a JSON object."""

    def __init__(self, member: str | None = None) -> None:
        super().__init__(member)
        self.member = member


class TooLarge(Exception):
    """More bytes than a request may have."""


LETTER_FORMS = DOCUMENT_FORMS | {
    "reference": r"[A-Za-z0-9_-]{16,64}",
    "notice": r"enrolled",
    "at": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|\+00:00)",
}


@dataclass(frozen=True)
class LetterRequest:
    reference: str
    document: Document
    notice: str
    at: datetime


async def read_document(request: Request) -> Document:
    """Raises `Malformed` or `TooLarge`."""
    return Document(**_members(await _body(request), DOCUMENT_FORMS))


async def read_letter(request: Request) -> LetterRequest:
    """Raises `Malformed` or `TooLarge`."""
    members = _members(await _body(request), LETTER_FORMS)
    try:
        at = datetime.fromisoformat(members["at"]).astimezone(UTC)
    except ValueError as error:
        raise Malformed("at") from error
    document = Document(**{name: members[name] for name in DOCUMENT_FORMS})
    return LetterRequest(members["reference"], document, members["notice"], at)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST:
            raise TooLarge
    return body


def _members(body: bytes, forms: Mapping[str, str]) -> dict[str, str]:
    tree: Any
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    if not isinstance(tree, dict):
        raise Malformed
    for name in sorted(tree.keys() | forms.keys()):
        value = tree.get(name)
        if name not in forms:
            raise Malformed(name if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) else None)
        if not isinstance(value, str) or not re.fullmatch(forms[name], value):
            raise Malformed(name)
    return tree
