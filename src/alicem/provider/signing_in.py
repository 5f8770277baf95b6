"""The life of a sign-in: begun by a browser, ended by its phone or by the person, taken once by the browser that began it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from alicem import jose
from alicem.provider import references, request_objects
from alicem.provider.authorize import Asked
from alicem.provider.records import Signin
from alicem.provider.request_objects import Asker
from alicem.provider.room import SIGNIN_LIFE, Provider
from alicem.provider.sealing import browser_key, public_bytes, response_key

COOKIE = "__Host-signin"
_COOKIE = re.compile(rf"({references.SIGNIN.pattern})\.([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True)
class Browser:
    """What the cookie proves: which sign-in, and the key its claims are sealed to."""

    signin: str
    key: EllipticCurvePrivateKey

    @property
    def public(self) -> bytes:
        return public_bytes(self.key)


def begin(provider: Provider, asked: Asked, asker: Asker, now: datetime) -> tuple[Signin, str]:
    """A new sign-in, to be stored, and the value of its browser's cookie, stored nowhere."""
    name, secret, salt = jose.b64(provider.rng(16)), provider.rng(32), provider.rng(32)
    expires_at = int((now + SIGNIN_LIFE).timestamp())
    answer_to = response_key(provider.transaction_secret(now), salt, name).public_key()
    signin = Signin(
        signin=name,
        expires_at=expires_at,
        client_id=asked.client.client_id,
        redirect_uri=asked.redirect_uri,
        scope=" ".join(asked.scopes),
        state=asked.state,
        nonce=asked.nonce,
        challenge=asked.challenge,
        dpop_jkt=asked.dpop_jkt,
        level=int(asked.level),
        number=_two_digits(provider),
        browser_key=public_bytes(browser_key(secret, name)),
        request_object=request_objects.make(provider, asked, asker, name, answer_to, now, expires_at),
        response_salt=salt,
    )
    return signin, f"{name}.{jose.b64(secret)}"


def browser_of(cookie: str | None) -> Browser | None:
    """The browser a cookie speaks for, if it is one of ours at all."""
    match = _COOKIE.fullmatch(cookie or "")
    if match is None:
        return None
    try:
        secret = jose.unb64(match[2])
    except jose.BadToken:
        return None
    return Browser(match[1], browser_key(secret, match[1]))


def link(provider: Provider, signin: str, now: datetime) -> str:
    """The text of the QR code, and the link on the same device."""
    return f"{provider.issuer}/phone/approve#{reference(provider, signin, now)}"


def qr_address(provider: Provider, signin: str, now: datetime) -> str:
    """Where the browser gets that link as a picture."""
    return f"/signin/qr/{reference(provider, signin, now)}.svg"


def reference(provider: Provider, signin: str, now: datetime) -> str:
    return references.make(provider.transaction_secret(now), signin, now)


def _two_digits(provider: Provider) -> int:
    """10 to 99, each as likely: bytes of 180 and more are drawn again."""
    while (byte := provider.rng(1)[0]) >= 180:
        pass
    return 10 + byte % 90
