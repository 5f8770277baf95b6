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
    """Nobody to answer: the service or its address is not known, so the person is told instead (RFC 6749 §4.1.2.1).

    Its text is for the service's developer.
    """


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
PROMPTS = ("login", "consent", "select_account")
_AGE = re.compile("[0-9]{1,9}")
_STATE, _NONCE = re.compile("[ -~]{1,512}"), re.compile("[ -~]{22,512}")  # RFC 6749 appendix A.5: VSCHAR
_MOST, _LONGEST = 40, 8192  # parameters, characters of them all


def _matches(name: str, pattern: re.Pattern[str], default: str = "") -> Callable[[_Given, Service], bool]:
    return lambda given, _: pattern.fullmatch(given.get(name, default)) is not None


def _scopes_allowed(given: _Given, service: Service) -> bool:
    scopes = given.get("scope", "").split()
    return "openid" in scopes and set(scopes) <= SCOPES.keys() & {"openid", *service.file.scopes}


def _pkce(given: _Given, _: Service) -> bool:
    """RFC 7636, where it is used."""
    if "code_challenge" not in given:
        return "code_challenge_method" not in given
    right = re.fullmatch(r"[A-Za-z0-9_-]{43}", given["code_challenge"])
    return given.get("code_challenge_method") == "S256" and right is not None


# Once client_id and redirect_uri are known, each failure goes back to the service: (error, description, holds).
CHECKS: tuple[tuple[str, str, Callable[[_Given, Service], bool]], ...] = (
    ("request_not_supported", "request is not taken", lambda g, _: "request" not in g),  # OpenID Connect Core §6.1
    ("request_uri_not_supported", "request_uri is not taken", lambda g, _: "request_uri" not in g),
    ("unsupported_response_type", "response_type is code, nothing else", lambda g, _: g.get("response_type") == "code"),
    ("invalid_request", "response_mode is query", lambda g, _: g.get("response_mode", "query") == "query"),
    ("invalid_request", "state: 1 to 512 characters of ASCII", _matches("state", _STATE)),
    ("invalid_request", "nonce: 22 to 512 characters of ASCII", _matches("nonce", _NONCE)),
    ("invalid_scope", "scope: openid, and what the file of the service allows", _scopes_allowed),
    ("invalid_request", "acr_values: one of eidas1 eidas2 eidas3", lambda g, _: g.get("acr_values") in LEVELS),
    ("unauthorized_client", "acr_values: not a level of this service", lambda g, s: g["acr_values"] in s.file.levels),
    ("interaction_required", "prompt: a page is always shown", lambda g, _: g.get("prompt") != "none"),
    ("invalid_request", "prompt is login, consent or select_account", lambda g, _: g.get("prompt", "login") in PROMPTS),
    ("invalid_request", "max_age: a number of seconds", _matches("max_age", _AGE, "0")),
    ("invalid_request", "code_challenge: 43 characters, code_challenge_method S256", _pkce),
)


def parse(parameters: Iterable[tuple[str, str]], services: Mapping[str, Service], issuer: str) -> ServiceRequest:
    """Raises `Unanswerable` or `Refused`."""
    pairs = list(parameters)
    if len(pairs) > _MOST or sum(len(name) + len(value) for name, value in pairs) > _LONGEST:
        raise Unanswerable(f"more than {_MOST} parameters, or {_LONGEST} characters")
    given, names = dict(pairs), [name for name, _ in pairs]
    service = services.get(given.get("client_id", ""))
    if service is None or names.count("client_id") > 1:
        raise Unanswerable("client_id is missing, repeated or unknown")
    # RFC 9700 §2.1: the whole address, character by character
    if given.get("redirect_uri") not in service.file.redirect_uris or names.count("redirect_uri") > 1:
        raise Unanswerable("redirect_uri is missing, repeated or not one in the file of the service")
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
    if _STATE.fullmatch(given.get("state", "")):
        answer["state"] = given["state"]
    return Refused(with_parameters(given["redirect_uri"], answer), error)
