"""The sample service, the broker and a provider's waiting page, walked by the visitor without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from broker_peers import ANGELA, Provider, Serve, free_port, sample_service
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from alicem.broker import BrokerSettings
from alicem.broker.app import app as broker_app
from alicem.demo.services.app import ServicesSettings
from alicem.demo.services.app import app as service_app
from alicem.demo.visitor import VisitFailed, visit

LINK, NUMBER = "http://localhost/phone/approve#one.two.three", "47"


class WaitingProvider(Provider):
    """Waits for a phone, as Alicem does: a page with link and number, events, then on."""

    def app(self) -> Starlette:
        self.outcome: asyncio.Queue[str] = asyncio.Queue()
        whole = super().app()
        whole.router.routes[:0] = [
            Route("/login", self._page),
            Route("/signin/events", self._events),
            Route("/signin/continue", self._continue),
        ]
        return whole

    async def _page(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        response = HTMLResponse(
            f'<p id="sign-in" data-link="{LINK}" data-number="{NUMBER}" data-events="/signin/events?t=1">waiting</p>'
        )
        response.set_cookie("__Host-alicem", "secret", secure=True, httponly=True)
        return response

    async def _events(self, request: Request) -> Response:
        assert request.cookies["__Host-alicem"] == "secret"

        async def stream() -> AsyncIterator[str]:
            yield "retry: 1000\n\nevent: reference\ndata: {}\n\n"
            outcome = await self.outcome.get()
            yield f"event: {outcome}\ndata: {json.dumps({'url': f'/signin/continue?{outcome}'})}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _continue(self, request: Request) -> Response:
        answer = "code=" + "c" * 43 if request.url.query == "approved" else "error=access_denied"
        return RedirectResponse(f"{self.asked['redirect_uri']}?state={self.asked['state']}&{answer}", 303)


@pytest.fixture
def provider(serve: Serve) -> WaitingProvider:
    port = free_port()
    made = WaitingProvider(f"http://127.0.0.1:{port}")
    serve(made.app(), port)
    return made


@pytest.fixture
def service(serve: Serve, settings: BrokerSettings, tmp_path: Path) -> str:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    sample_service(settings.services, origin, tmp_path / "secrets")
    serve(broker_app(settings), int(settings.origin.rsplit(":", 1)[1]))
    serve(service_app(ServicesSettings(origin, settings.origin, tmp_path / "secrets")), port)
    return f"{origin}/demarches"


def phone(provider: WaitingProvider, outcome: str, shown: list[tuple[str, str]]) -> Callable[[str, str], object]:
    async def approve(link: str, number: str) -> None:
        shown.append((link, number))
        provider.outcome.put_nowait(outcome)

    return approve


def test_a_visitor_signs_in(service: str, provider: WaitingProvider) -> None:
    shown: list[tuple[str, str]] = []
    visited = asyncio.run(visit(service, phone(provider, "approved", shown), provider="small"))  # type: ignore[arg-type]
    assert shown == [(LINK, NUMBER)]
    assert visited.claims == ANGELA
    assert visited.acr == "eidas2"
    assert visited.listed == ANGELA | {"acr": "eidas2"}
    assert visited.sub.endswith("v1")


def test_a_refusal_on_the_phone_ends_at_the_choice(service: str, provider: WaitingProvider) -> None:
    with pytest.raises(VisitFailed, match="error_access_denied"):
        asyncio.run(visit(service, phone(provider, "refused", []), provider="small"))  # type: ignore[arg-type]


def test_an_unknown_provider_is_not_on_the_page(service: str, provider: WaitingProvider) -> None:
    with pytest.raises(VisitFailed, match="form_not_found"):
        asyncio.run(visit(service, phone(provider, "approved", []), provider="nobody"))  # type: ignore[arg-type]


def test_nobody_is_signed_in_before(service: str) -> None:
    answer = httpx.get(f"{service}/api/session")
    assert (answer.status_code, answer.json()) == (401, {"signed_in": False, "error": None})
    assert "Se connecter avec FranceConnect" in httpx.get(service).text
    assert "Sign in with FranceConnect" in httpx.get(service, params={"lang": "en"}).text


def test_a_form_of_another_site_begins_nothing(service: str) -> None:
    for path in ("/sign-in", "/sign-out"):
        assert httpx.post(service + path, headers={"origin": "http://evil.example"}).status_code == 403


def test_an_answer_nobody_asked_for_is_not_taken(service: str) -> None:
    answer = httpx.get(f"{service}/callback?code=x&state=&iss=x", follow_redirects=True)
    assert answer.status_code == 200 and "no_session" in answer.text
    assert 'id="claims"' not in answer.text
