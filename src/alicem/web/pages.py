"""Pages: one Jinja2 environment over the `pages/` folder of every room, with the texts of the person's language at hand.

In a template: `t("room.key", name=value)`, `lang`, `other_language` (its address), `long_date(day)`, `request`. A value the template needs and was not
given is an error, not an empty space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, partial
from pathlib import Path

from jinja2 import BaseLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alicem.web import text
from alicem.web.text import LANGUAGES, Texts

_PACKAGE = Path(__file__).parent.parent

FOLDERS: Mapping[str, Path] = {
    room: _PACKAGE / room / "pages"
    for room in ("web", "provider", "broker", "enrolment", "accounts", "phone", "demo", "registry")
}
"""Where a template named `room/page.html` is found."""

_PLAIN = re.compile(r'\{\{ t\("([a-z0-9_.]+)"\) \}\}')


class _InLanguage(BaseLoader):
    """Templates of one language: a text without values is looked up when its template is read, since it is most of every page."""

    def __init__(self, templates: BaseLoader, texts: Texts, language: str) -> None:
        self._templates, self._texts, self._language = templates, texts, language

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, fresh = self._templates.get_source(environment, template)
        return _PLAIN.sub(self._said, source), file, fresh

    def _said(self, call: re.Match[str]) -> str:
        said = str(escape(self._texts.get(self._language, call[1])))
        return call[0] if "{" in said else said  # which Jinja would take for its own


class Pages:
    """Renders the rooms' templates.

    `folders` maps a room to its template folder; `shared` holds values every template may use (the demo's origin, the support address).
    """

    def __init__(self, folders: Mapping[str, Path] = FOLDERS, texts: Texts | None = None, **shared: object) -> None:
        self.texts = texts or Texts()
        templates = PrefixLoader({room: FileSystemLoader(folder) for room, folder in folders.items()})
        self._environments = {one: self._environment(templates, one, shared) for one in LANGUAGES}
        self._alike = lru_cache(maxsize=256)(self._rendered)

    def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        """A page in the person's language; a language chosen by `?lang=` is remembered."""
        language = text.language_of(request)
        html = self._environments[language].get_template(template).render(self._context(request, language, values))
        return _answer(request, language, html, status)

    def render_alike(self, request: Request, template: str, fresh: Mapping[str, str], **values: Hashable) -> Response:
        """A page whose visits differ in `fresh` alone: rendered once for each set of `values`, of which there are few, then filled in.

        The template is not given the request; `here` among the values is where the page is found in the other language.
        """
        language = text.language_of(request)
        html = self._alike(language, template, tuple(fresh), frozenset(values.items()))
        for name, value in fresh.items():
            html = html.replace(_mark(name), escape(value))
        return _answer(request, language, html, 200)

    def _rendered(
        self, language: str, template: str, fresh: tuple[str, ...], values: frozenset[tuple[str, Hashable]]
    ) -> str:
        other, given = _other(language), dict(values)
        here = {"other_lang": other, "other_language": f"{given['here']}?lang={other}"}
        marked = {name: _mark(name) for name in fresh}
        return self._environments[language].get_template(template).render(given | here | marked)

    def _environment(self, templates: BaseLoader, language: str, shared: Mapping[str, object]) -> Environment:
        environment = Environment(
            loader=_InLanguage(templates, self.texts, language),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(
            shared, lang=language, t=partial(self.texts.get, language), long_date=partial(text.long_date, language)
        )
        return environment

    def _context(self, request: Request, language: str, values: Mapping[str, object]) -> dict[str, object]:
        other = _other(language)
        context = {"request": request, "other_lang": other, **values}
        if "other_language" not in context:
            there = request.url.include_query_params(lang=other)
            context["other_language"] = f"{there.path}?{there.query}"
        return context


def _answer(request: Request, language: str, html: str, status: int) -> Response:
    response = HTMLResponse(html, status_code=status)
    response.headers["Content-Language"] = language
    if request.query_params.get("lang") == language:
        response.set_cookie(
            text.COOKIE, language, max_age=31_536_000, samesite="strict", secure=request.url.scheme == "https"
        )
    return response


def _other(language: str) -> str:
    return "en" if language == "fr" else "fr"


def _mark(name: str) -> str:
    return f"\ue000{name}\ue001"  # for private use: no text has them
