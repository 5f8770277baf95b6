"""Public keys of clients (RFC 7517): from a file, or from an address that is asked rarely, within bounds, and once at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from alicem import jose
from alicem.jose import BadToken
from alicem.provider.profiles import ENCRYPTION_ALGS, ES256

CACHED = timedelta(seconds=600)
"""FranceConnect's own bound: a key it retired is used no longer."""
STALE = timedelta(hours=1)
"""How long the keys of before go on while their address does not answer: an outage there is none here, and a stolen key ends."""
PAUSE = timedelta(seconds=10)
"""Between two fetches, whatever asks for them: strangers name keys that nobody has."""
SECONDS = 2.0
"""For the whole of a fetch: FranceConnect waits 6 s for our answer."""
MOST, MOST_KEYS = 64 * 1024, 32
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_log = structlog.get_logger("alicem")


class KeysUnavailable(Exception):
    """The address of the client's keys does not answer, or has none that fits; nothing was spent."""


@dataclass(frozen=True)
class Recipient:
    """The key that answers are encrypted to."""

    alg: str
    kid: str | None
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey

    def seal(self, token: str) -> str:
        """A JWS nested in a JWE (RFC 7519 §5.2, §7.1)."""
        header = {"cty": "JWT"} if self.kid is None else {"cty": "JWT", "kid": self.kid}
        if isinstance(self.key, rsa.RSAPublicKey):
            return jose.encrypt_to_rsa(self.key, token.encode(), self.alg, **header)
        return jose.encrypt_to(self.key, token.encode(), **header)


@dataclass(frozen=True)
class KeySet:
    """Those of a client's keys that are of use here. `recipients`: of each algorithm the first it lists."""

    signing: tuple[tuple[str | None, ec.EllipticCurvePublicKey], ...]
    recipients: Mapping[str, Recipient]

    def verifying(self, kid: str | None) -> tuple[ec.EllipticCurvePublicKey, ...]:
        """The keys a signature may be of: the one named, or each where none is (RFC 7515 §4.1.4)."""
        return tuple(key for name, key in self.signing if kid in (None, name))


def parse(data: bytes) -> KeySet:
    """A JWK set. Keys of other kinds are passed over (RFC 7517 §5). Raises `BadToken`, also for a private key, which is everybody's now."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadToken("not JSON") from error
    found = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(found, list) or len(found) > MOST_KEYS or not all(isinstance(one, dict) for one in found):
        raise BadToken(f"not a JWK set of {MOST_KEYS} keys at most")
    if any(_PRIVATE & one.keys() for one in found):
        raise BadToken("a private key is among the public ones")
    signing = (_signing(jwk) for jwk in found if jwk.get("use", "sig") == "sig")
    recipients = [one for alg in ENCRYPTION_ALGS for jwk in found if (one := _recipient(jwk, alg)) is not None]
    return KeySet(tuple(one for one in signing if one is not None), {one.alg: one for one in reversed(recipients)})


def _signing(jwk: Mapping[str, Any]) -> tuple[str | None, ec.EllipticCurvePublicKey] | None:
    if jwk.get("alg", ES256) != ES256:
        return None
    try:
        return _kid(jwk), jose.public_key(jwk)
    except BadToken:
        return None


def _recipient(jwk: Mapping[str, Any], alg: str) -> Recipient | None:
    if jwk.get("use") != "enc" or jwk.get("alg", alg) != alg:
        return None
    try:
        return Recipient(alg, _kid(jwk), jose.public_rsa_key(jwk) if alg in jose.RSA_OAEP else jose.public_key(jwk))
    except BadToken:
        return None


def _kid(jwk: Mapping[str, Any]) -> str | None:
    kid = jwk.get("kid")
    return kid if isinstance(kid, str) and len(kid) <= 256 else None


@dataclass
class _Held:
    """What is known of one address."""

    keys: KeySet | None = None
    fetched: datetime | None = None
    tried: datetime | None = None
    fetching: asyncio.Task[None] | None = field(default=None, repr=False)


Lacks = Callable[[KeySet], bool]


class ClientKeys:
    """The keys behind the addresses of clients, in the memory of this worker."""

    def __init__(self, clock: Callable[[], datetime], seconds: float = SECONDS) -> None:
        """`seconds`: for the whole of a fetch."""
        self._clock, self._seconds = clock, seconds
        self._held: dict[str, _Held] = {}

    async def at(self, address: str, lacks: Lacks) -> KeySet:
        """The keys; asked anew after `CACHED`, and when they lack what is sought: then they were rotated. Raises `KeysUnavailable`."""
        held = self._held.setdefault(address, _Held())
        if held.keys is None or not timedelta() <= self._age(held) < CACHED or lacks(held.keys):
            await self._refresh(held, address)
        if held.keys is None or self._age(held) >= STALE:
            raise KeysUnavailable("the client's jwks_uri does not answer as it should")
        return held.keys

    def _age(self, held: _Held) -> timedelta:
        return timedelta.max if held.fetched is None else self._clock() - held.fetched

    async def _refresh(self, held: _Held, address: str) -> None:
        """Fetch, or wait for the fetch that is under way; whoever waits may go away without ending it."""
        if held.fetching is None:
            now = self._clock()
            if held.tried is not None and timedelta() <= now - held.tried < PAUSE:
                return
            held.tried = now
            held.fetching = asyncio.create_task(self._fetch(held, address))
        await asyncio.shield(held.fetching)

    async def _fetch(self, held: _Held, address: str) -> None:
        began = time.monotonic()
        outcome = "wrong"
        try:
            async with asyncio.timeout(self._seconds):  # httpx counts each piece by itself: drops would go on for ever
                data = await self._get(address)
            held.keys, held.fetched, outcome = parse(data), self._clock(), "fetched"
        except (TimeoutError, httpx.TimeoutException):
            outcome = "timed_out"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            outcome = "away"
        except BadToken:
            pass
        finally:
            held.fetching = None
            level = logging.INFO if outcome == "fetched" else logging.WARNING
            _log.log(level, "client keys", outcome=outcome, seconds=round(time.monotonic() - began, 3))

    async def _get(self, address: str) -> bytes:
        """The document itself, wherever nobody redirects us to. Raises `BadToken` for another answer than 200, or too long a one."""
        asking = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._seconds) as http,
            http.stream("GET", address, headers=asking) as answer,
        ):
            if answer.status_code != 200:
                raise BadToken("not 200")
            data = bytearray()
            async for piece in answer.aiter_raw():
                data += piece
                if len(data) > MOST:
                    raise BadToken("too long")
        return bytes(data)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()  # the machine's authorities
