"""Ask an attached registry what docs/protocols/registry.md promises, without a person: for whoever attaches a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from alicem.enrolment.registry_client import DocumentQuery, civil_status

Answer = httpx.Response
MOST = 16 * 1024
FORMED = {"issuer": "FRA", "kind": "passport", "birth_date": "880517", "expiry_date": "341102"}


@dataclass(frozen=True)
class Promise:
    """One line of the contract: what is asked, and what the answer must be."""

    name: str
    path: str
    body: Mapping[str, Any] | bytes | None
    kept: Callable[[Answer], bool]
    token: str | None = ""
    """None for none, empty for ours."""


@dataclass(frozen=True)
class Outcome:
    name: str
    kept: bool
    said: str
    milliseconds: int


def promises(number: str, reference: str, document: DocumentQuery | None = None) -> tuple[Promise, ...]:
    """What is asked. `number`: of no document; `document`: a valid one that the State gave for tests."""
    nobody = {**FORMED, "number": number}
    letter = {**nobody, "reference": reference, "notice": "enrolled", "at": "2026-01-01T00:00:00Z"}
    check, letters = "/v1/check", "/v1/letters"
    always = (
        Promise("answers that it is up", "/live", None, lambda a: a.status_code == 200, None),
        Promise("refuses a caller without a token", check, nobody, _refuses_token, None),
        Promise("refuses a caller with another token", check, nobody, _refuses_token, "another" * 6),
        Promise("writes no letter for a caller without a token", letters, letter, _refuses_token, None),
        Promise("refuses what is not JSON", check, b"{", _malformed(None)),
        Promise("names the member that is missing", check, FORMED, _malformed("number")),
        Promise("names the member that is unknown", check, {**nobody, "name": "x"}, _malformed("name")),
        Promise("names the member of another form", check, {**nobody, "kind": "card"}, _malformed("kind")),
        Promise("refuses more than 4 kB", check, b" " * 5000, _error(413, "too_large")),
        Promise("knows no document of a number that does not exist", check, nobody, _is("unknown")),
        Promise("writes to nobody", letters, letter, _error(404, "holder_unknown")),
    )
    return always if document is None else (*always, *_of(vars(document)))


def _of(document: Mapping[str, str]) -> tuple[Promise, ...]:
    birth, expiry = ({**document, name: _other(document[name])} for name in ("birth_date", "expiry_date"))
    return (
        Promise("says valid, with the civil status", "/v1/check", document, _is("valid")),
        Promise("says the same again", "/v1/check", document, _is("valid")),
        Promise("is no oracle for numbers: another birth date", "/v1/check", birth, _is("unknown")),
        Promise("is no oracle for numbers: another expiry date", "/v1/check", expiry, _is("unknown")),
    )


def _other(date: str) -> str:
    """Another day of the same month."""
    return date[:4] + ("01" if date[4:] != "01" else "02")


async def probe(
    client: httpx.AsyncClient, token: str, seconds: float, asked: tuple[Promise, ...]
) -> AsyncIterator[Outcome]:
    """Each promise as it turned out; a late answer keeps none."""
    for promise in asked:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                answer = await _ask(client, token, promise)
            kept, said = len(answer.content) <= MOST and promise.kept(answer), f"status {answer.status_code}"
        except (httpx.HTTPError, TimeoutError) as error:
            kept, said = False, type(error).__name__
        yield Outcome(promise.name, kept, said, round((time.monotonic() - begun) * 1000))


async def _ask(client: httpx.AsyncClient, token: str, promise: Promise) -> Answer:
    bearer = token if promise.token == "" else promise.token
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    if promise.body is None:
        return await client.get(promise.path, headers=headers)
    if isinstance(promise.body, bytes):
        return await client.post(promise.path, content=promise.body, headers=headers)
    return await client.post(promise.path, json=dict(promise.body), headers=headers)


def _tree(answer: Answer) -> Mapping[str, Any]:
    try:
        tree = answer.json()
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _error(status: int, name: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.status_code == status and _tree(answer).get("error") == name


def _refuses_token(answer: Answer) -> bool:
    return _error(401, "token_refused")(answer) and answer.headers.get("www-authenticate", "").startswith("Bearer")


def _malformed(member: str | None) -> Callable[[Answer], bool]:
    def kept(answer: Answer) -> bool:
        return _error(400, "malformed_request")(answer) and _tree(answer).get("member") == member

    return kept


def _is(status: str) -> Callable[[Answer], bool]:
    def kept(answer: Answer) -> bool:
        tree = _tree(answer)
        return answer.status_code == 200 and tree.get("status") == status and _civil(tree, status == "valid")

    return kept


def _civil(tree: Mapping[str, Any], given: bool) -> bool:
    if not given:
        return tree.get("civil_status") is None
    try:
        civil_status(tree["civil_status"])
    except (KeyError, TypeError, ValueError):
        return False
    return True
