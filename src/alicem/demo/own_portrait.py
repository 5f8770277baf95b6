"""The visitor's own face on a specimen chip: a picture from their camera becomes the portrait of an invented person's document.

Nothing of it is written: the portrait and the documents that carry it stay in this process's memory, half an hour at most, under a token that only the
visitor's page was given.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from alicem.demo import portraits
from alicem.demo.personas import Persona
from alicem.demo.specimen import WRONG, Clock, Documents, Random
from alicem.face import Hint, models
from alicem.face.detect import Mesh, boxes
from alicem.face.hints import about_pose
from alicem.face.images import FRAME, PORTRAIT, Picture, decode
from alicem.face.look import Follower
from alicem.face.models import Models
from alicem.web.bodies import BodyTooLarge, body_of
from alicem.web.pages import Pages
from emrtd.softchip import ChipDocument

LIFETIME = timedelta(minutes=30)
MOST = 20
"""Portraits at a time; one more and the oldest is gone."""
WIDTH, HEIGHT = 240, 320
FACE = 0.5
"""Of the portrait's height, from hair line to chin: with the hair, the head fills two thirds (9303-9 has 70 to 80 %). A nearer face fills more."""
REFUSED: tuple[str, ...] = (
    Hint.NO_FACE, Hint.SEVERAL_FACES, Hint.CLOSER, Hint.FURTHER, Hint.MORE_LIGHT, Hint.LESS_LIGHT,
    Hint.HOLD_STILL, Hint.LOOK_STRAIGHT, Hint.UNREADABLE, "too_large", "failed",
)  # fmt: skip
"""What the page can say of a picture that was not taken: the face room's hints, a body over the limit, and everything else."""
_SCRIPT = Path(__file__).parent / "static" / "portrait.js"


class PictureRefused(Exception):
    """No portrait can be made of this picture; `hint` says what to do better."""

    def __init__(self, hint: Hint) -> None:
        super().__init__(hint)
        self.hint = hint


class PictureGone(Exception):
    """No portrait of this token: never given, given up for newer ones, or its half hour is over."""


def chip_portrait(networks: Models, jpeg: bytes) -> bytes:
    """A camera's picture as a chip holds a portrait: 240 × 320, JPEG 2000. Raises `PictureRefused`."""
    look = Follower(networks).look(jpeg, 0.0)
    hint = look if isinstance(look, Hint) else look.hint or about_pose(look.measure)
    if isinstance(look, Hint) or hint is not None:
        raise PictureRefused(hint or Hint.UNREADABLE)
    portrait = portraits.chip_image(_cut(look.picture, look.mesh))
    # What enrolment will ask of the chip's portrait is asked now, while another picture is easily taken.
    found = len(boxes(networks, decode(portrait, PORTRAIT)))
    if found != 1:
        raise PictureRefused(Hint.SEVERAL_FACES if found else Hint.NO_FACE)
    return portrait


def _cut(picture: Picture, face: Mesh) -> Picture:
    """The head with some room around it, never beyond the picture's edge."""
    rows, columns = picture.shape[:2]
    height = min(face.square.side / FACE, rows, columns * HEIGHT / WIDTH)
    width = height * WIDTH / HEIGHT
    left = float(np.clip(face.square.x - width / 2, 0, columns - width))
    top = float(np.clip(face.square.y - 0.51 * height, 0, rows - height))
    cut = picture[round(top) : round(top + height), round(left) : round(left + width)]
    flags = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (WIDTH, HEIGHT), interpolation=flags), np.uint8)


@dataclass(frozen=True)
class Kept:
    portrait: bytes = field(repr=False)
    until: datetime
    documents: dict[str, ChipDocument] = field(repr=False, default_factory=dict)
    """By persona: a chip that is laid down again is the same chip."""


class OwnPortraits:
    """Every visitor's portrait, in memory."""

    def __init__(self, documents: Documents, clock: Clock, rng: Random) -> None:
        self._documents, self._clock, self._rng = documents, clock, rng
        self._kept: dict[str, Kept] = {}

    def keep(self, portrait: bytes) -> str:
        """The token it is found by."""
        self.sweep()
        while len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        token = base64.urlsafe_b64encode(self._rng(16)).rstrip(b"=").decode()
        self._kept[token] = Kept(portrait, self._clock() + LIFETIME)
        return token

    def sweep(self) -> None:
        """Forget what is over."""
        now = self._clock()
        for token in [token for token, kept in self._kept.items() if kept.until <= now]:
            del self._kept[token]

    def seconds_left(self, token: str) -> float:
        """Raises `PictureGone`."""
        return (self._of(token).until - self._clock()).total_seconds()

    def document(self, token: str, persona: Persona, wrong: str | None) -> ChipDocument:
        """The persona's document with this portrait; `wrong` as in `Documents.of`. Raises `PictureGone`."""
        kept = self._of(token)
        if persona.name not in kept.documents:
            made = self._documents.with_portrait(persona, kept.portrait)
            kept.documents.setdefault(persona.name, made)
        return self._documents.spoiled(kept.documents[persona.name], wrong)

    def _of(self, token: str) -> Kept:
        self.sweep()
        if token not in self._kept:
            raise PictureGone
        return self._kept[token]


def portrait_routes(
    own: OwnPortraits, people: Mapping[str, Persona], pages: Pages, origin: str, alicem: str
) -> Iterable[BaseRoute]:
    """`/portrait` for people, `/portraits` for its module alone."""
    one_at_a_time = asyncio.Lock()

    async def page(request: Request) -> Response:
        name = request.query_params.get("persona") or next(iter(people))
        wrong = request.query_params.get("wrong", "")
        if name not in people or (wrong and wrong not in WRONG):
            return Response(status_code=404)
        asked = {"persona": name, **({"wrong": wrong} if wrong else {})}
        enrol = f"{alicem}/enrol?" + urlencode({**asked, "camera": "own"})
        if wrong == "face":  # someone else stands before the camera: the visitor, and the chip keeps its own portrait
            return RedirectResponse(enrol, 303)
        return pages.render(
            request,
            "demo/portrait.html",
            person=people[name],
            enrol=enrol,
            actor=f"{alicem}/enrol?" + urlencode(asked),
            refused=REFUSED,
        )

    async def take(request: Request) -> Response:
        """A JPEG → `{token}`; `{error}` is one of `REFUSED`. Browsers send their origin with every POST: another page's is refused."""
        if request.headers.get("origin") != origin:
            return _error("failed", 403)
        try:
            jpeg = await body_of(request, FRAME.bytes)
            async with one_at_a_time:
                portrait = await asyncio.to_thread(_made, jpeg)
        except BodyTooLarge:
            return _error("too_large", 413)
        except PictureRefused as refused:
            return _error(refused.hint, 422)
        token = own.keep(portrait)
        asyncio.get_running_loop().call_later(LIFETIME.total_seconds(), own.sweep)
        return JSONResponse({"token": token}, 201)

    async def script(_request: Request) -> Response:
        return FileResponse(_SCRIPT, media_type="text/javascript")

    return (
        Route("/portrait", page),
        Route("/portraits", take, methods=["POST"]),
        Route("/static/portrait.js", script),
    )


def _made(jpeg: bytes) -> bytes:
    return chip_portrait(models.load(), jpeg)


def _error(name: str, status: int) -> Response:
    return JSONResponse({"error": name}, status)
