"""Pages: one Jinja2 environment over the `pages/` folder of every room, with the texts of the person's language at hand.

In a template: `t("room.key", name=value)`, `lang`, `other_language` (its address), `long_date(day)`, `request`. A value the template needs and was not
given is an error, not an empty space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
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

    def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        """A page in the person's language; a language chosen by `?lang=` is remembered."""
        language = text.language_of(request)
        html = self._environments[language].get_template(template).render(self._context(request, language) | values)
        response = HTMLResponse(html, status_code=status)
        response.headers["Content-Language"] = language
        if request.query_params.get("lang") == language:
            response.set_cookie(
                text.COOKIE, language, max_age=31_536_000, samesite="strict", secure=request.url.scheme == "https"
            )
        return response

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

    def _context(self, request: Request, language: str) -> dict[str, object]:
        other = "en" if language == "fr" else "fr"
        there = request.url.include_query_params(lang=other)
        return {"request": request, "other_lang": other, "other_language": f"{there.path}?{there.query}"}
