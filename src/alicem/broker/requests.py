"""What a service asks at the authorization endpoint: a list of checks, each with its clause (OpenID Connect Core 1.0 §3.1.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode, urlsplit

from alicem.broker.claims import SCOPES
from alicem.broker.services import LEVELS, Service


class Unanswerable(Exception):
    """Nobody to answer: the service or its address is not known, so the person is told instead (RFC 6749 §4.1.2.1)."""


class Refused(Exception):
    """The service is answered with an error. `address` is where the browser goes."""

    def __init__(self, address: str, error: str) -> None:
        super().__init__(error)
        self.address = address


@dataclass(frozen=True)
class ServiceRequest:
    """A request that passed every check."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    level: str
    state: str
    nonce: str
    challenge: str | None
    anew: bool = False
    """`prompt=login`, `select_account` or `max_age`: who is still recognised is asked all the same."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServiceRequest:
        tree = json.loads(text)
        return cls(**tree | {"scopes": tuple(tree["scopes"])})

    def answer(self, issuer: str, **parameters: str) -> str:
        """The service's address with its answer; `iss` as RFC 9207 asks."""
        return with_parameters(self.redirect_uri, {**parameters, "state": self.state, "iss": issuer})


_Given = Mapping[str, str]


def _scopes_allowed(given: _Given, service: Service) -> bool:
    scopes = given.get("scope", "").split()
    return "openid" in scopes and set(scopes) <= SCOPES.keys() & {"openid", *service.file.scopes}


def _pkce(given: _Given, _: Service) -> bool:
    if "code_challenge" not in given:
        return "code_challenge_method" not in given
    right = re.fullmatch(r"[A-Za-z0-9_-]{43}", given["code_challenge"])
    return given.get("code_challenge_method") == "S256" and right is not None


# Once client_id and redirect_uri are known, each failure goes back to the service: (error, description, holds).
CHECKS: tuple[tuple[str, str, Callable[[_Given, Service], bool]], ...] = (
    ("request_not_supported", "request", lambda g, _: "request" not in g),  # OpenID Connect Core §6.1
    ("request_uri_not_supported", "request_uri", lambda g, _: "request_uri" not in g),
    ("unsupported_response_type", "response_type", lambda g, _: g.get("response_type") == "code"),
    ("invalid_request", "response_mode", lambda g, _: g.get("response_mode", "query") == "query"),
    ("invalid_request", "state", lambda g, _: 1 <= len(g.get("state", "")) <= 512),
    ("invalid_request", "nonce of at least 22 characters", lambda g, _: 22 <= len(g.get("nonce", "")) <= 512),
    ("invalid_scope", "scope", _scopes_allowed),
    ("invalid_request", "acr_values: one of eidas1 eidas2 eidas3", lambda g, _: g.get("acr_values") in LEVELS),
    ("unauthorized_client", "acr_values: not for this service", lambda g, s: g["acr_values"] in s.file.levels),
    ("interaction_required", "prompt", lambda g, _: g.get("prompt") != "none"),  # the information page is always shown
    ("invalid_request", "prompt", lambda g, _: g.get("prompt", "login") in ("login", "consent", "select_account")),
    ("invalid_request", "max_age", lambda g, _: re.fullmatch(r"[0-9]{1,9}", g.get("max_age", "0")) is not None),
    ("invalid_request", "code_challenge_method", _pkce),  # RFC 7636: S256 where it is used
)


def parse(parameters: Iterable[tuple[str, str]], services: Mapping[str, Service], issuer: str) -> ServiceRequest:
    """Raises `Unanswerable` or `Refused`."""
    pairs = list(parameters)
    given, names = dict(pairs), [name for name, _ in pairs]
    service = services.get(given.get("client_id", ""))
    # RFC 9700 §2.1: the whole address, character by character
    if service is None or given.get("redirect_uri") not in service.file.redirect_uris:
        raise Unanswerable
    if names.count("client_id") > 1 or names.count("redirect_uri") > 1:
        raise Unanswerable
    if len(given) != len(pairs):  # RFC 6749 §3.1: no parameter twice
        raise _refused(given, issuer, "invalid_request", "a parameter is given twice")
    for error, description, holds in CHECKS:
        if not holds(given, service):
            raise _refused(given, issuer, error, description)
    return ServiceRequest(
        given["client_id"], given["redirect_uri"], tuple(given["scope"].split()), given["acr_values"],
        given["state"], given["nonce"], given.get("code_challenge"), "max_age" in given or given.get("prompt") in ("login", "select_account"),
    )  # fmt: skip


def with_parameters(address: str, parameters: Mapping[str, str]) -> str:
    if not parameters:
        return address
    return address + ("&" if urlsplit(address).query else "?") + urlencode(parameters)


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _refused(given: _Given, issuer: str, error: str, description: str) -> Refused:
    answer = {"error": error, "error_description": description, "iss": issuer}
    if len(given.get("state", "")) <= 512 and "state" in given:
        answer["state"] = given["state"]
    return Refused(with_parameters(given["redirect_uri"], answer), error)
