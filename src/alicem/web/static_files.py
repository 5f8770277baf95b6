"""Styles, ES modules and texts for them: the routes every application of ours mounts."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from alicem.web.text import LANGUAGES, Texts

FOLDER = Path(__file__).parent / "static"


def static_routes(texts: Texts | None = None) -> list[BaseRoute]:
    """`/static/…` and `/text/{fr,en}.json`."""
    catalogue = texts or Texts()

    async def script_texts(request: Request) -> Response:
        language = request.path_params["language"]
        if language not in LANGUAGES:
            raise HTTPException(404)
        return JSONResponse(catalogue.for_scripts(language), headers={"Cache-Control": "no-cache"})

    return [
        Route("/text/{language}.json", script_texts),
        # Pages are never compressed: they may hold a secret beside what a stranger chose (BREACH). These files hold neither.
        Mount("/static", StaticFiles(directory=FOLDER), name="static", middleware=[Middleware(GZipMiddleware)]),
    ]
