"""The authorization request (RFC 6749 §4.1.1, OIDC Core §3.1.2.1): what is refused, in which order, and what remains.

Before client and redirect_uri are known to belong together nothing is redirected; after, everything is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from alicem.evidence import Level
from alicem.provider.checks import Check, run
from alicem.provider.clients import Client
from alicem.provider.parameters import Given

_PROMPTS = {"none", "login", "consent", "select_account", "create"}
_VISIBLE = re.compile(r"[\x20-\x7e]+")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class NotAClient(Exception):
    """Nobody to go back to: said on a page. `reason`: a row of reasons.toml; `text`: for the client's developer."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True)
class Unchecked:
    """A request whose client and redirect_uri belong together; nothing else is known of it."""

    given: Given
    client: Client
    redirect_uri: str
    reachable: Level
    pushed: bool = False

    @property
    def state(self) -> str | None:
        """The state to give back, also with an error (RFC 6749 §4.1.2.1), unless it is none."""
        state = self.given.get("state")
        return state if state and len(state) <= 1024 and _VISIBLE.fullmatch(state) else None


@dataclass(frozen=True)
class Asked:
    """A request that may be shown to a person. `scopes`: asked and allowed. `level`: the lowest that satisfies the client."""

    client: Client
    redirect_uri: str
    state: str | None
    nonce: str | None
    scopes: tuple[str, ...]
    level: Level
    challenge: str | None
    dpop_jkt: str | None


def identify(given: Given, clients: Mapping[str, Client], reachable: Level, *, pushed: bool = False) -> Unchecked:
    """The client, and the address it may be answered at; `pushed`: whether it sent the request itself. Raises `NotAClient`."""
    client = clients.get(given.get("client_id") or "")
    if client is None:
        raise NotAClient("client_unknown", "client_id is missing, repeated or unknown")
    redirect_uri = given.get("redirect_uri")
    if redirect_uri not in client.redirect_uris:  # RFC 9700 §2.1: exact string comparison
        raise NotAClient("request_malformed", "redirect_uri is missing, repeated or not registered for this client")
    return Unchecked(given, client, redirect_uri, reachable, pushed)


def _levels(asked: Unchecked) -> list[Level]:
    """The levels named in `acr_values`, in the client's order; values of others are none of ours (OIDC Core §3.1.2.1)."""
    known = {level.acr: level for level in Level}
    return [known[word] for word in asked.given.words("acr_values") if word in known]


def _bad_nonce(asked: Unchecked) -> bool:
    nonce = asked.given.get("nonce")
    return nonce is not None and (len(nonce) > 512 or not _VISIBLE.fullmatch(nonce))


def _bad_max_age(asked: Unchecked) -> bool:
    return not re.fullmatch(r"[0-9]{1,10}", asked.given.get("max_age") or "0")


def _bad_challenge(asked: Unchecked) -> bool:
    challenge, method = asked.given.get("code_challenge"), asked.given.get("code_challenge_method")
    if challenge is None:
        return method is not None
    return method != "S256" or not _CHALLENGE.fullmatch(challenge)


def _bad_thumbprint(asked: Unchecked) -> bool:
    return "dpop_jkt" in asked.given and not _CHALLENGE.fullmatch(asked.given.get("dpop_jkt") or "")


