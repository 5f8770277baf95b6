"""What the authorization endpoint refuses: before the client is known on a page, after by a redirect with state and iss."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from client_profiles import OF_DIRECT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provider_world import CALLBACK, Browser, World, make_world, request, values

from alicem.provider import authorize

CASES = [
    ("a parameter is repeated", "invalid_request", {}, "&scope=openid"),
    ("state is longer than 1024 characters or not printable ASCII", "invalid_request", {"state": "s" * 1025}, ""),
    ("state is longer than 1024 characters or not printable ASCII", "invalid_request", {"state": "café"}, ""),
    ("request objects are not taken", "request_not_supported", {"request": "eyJhbGciOiJub25lIn0.e30."}, ""),
    ("request objects are not fetched", "request_uri_not_supported", {"request_uri": "https://evil.example/"}, ""),
    ("clients are registered by their operator", "registration_not_supported", {"registration": "{}"}, ""),
    ("response_type is missing", "invalid_request", {"response_type": None}, ""),
    ("response_type is code, nothing else", "unsupported_response_type", {"response_type": "code id_token"}, ""),
    ("response_type is code, nothing else", "unsupported_response_type", {"response_type": "token"}, ""),
    ("response_mode is query, nothing else", "invalid_request", {"response_mode": "fragment"}, ""),
    ("scope lacks openid", "invalid_scope", {"scope": "profile"}, ""),
    ("scope lacks openid", "invalid_scope", {"scope": None}, ""),
    ("nonce is longer than 512 characters or not printable ASCII", "invalid_request", {"nonce": "n" * 513}, ""),
    (
        "a nonce or a code_challenge is required: without one a stolen code could be injected",
        "invalid_request",
        {"nonce": None},
        "",
    ),
    (
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        "invalid_request",
        {"code_challenge": "c" * 43, "code_challenge_method": "plain"},
        "",
    ),
    (
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        "invalid_request",
        {"code_challenge": "c" * 43},
        "",
    ),
    (
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        "invalid_request",
        {"code_challenge_method": "S256"},
        "",
    ),
    (
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        "invalid_request",
        {"code_challenge": "short", "code_challenge_method": "S256"},
        "",
    ),
    ("dpop_jkt is 43 characters of base64url", "invalid_request", {"dpop_jkt": "short"}, ""),
    ("prompt has an unknown value, or none with another", "invalid_request", {"prompt": "none login"}, ""),
    ("prompt has an unknown value, or none with another", "invalid_request", {"prompt": "surprise"}, ""),
    ("max_age is a number of seconds", "invalid_request", {"max_age": "-1"}, ""),
    ("nobody is ever signed in here already", "login_required", {"prompt": "none"}, ""),
    ("acr_values names none of eidas1, eidas2, eidas3", "invalid_request", {"acr_values": "eidas4"}, ""),
    ("the level asked cannot be reached here", "unmet_authentication_requirements", {"acr_values": "eidas3"}, ""),
]


@pytest.mark.parametrize(("text", "error", "changes", "added"), CASES)
def test_refused_by_redirect(
    world: World, browser: Browser, text: str, error: str, changes: dict[str, str | None], added: str
) -> None:
    answer = browser.get("/authorize?" + urlencode(request(**{"state": "the-state", **changes})) + added)
    assert answer.status_code == 303 and answer.headers["location"].startswith(CALLBACK + "?")
    back = values(answer.headers["location"])
    state = {} if "state" in changes else {"state": "the-state"}
    assert back == {"error": error, "error_description": text, **state, "iss": world.origin}
    assert "set-cookie" not in answer.headers


def test_every_check_has_its_refusal() -> None:
    assert {check.text for check in authorize.CHECKS} - OF_DIRECT == {case[0] for case in CASES}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "fc-plus\x00"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?added=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": "https://fc.example:443/api/v2/oidc-callback"},
        {"redirect_uri": "https://fc.example@evil.example/api/v2/oidc-callback"},
        {"redirect_uri": "https://fc.example/api/v2/../v2/oidc-callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"state": "x" * 9000},
        {"state": "a\r\nSet-Cookie: b=c"},
    ],
)
def test_without_a_client_to_go_back_to_a_page_says_so(
    world: World, browser: Browser, changes: dict[str, str | None]
) -> None:
    answer = browser.open(**changes)
    assert answer.status_code == 400 and "location" not in answer.headers
    assert "text/html" in answer.headers["content-type"] and 'role="alert"' in answer.text
    assert "https://evil" not in answer.text and "set-cookie" not in answer.headers


@pytest.mark.parametrize("repeated", ["client_id=fc-plus", "redirect_uri=https%3A%2F%2Fevil.example%2F"])
def test_a_repeated_client_or_address_is_no_client(world: World, browser: Browser, repeated: str) -> None:
    answer = browser.get("/authorize?" + urlencode(request()) + "&" + repeated)
    assert answer.status_code == 400 and "location" not in answer.headers


def test_another_clients_address_is_not_taken(world: World, browser: Browser) -> None:
    assert browser.open(client_id="other", redirect_uri="https://fc.example/other?kept=1").status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"acr_values": None},
        {"acr_values": "eidas1"},
        {"acr_values": "eidas3 eidas2"},
        {"acr_values": "urn:other eidas2"},
        {"prompt": None},
        {"prompt": "login consent"},
        {"max_age": "0"},
        {"state": None},
        {"response_mode": "query"},
        {"nonce": None, "code_challenge": "c" * 43, "code_challenge_method": "S256"},
        {"claims": '{"userinfo":{"picture":null}}', "login_hint": "x", "ui_locales": "fr", "display": "page"},
    ],
)
def test_taken(world: World, browser: Browser, changes: dict[str, str | None]) -> None:
    assert browser.open(**changes).status_code == 200


def test_a_form_of_another_kind_is_not_read(world: World, browser: Browser) -> None:
    answer = browser.http.post(f"{world.origin}/authorize", json=request())
    assert answer.status_code == 400


def test_the_page_is_framed_by_nobody_and_runs_nothing_inline(world: World, browser: Browser) -> None:
    answer = browser.open()
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*src=)|\son[a-z]+=|\sstyle=", answer.text)


words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
fields = st.sampled_from([*request(), "code_challenge", "code_challenge_method", "max_age", "response_mode", "x"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(fields, words), max_size=6))
def test_whatever_is_added_the_answer_is_a_page_or_goes_to_the_client(
    world: World, browser: Browser, added: list[tuple[str, str]]
) -> None:
    answer = browser.get("/authorize?" + urlencode([*request().items(), *added]))
    assert answer.status_code in (200, 303, 400)
    if answer.status_code == 303:
        assert answer.headers["location"].startswith(CALLBACK + "?error=")
        assert values(answer.headers["location"])["iss"] == world.origin


def test_too_many_from_one_address_go_back_with_an_error(tmp_path: Path) -> None:
    own = make_world(tmp_path / "w", sign_ins_per_minute_and_address=2)
    try:
        answers = [Browser(own).open() for _ in range(3)]
        assert [one.status_code for one in answers[:2]] == [200, 200] or answers[2].status_code == 303
        own.clock.advance(61)
        assert Browser(own).open().status_code == 200
        last = [Browser(own).open() for _ in range(3)][-1]
        assert values(last.headers["location"])["error"] == "temporarily_unavailable"
    finally:
        own.close()
