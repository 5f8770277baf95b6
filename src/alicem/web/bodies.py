"""Request bodies of strangers, read within bounds and parsed strictly."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from alicem.jose import BadToken

MOST = 256 * 1024


class BodyTooLarge(Exception):
    """More bytes than this endpoint reads."""


async def body_of(request: Request, most: int = MOST) -> bytes:
    """The body, never more than `most` bytes of it. Raises `BodyTooLarge`."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise BodyTooLarge
    return bytes(data)


async def json_of(request: Request, most: int = MOST) -> dict[str, Any]:
    """A JSON object. Raises `BadToken` for anything else."""
    try:
        tree = json.loads(await body_of(request, most) or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadToken("not JSON") from error
    if not isinstance(tree, dict):
        raise BadToken("not a JSON object")
    return tree


async def form_of(request: Request, most: int = MOST) -> dict[str, str]:
    """A URL-encoded form, at most 64 fields. Raises `BadToken` for a repeated field (RFC 6749 §3.1)."""
    try:
        pairs = parse_qsl((await body_of(request, most)).decode(), keep_blank_values=True, max_num_fields=64)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadToken("not a form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise BadToken("a field is repeated")
    return form