CHECKS: tuple[Check[Unchecked], ...] = (
    Check("RFC 6749 §3.1", "invalid_request", "a parameter is repeated", lambda a: bool(a.given.repeated)),
    Check(
        "RFC 6749 §4.1.2.1",
        "invalid_request",
        "state is longer than 1024 characters or not printable ASCII",
        lambda a: "state" in a.given and a.state is None,
    ),
    Check(
        "RFC 9126 §6",
        "invalid_request",
        "this client pushes its requests to the pushed_authorization_request_endpoint",
        lambda a: a.client.profile.pushed and not a.pushed,
    ),
    Check("OIDC Core §6.1", "request_not_supported", "request objects are not taken", lambda a: "request" in a.given),
    Check(
        "OIDC Core §6.2",
        "request_uri_not_supported",
        "request objects are not fetched",
        lambda a: "request_uri" in a.given,
    ),
    Check(
        "OIDC Core §7.2.1",
        "registration_not_supported",
        "clients are registered by their operator",
        lambda a: "registration" in a.given,
    ),
    Check(
        "RFC 6749 §3.1.1",
        "invalid_request",
        "response_type is missing",
        lambda a: a.given.get("response_type") is None,
    ),
    Check(
        "RFC 9700 §2.1.2",
        "unsupported_response_type",
        "response_type is code, nothing else",
        lambda a: a.given.get("response_type") != "code",
    ),
    Check(
        "OAuth 2.0 Multiple Response Types §2.1",
        "invalid_request",
        "response_mode is query, nothing else",
        lambda a: a.given.get("response_mode") not in (None, "query"),
    ),
    Check(
        "OIDC Core §3.1.2.1", "invalid_scope", "scope lacks openid", lambda a: "openid" not in a.given.words("scope")
    ),
    Check(
        "OIDC Core §3.1.2.1",
        "invalid_request",
        "nonce is longer than 512 characters or not printable ASCII",
        _bad_nonce,
    ),
    Check(
        "RFC 9700 §2.1.1",
        "invalid_request",
        "a nonce or a code_challenge is required: without one a stolen code could be injected",
        lambda a: a.given.get("nonce") is None and a.given.get("code_challenge") is None,
    ),
    Check(
        "FAPI 2.0 §5.3.2.2",
        "invalid_request",
        "this client sends a code_challenge",
        lambda a: a.client.profile.pkce and a.given.get("code_challenge") is None,
    ),
    Check(
        "RFC 9449 §10",
        "invalid_request",
        "dpop_jkt is 43 characters of base64url",
        _bad_thumbprint,
    ),
    Check(
        "RFC 7636 §4.3, RFC 9700 §2.1.1",
        "invalid_request",
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        _bad_challenge,
    ),
    Check(
        "OIDC Core §3.1.2.1",
        "invalid_request",
        "prompt has an unknown value, or none with another",
        lambda a: (
            not set(a.given.words("prompt")) <= _PROMPTS
            or ("none" in a.given.words("prompt") and len(a.given.words("prompt")) > 1)
        ),
    ),
    Check("OIDC Core §3.1.2.1", "invalid_request", "max_age is a number of seconds", _bad_max_age),
    Check(
        "OIDC Core §3.1.2.6",
        "login_required",
        "nobody is ever signed in here already",
        lambda a: "none" in a.given.words("prompt"),
    ),
    Check(
        "OIDC Core §3.1.2.1",
        "invalid_request",
        "acr_values names none of eidas1, eidas2, eidas3",
        lambda a: bool(a.given.get("acr_values")) and not _levels(a),
    ),
    Check(
        "OpenID Connect Core Unmet Authentication Requirements 1.0 §2",
        "unmet_authentication_requirements",
        "the level asked cannot be reached here",
        lambda a: bool(_levels(a)) and min(_levels(a)) > a.reachable,
    ),
)
"""After these, `prompt=login` is honoured by construction: every sign-in asks the phone and its code again."""


def check(unchecked: Unchecked) -> Asked:
    """Raises `ProtocolError`, to be redirected to `unchecked.redirect_uri`."""
    run(CHECKS, unchecked)
    given, client = unchecked.given, unchecked.client
    levels = _levels(unchecked)
    return Asked(
        client=client,
        redirect_uri=unchecked.redirect_uri,
        state=unchecked.state,
        nonce=given.get("nonce"),
        scopes=tuple(scope for scope in dict.fromkeys(given.words("scope")) if scope in client.scopes),
        level=min(levels) if levels else Level.LOW,
        challenge=given.get("code_challenge"),
        dpop_jkt=given.get("dpop_jkt"),
    )


def redirection(redirect_uri: str, state: str | None, issuer: str, **values: str) -> str:
    """The address that carries an answer: its own query kept (RFC 6749 §3.1.2), `state` given back, `iss` added (RFC 9207 §2)."""
    parts = urlsplit(redirect_uri)
    added = urlencode({**values, **({} if state is None else {"state": state}), "iss": issuer})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
