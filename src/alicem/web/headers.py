"""The headers every answer leaves with: what its page may load, what it may ask of the browser, and that nobody keeps it.

An answer that already carries one of these headers keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Sources:
    """Origins besides our own that pages may use. Empty in production; the demo's origin (people, actor, chips) in the demo."""

    connect: tuple[str, ...] = ()
    img: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    form: tuple[str, ...] = ()


def for_demo(demo_origin: str | None) -> Sources:
    """What the pages need of the demo's origin: its people and chips, the actor's module and pictures; nothing where there is no demo."""
    if demo_origin is None:
        return Sources()
    return Sources(connect=(demo_origin, _socket(demo_origin)), img=(demo_origin,), script=(demo_origin,))


class SecurityHeaders:
    """ASGI middleware. `origin` is the application's own, as configured: its scheme decides on HSTS, its host on WebSockets."""

    def __init__(self, app: ASGIApp, origin: str, sources: Sources = Sources()) -> None:
        self._app = app
        ours = [(name.lower().encode(), value.encode()) for name, value in _headers(origin, sources)]
        # Modules and styles are asked again with their ETag; everything else may hold something of a person.
        self._static = (*ours, (b"cache-control", b"no-cache"))
        self._others = (*ours, (b"cache-control", b"no-store"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = self._static if scope["path"].startswith("/static/") else self._others

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message["headers"] = [*given, *(one for one in ours if one[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _headers(origin: str, sources: Sources) -> Iterable[tuple[str, str]]:
    yield "Content-Security-Policy", content_security_policy(origin, sources)
    # `no-referrer` would make a form's Origin header "null" (Fetch §3.2), and that header is what protects our forms.
    yield "Referrer-Policy", "same-origin"
    yield (
        "Permissions-Policy",
        "camera=(self), publickey-credentials-create=(self), publickey-credentials-get=(self), "
        "microphone=(), geolocation=(), usb=(), payment=(), display-capture=()",
    )
    yield "X-Content-Type-Options", "nosniff"
    yield "Cross-Origin-Opener-Policy", "same-origin"
    yield "Cross-Origin-Resource-Policy", "same-origin"
    if urlsplit(origin).scheme == "https":
        yield "Strict-Transport-Security", "max-age=63072000; includeSubDomains"


def content_security_policy(origin: str, sources: Sources = Sources()) -> str:
    """CSP level 3: our own files alone, nothing inline, framed by nobody."""
    rules = {
        "default-src": ("'self'",),
        "script-src": ("'self'", *sources.script),
        "connect-src": ("'self'", _socket(origin), *sources.connect),
        "img-src": ("'self'", "data:", *sources.img),
        "form-action": ("'self'", *sources.form),
        "object-src": ("'none'",),
        "base-uri": ("'none'",),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def _socket(origin: str) -> str:
    """The WebSocket address of an origin: some browsers do not count it under `'self'`."""
    parts = urlsplit(origin)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
