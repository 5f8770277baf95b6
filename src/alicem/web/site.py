"""The provider's pages for people: front page, help, enrolment, phone and approval. Each room's own page has its template in that room."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from alicem.reasons import Reason
from alicem.settings import Settings
from alicem.web.pages import Pages
from alicem.web.text import LANGUAGES

WRONGS = ("face", "document", "chip")
"""What the demonstration can make go wrong on the enrolment page."""
_NAME_LENGTH = 64
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def routes(pages: Pages, settings: Settings, reasons: Mapping[str, Reason]) -> list[BaseRoute]:
    """GET pages, and the texts of the reasons for the ES modules."""
    service = settings.service

    async def home(request: Request) -> Response:
        return pages.render(request, "web/home.html")

    async def help_page(request: Request) -> Response:
        return pages.render(request, "web/help.html", reasons=tuple(reasons.values()), support_url=service.support_url)

    async def enrol(request: Request) -> Response:
        return pages.render(
            request,
            "enrolment/enrol.html",
            origin=service.origin,
            documents=settings.limits.documents,
            terms_version=service.terms_version,
            **_staging(request, settings),
        )

    async def phone(request: Request) -> Response:
        copies = settings.wallets.foreign != "off"
        return pages.render(request, "phone/phone.html", origin=service.origin, copies=copies)

    async def approve(request: Request) -> Response:
        highest = " ".join(kind for kind, level in settings.keys.levels.items() if level == "high")
        demo_origin = service.demo_origin
        return pages.render(
            request, "phone/approve.html", origin=service.origin, highest=highest, demo_origin=demo_origin
        )

    async def reason_texts(request: Request) -> Response:
        language = request.path_params["language"]
        if language not in LANGUAGES:
            raise HTTPException(404)
        return JSONResponse(_texts(reasons, language), headers={"Cache-Control": "no-cache"})

    return [
        Route("/", home),
        Route("/help", help_page),
        Route("/enrol", enrol),
        Route("/phone", phone),
        Route("/phone/approve", approve),
        Route("/text/reasons/{language}.json", reason_texts),
    ]


def _texts(reasons: Mapping[str, Reason], language: str) -> dict[str, dict[str, object]]:
    """`{name: {cause, next, ways}}`."""
    return {
        name: {"cause": reason.text(language).cause, "next": reason.text(language).next, "ways": reason.next}
        for name, reason in reasons.items()
    }


def _staging(request: Request, settings: Settings) -> dict[str, Any]:
    """Who stands in front of the page in the demonstration, and what goes wrong; nothing outside it."""
    demo_origin = settings.service.demo_origin
    asked = request.query_params if demo_origin else {}
    wrong = asked.get("wrong", "")
    persona = asked.get("persona", "")[:_NAME_LENGTH]
    camera = "actor" if settings.face.actor and asked.get("camera") != "own" else "own"
    portrait = asked.get("portrait", "")
    portrait = portrait if _TOKEN.fullmatch(portrait) else ""
    # Someone else before the camera: the chip keeps its own portrait, and the visitor is the someone else.
    own_face = demo_origin is not None and camera == "own" and wrong != "face"
    return {
        "demo_origin": demo_origin,
        "persona": persona,
        "wrong": wrong if wrong in WRONGS else "",
        "camera": camera,
        "portrait": portrait,
        "portrait_on_chip": portrait if own_face else "",
        "portrait_missing": own_face and not portrait,
        "portrait_page": f"{demo_origin}/portrait?" + urlencode({"persona": persona, "wrong": wrong}),
        "mailbox": None if demo_origin is None else f"{demo_origin}/mail",
    }
