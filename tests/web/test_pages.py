"""Pages and headers from outside: a real application, asked over HTTP."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import httpx
import pytest
from jinja2 import UndefinedError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alicem.web.headers import SecurityHeaders, Sources, for_demo
from alicem.web.pages import FOLDERS, Pages
from alicem.web.static_files import static_routes
from alicem.web.text import MissingText, Texts, long_date, preferred

NONE = Sources()
PAGE = '{% extends "web/base.html" %}{% block title %}<{{ who }}>{% endblock %}{% block main %}{{ t("web.home") }}{% endblock %}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text(PAGE, "utf-8")
    return tmp_path


class Browser:
    """Asks the application as a browser does, cookies kept."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app)
        self.cookies = httpx.Cookies()

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: dict[str, str] | None) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=self._transport, base_url="http://localhost", cookies=self.cookies
        ) as client:
            answer = await client.get(path, headers=headers)
            self.cookies.update(client.cookies)
            return answer


def client(folder: Path, origin: str = "http://localhost:8000", sources: Sources = NONE) -> Browser:
    pages = Pages({**FOLDERS, "here": folder})

    async def page(request: Request) -> Response:
        return pages.render(request, "here/page.html", who="Zoé & Léa")

    return Browser(
        Starlette(
            routes=[Route("/", page), *static_routes()],
            middleware=[Middleware(SecurityHeaders, origin=origin, sources=sources)],
        )
    )


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        ("", None, "", "fr"),
        ("", None, "en-GB,en;q=0.9", "en"),
        ("", None, "de, en;q=0.3, fr;q=0.4", "fr"),
        ("", None, "de", "fr"),
        ("", "en", "fr", "en"),
        ("?lang=fr", "en", "en", "fr"),
        ("?lang=xx", None, "en;q=oops, fr;q=0", "fr"),
    ],
)
def test_the_language_is_asked_then_remembered_then_preferred(
    folder: Path, query: str, cookie: str | None, accept: str, language: str
) -> None:
    http = client(folder)
    if cookie:
        http.cookies.set("lang", cookie)
    answer = http.get("/" + query, headers={"accept-language": accept})
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["content-language"] == language


def test_a_chosen_language_stays(folder: Path) -> None:
    http = client(folder)
    kept = http.get("/?lang=en").headers["set-cookie"].lower()
    assert "samesite=strict" in kept  # only a sign-in's own cookie comes along from another site
    assert '<html lang="en">' in http.get("/", headers={"accept-language": "fr"}).text


def test_values_are_escaped(folder: Path) -> None:
    assert "Zoé &amp; Léa" in client(folder).get("/").text


def test_a_missing_value_or_text_is_an_error(folder: Path) -> None:
    (folder / "page.html").write_text("{{ nothing }}", "utf-8")
    with pytest.raises(UndefinedError):
        client(folder).get("/")
    (folder / "page.html").write_text('{{ t("web.nothing") }}', "utf-8")
    with pytest.raises(MissingText):
        client(folder).get("/")


def test_pages_are_kept_by_nobody_and_load_only_our_files(folder: Path) -> None:
    headers = client(folder).get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers


def test_https_is_strict(folder: Path) -> None:
    headers = client(folder, "https://alicem.example").get("/").headers
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    assert "wss://alicem.example" in headers["content-security-policy"]


def test_the_demo_origin_is_allowed_by_name(folder: Path) -> None:
    policy = client(folder, sources=for_demo("http://127.0.0.1:8002")).get("/").headers["content-security-policy"]
    assert "script-src 'self' http://127.0.0.1:8002;" in policy
    assert "ws://127.0.0.1:8002" in policy
    assert for_demo(None) == Sources()


def test_static_files_are_revalidated(folder: Path) -> None:
    http = client(folder)
    answer = http.get("/static/alicem.css")
    assert answer.headers["cache-control"] == "no-cache"
    assert http.get("/static/alicem.css", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert http.get("/static/../pages.py").status_code == 404


def test_script_texts_are_served_in_both_languages(folder: Path) -> None:
    http = client(folder)
    for language in ("fr", "en"):
        assert all(key.split(".")[1] == "js" for key in http.get(f"/text/{language}.json").json())
    assert http.get("/text/de.json").status_code == 404


def test_dates_and_plurals(tmp_path: Path) -> None:
    assert long_date("fr", date(2026, 3, 1)) == "1er\N{NO-BREAK SPACE}mars 2026"
    assert long_date("en", date(2026, 3, 1)) == "1\N{NO-BREAK SPACE}March 2026"
    assert preferred("en;q=0.5,fr;q=0.6") == "fr"
    for language in ("fr", "en"):
        (tmp_path / language).mkdir()
        (tmp_path / language / "a.toml").write_text(
            'tries = { one = "{count} essai", other = "{count} essais" }', "utf-8"
        )
    texts = Texts(tmp_path)
    assert [texts.get("fr", "a.tries", count=n) for n in (0, 1, 2)] == ["0 essai", "1 essai", "2 essais"]
    assert texts.get("en", "a.tries", count=0) == "0 essais"


def test_a_page_that_is_filled_in_is_the_page_that_is_rendered(folder: Path) -> None:
    """Nothing of one visit comes into another, and what is put in is no markup."""
    (folder / "alike.html").write_text('{% extends "web/base.html" %}{% block main %}{{ who }}:{{ key }}{% endblock %}')
    pages = Pages({**FOLDERS, "here": folder})
    visits = [("Zoé", "<b>1", "fr"), ("Zoé", "2&3", "fr"), ("Zoé", "4", "en"), ("Léa", "5", "fr")]
    for who, key, language in visits:
        request = Request(
            {
                **{"type": "http", "method": "GET", "path": "/a", "headers": [(b"accept-language", language.encode())]},
                **{"query_string": b"", "scheme": "http", "server": ("localhost", 80)},
            }
        )
        filled = pages.render_alike(request, "here/alike.html", {"key": key}, who=who, here="/a")
        assert bytes(filled.body) == bytes(pages.render(request, "here/alike.html", key=key, who=who).body)
