"""What the client asks at the authorization endpoint: a list of checks, each with its clause; and things that are taken once, kept in memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlencode

T = TypeVar("T")

LEVELS = ("eidas1", "eidas2")
"""What a password that everybody knows is allowed to claim in a simulation; `eidas3` never."""

SCOPES: Mapping[str, tuple[str, ...]] = {
    "openid": (),
    "profile": ("given_name", "family_name", "birthdate", "gender", "preferred_username"),
    "birth": ("birthplace", "birthcountry"),
    "email": ("email",),
    "preferred_username": ("preferred_username",),
}


@dataclass(frozen=True)
class ClientTable:
    """`[client]` of `identifiant.toml`."""

    id: str
    secret_file: Path
    redirect_uri: str
    post_logout_redirect_uri: str


class Unanswerable(Exception):
    """Nobody to answer: client or address are not known, so the person is told (RFC 6749 §4.1.2.1)."""


class Refused(Exception):
    """The client is answered with an error. `address` is where the browser goes."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address


@dataclass(frozen=True)
class Asked:
    """A request that passed every check."""

    redirect_uri: str
    scopes: tuple[str, ...]
    level: str
    state: str
    nonce: str
    challenge: str | None
    tries: int = 0
    """Wrong passwords so far."""

    def answer(self, issuer: str, **values: str) -> str:
        """The client's address with its answer; `iss` as RFC 9207 asks."""
        return f"{self.redirect_uri}?{urlencode({**values, 'state': self.state, 'iss': issuer})}"


_Given = Mapping[str, str]


def _bad_challenge(given: _Given) -> bool:
    if "code_challenge" not in given:
        return "code_challenge_method" in given
    right = re.fullmatch(r"[A-Za-z0-9_-]{43}", given["code_challenge"])
    return given.get("code_challenge_method") != "S256" or right is None


# (error, description, fails)
CHECKS: tuple[tuple[str, str, Callable[[_Given], bool]], ...] = (
    ("request_not_supported", "request objects are not taken", lambda g: "request" in g),  # OIDC Core §6.1
    ("request_uri_not_supported", "request objects are not fetched", lambda g: "request_uri" in g),
    ("unsupported_response_type", "response_type is code", lambda g: g.get("response_type") != "code"),
    ("invalid_request", "state is 1 to 512 characters", lambda g: not 1 <= len(g.get("state", "")) <= 512),
    ("invalid_request", "nonce is 22 to 512 characters", lambda g: not 22 <= len(g.get("nonce", "")) <= 512),
    (
        "invalid_scope",
        f"scope is openid, and any of {' '.join(SCOPES)}",
        lambda g: "openid" not in g.get("scope", "").split() or not set(g["scope"].split()) <= SCOPES.keys(),
    ),
    ("login_required", "nobody is ever signed in here already", lambda g: g.get("prompt") == "none"),
    ("invalid_request", "code_challenge comes with code_challenge_method S256", _bad_challenge),  # RFC 7636 §4.3
    (
        "unmet_authentication_requirements",  # OpenID Connect Core Unmet Authentication Requirements 1.0 §2
        "a password reaches eidas2 at the most",
        lambda g: g.get("acr_values") not in LEVELS,
    ),
)


def parse(parameters: Iterable[tuple[str, str]], client: ClientTable, issuer: str) -> Asked:
    """Raises `Unanswerable` or `Refused`."""
    pairs = list(parameters)
    given = dict(pairs)
    if given.get("client_id") != client.id or given.get("redirect_uri") != client.redirect_uri:
        raise Unanswerable
    asked = Asked(
        client.redirect_uri,
        tuple(given.get("scope", "").split()),
        given.get("acr_values", ""),
        given.get("state", "")[:512],
        given.get("nonce", ""),
        given.get("code_challenge"),
    )
    if len(given) != len(pairs):  # RFC 6749 §3.1
        raise Refused(asked.answer(issuer, error="invalid_request"))
    for error, description, fails in CHECKS:
        if fails(given):
            raise Refused(asked.answer(issuer, error=error, error_description=description))
    return asked


class OneTime(Generic[T]):
    """Things kept for `lives` seconds under a secret that is not kept, each taken once; beyond `most` the oldest go."""

    def __init__(self, lives: float, most: int, rng: Callable[[int], bytes]) -> None:
        self._lives, self._most, self._rng = lives, most, rng
        self._kept: dict[bytes, tuple[float, T]] = {}

    def put(self, value: T, now: float) -> str:
        while len(self._kept) >= self._most:
            self._kept.pop(next(iter(self._kept)))
        secret = self._rng(32).hex()
        self._kept[_name(secret)] = (now + self._lives, value)
        return secret

    def take(self, secret: str, now: float) -> T | None:
        until, value = self._kept.pop(_name(secret), (0.0, None))
        return value if now < until else None


def _name(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
