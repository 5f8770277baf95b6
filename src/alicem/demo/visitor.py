"""A person at a browser, without a browser: from a service through the broker to Alicem's sign-in page, and back.

It reads the same pages, follows the same redirects, fills the same forms and keeps the same cookies as a browser does. What the person does on the phone is
the caller's: a function that is given the link and the number of the sign-in page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

Approve = Callable[[str, str], Awaitable[None]]
"""What the person does on the phone with the page's link and number."""

_REDIRECTS = 20
_PAGES = 12


class VisitFailed(Exception):
    """The visit ended without a session. `reason`: the broker's word for it, or where the way was lost."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Visited:
    """What the service learned: claims, its own pseudonym of the person, level; and what the information page had listed before."""

    claims: Mapping[str, Any]
    sub: str
    acr: str
    listed: Mapping[str, str]


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    """And boxes: what is sent only where the person presses or ticks it."""


@dataclass
class Page:
    """Of a page, what a visitor uses: its address, forms, elements by id, listed claims, alerts."""

    url: str
    text: str = ""
    forms: list[Form] = field(default_factory=list)
    by_id: dict[str, dict[str, str]] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    failure: str | None = None


async def visit(
    service: str,
    approve: Approve,
    *,
    provider: str = "alicem",
    password: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    client: httpx.AsyncClient | None = None,
) -> Visited:
    """Sign in at `service` (its home page), through the broker's provider of that name. `password`: the fields of a provider that asks for one.
    Raises `VisitFailed`."""
    async with asyncio.timeout(timeout), Browser(client) as browser:
        page = await browser.submit(await browser.open(service), ends="/sign-in")
        page = await browser.submit(page, provider=provider)
        if password is None:
            page = await approved(browser, page, approve)
        else:
            page = await browser.submit(page, ends="/sign-in", **password)
        if page.failure:
            raise VisitFailed(page.failure)
        listed = dict(page.listed)
        await browser.submit(page, decision="continue", consent="yes")
        answer = (await browser.fetch("GET", f"{service}/api/session")).json()
        if not answer["signed_in"]:
            raise VisitFailed(str(answer["error"]))
        claims = dict(answer["claims"])
        return Visited(claims=claims, sub=claims.pop("sub"), acr=answer["acr"], listed=listed)


async def approved(browser: Browser, page: Page, approve: Approve) -> Page:
    """Alicem's sign-in page: the person approves on the phone while the page waits."""
    if page.failure:
        raise VisitFailed(page.failure)
    shown = page.by_id.get("sign-in")
    if shown is None:
        raise VisitFailed("no_sign_in_page")
    waiting = asyncio.create_task(browser.wait_for_end(urljoin(page.url, shown["data-events"])))
    try:
        await approve(shown["data-link"], shown["data-number"])
        there = await waiting
    finally:
        waiting.cancel()
    return await browser.open(urljoin(page.url, there))


class Browser:
    """Cookies by host, redirects, forms, server-sent events."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._client = client or httpx.AsyncClient(follow_redirects=False, timeout=30.0, trust_env=False)
        self._cookies: dict[str, dict[str, str]] = {}

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def open(self, url: str) -> Page:
        return _read(await self.fetch("GET", url))

    async def submit(self, page: Page, *, ends: str = "", **pressed: str) -> Page:
        """Send the page's form whose action ends so, with a button or boxes of these names and values."""
        for form in page.forms:
            offered = {name for name, _ in form.buttons} | form.fields.keys()
            missing = [pair for pair in pressed.items() if pair[0] in dict(form.buttons) and pair not in form.buttons]
            if form.action.endswith(ends) and form.method == "post" and not missing:
                values = form.fields | {name: value for name, value in pressed.items() if name in offered}
                return _read(await self.fetch("POST", urljoin(page.url, form.action), values))
        raise VisitFailed("form_not_found")

    async def fetch(self, method: str, url: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """One request and the redirects it leads to."""
        for _ in range(_REDIRECTS):
            headers = self._headers(url) | ({"origin": _origin(url)} if method == "POST" else {})
            answer = await self._client.request(method, url, data=dict(form) if form else None, headers=headers)
            self._keep(url, answer)
            if answer.status_code >= 500:
                raise VisitFailed(f"status_{answer.status_code}")
            if answer.status_code not in (302, 303):
                return answer
            method, url, form = "GET", urljoin(url, answer.headers["location"]), None
        raise VisitFailed("too_many_redirects")

    async def wait_for_end(self, url: str) -> str:
        """Listen to a sign-in's events until it is approved, refused or replaced; the address to go to."""
        for _ in range(_PAGES):
            async with self._client.stream("GET", url, headers=self._headers(url), timeout=90.0) as stream:
                event = ""
                async for line in stream.aiter_lines():
                    if line.startswith("event: "):
                        event = line.removeprefix("event: ")
                    if line.startswith("data: ") and event in ("approved", "refused", "replaced"):
                        return str(json.loads(line.removeprefix("data: "))["url"])
        raise VisitFailed("no_end")

    def _headers(self, url: str) -> dict[str, str]:
        """Cookies belong to a host, whatever its port (RFC 6265 §8.5). Secure ones are sent over plain http because the host is loopback."""
        host = urlsplit(url).hostname or ""
        cookies = self._cookies.get(host, {})
        return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}

    def _keep(self, url: str, answer: httpx.Response) -> None:
        jar = self._cookies.setdefault(urlsplit(url).hostname or "", {})
        for line in answer.headers.get_list("set-cookie"):
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            jar[name] = value.strip('"')
            if any(one.lower() == "max-age=0" for one in attributes):
                del jar[name]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _read(answer: httpx.Response) -> Page:
    reader = _Reader(Page(str(answer.url), answer.text))
    reader.feed(answer.text)
    return reader.page


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._claim: str | None = None
        self._in_failure = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.page.by_id[given["id"]] = given
        if tag == "form":
            self.page.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif self.page.forms and tag in ("input", "button", "select") and "name" in given:
            self._control(tag == "button" or given.get("type") == "checkbox", given)
        self._claim = given.get("data-claim")
        self._in_failure = "data-failure" in given

    def _control(self, chosen: bool, given: Mapping[str, str]) -> None:
        """`chosen`: sent only where it is pressed or ticked."""
        form = self.page.forms[-1]
        if chosen:
            form.buttons.append((given["name"], given.get("value", "")))
        else:
            form.fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._claim:
            self.page.listed[self._claim] = self.page.listed.get(self._claim, "") + data
        if self._in_failure:
            self.page.failure = data

    def handle_endtag(self, tag: str) -> None:
        self._claim, self._in_failure = None, False
