"""Clients of every profile for the tests: their keys, an address that publishes them, and what a direct one sends."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey
from provider_world import CALLBACK, FAREWELL, PLAIN_SECRET, Browser, Person, World, answer, sha256

from alicem import jose

PREFIX = "urn:ietf:params:oauth:request_uri:"
VERIFIER = "v" * 64
CHALLENGE = sha256(VERIFIER)
DIRECT = "direct"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Published:
    """An address for keys. `status`, `body`, `location`: what it answers, once `free` lets it; `hits`: how often it was asked."""

    address: str = ""
    status: int = 200
    body: bytes = b'{"keys": []}'
    location: str | None = None
    hits: int = 0
    free: threading.Event = field(default_factory=threading.Event)

    def show(self, *keys: Mapping[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


@contextmanager
def published() -> Iterator[Published]:
    at = Published()
    at.free.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at.hits += 1
            at.free.wait(30)
            self.send_response(at.status)
            if at.location is not None:
                self.send_header("Location", at.location)
            self.send_header("Content-Length", str(len(at.body)))
            self.end_headers()
            self.wfile.write(at.body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    at.address = f"http://127.0.0.1:{server.server_address[1]}/keys"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield at
    finally:
        at.free.set()
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Keys:
    """One of each kind a client may have."""

    rsa: RSAKey
    ec: ECKey

    def opening(self, alg: str) -> RSAKey | ECKey:
        return self.rsa if alg.startswith("RSA") else self.ec

    def public(self, alg: str, kid: str) -> dict[str, Any]:
        return {**self.opening(alg).as_dict(private=False), "use": "enc", "alg": alg, "kid": kid}

    def open(self, token: str, alg: str) -> str:
        """What is inside, by another library."""
        opened = jwe.decrypt_compact(token, self.opening(alg), algorithms=[alg, "A256GCM"])
        assert opened.protected["enc"] == "A256GCM" and opened.protected["cty"] == "JWT"
        assert opened.plaintext is not None
        return opened.plaintext.decode()


def client_keys() -> Keys:
    return Keys(
        RSAKey.import_key(rsa.generate_private_key(65537, 2048)),
        ECKey.import_key(ec.generate_private_key(ec.SECP256R1())),
    )


TABLES = """
[plain-fc]
name = "FranceConnect"
profile = "franceconnect"
secret_file = "plain"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{farewell}"]
sector = "franceconnect"
scopes = ["openid", "email"]

[signed-fc]
name = "FranceConnect"
profile = "franceconnect"
secret_file = "plain"
userinfo = "jwt"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{farewell}"]
sector = "franceconnect"
scopes = ["openid", "email"]

[direct]
name = "A service"
profile = "direct"
jwks_file = "direct.jwks"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{farewell}"]
sector = "service"
scopes = ["openid", "email"]
"""
PLUS = """
[plus-{alg}]
name = "FranceConnect+"
profile = "franceconnect_plus"
secret_file = "plain"
encryption_alg = "{alg}"
jwks_uri = "{keys}"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{farewell}"]
sector = "franceconnect"
scopes = ["openid", "email"]
"""
OF_DIRECT = {
    "this client pushes its requests to the pushed_authorization_request_endpoint",
    "this client sends a code_challenge",
    "this client binds its tokens to a key: a DPoP proof is missing",
    "the code is bound to another key",
}
"""Texts of the checks that only a direct client meets: test_direct_clients.py has their refusals."""
ALGS = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES")


def tables(keys: str) -> str:
    named = {"callback": CALLBACK, "farewell": FAREWELL}
    return TABLES.format(**named) + "".join(PLUS.format(alg=alg, keys=keys, **named) for alg in ALGS)


def signed(key: ec.EllipticCurvePrivateKey, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """ES256 under whatever header, null members left out."""
    head = json.dumps({name: value for name, value in {"alg": "ES256", **header}.items() if value is not None})
    signing_input = f"{jose.b64(head.encode())}.{jose.b64(json.dumps(payload).encode())}"
    r, s = decode_dss_signature(key.sign(signing_input.encode(), ec.ECDSA(SHA256())))
    return f"{signing_input}.{jose.b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@dataclass
class Direct:
    """The service without a broker: what it signs with, and what it sends."""

    world: World
    key: ec.EllipticCurvePrivateKey
    proving: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def write_keys(self, folder: Path, kid: str = "s1") -> None:
        jwk = {**jose.public_jwk(self.key.public_key()), "use": "sig", "alg": "ES256", "kid": kid}
        (folder / "direct.jwks").write_text(json.dumps({"keys": [jwk]}))

    @property
    def now(self) -> int:
        return int(self.world.clock().timestamp())

    def assertion(self, header: Mapping[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        claims = {
            "iss": DIRECT,
            "sub": DIRECT,
            "aud": self.world.origin,
            "iat": self.now,
            "exp": self.now + 60,
            "jti": secrets.token_hex(16),
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return signed(key or self.key, {"typ": "JWT", "kid": "s1", **(header or {})}, kept)

    def proof(self, path: str, header: Mapping[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        key = key or self.proving
        claims = {
            "htm": "POST",
            "htu": self.world.origin + path,
            "iat": self.now,
            "jti": secrets.token_hex(16),
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return signed(key, {"typ": "dpop+jwt", "jwk": jose.public_jwk(key.public_key()), **(header or {})}, kept)

    def post(self, path: str, form: Mapping[str, Any], headers: Any = None) -> httpx.Response:
        own = {"client_assertion_type": JWT_BEARER, "client_assertion": self.assertion()}
        sent = {name: value for name, value in {**own, **form}.items() if value is not None}
        return self.http.post(self.world.origin + path, data=sent, headers=headers)

    def push(self, headers: Any = None, **changes: str | None) -> httpx.Response:
        asked: dict[str, str | None] = {
            "scope": "openid email",
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "acr_values": "eidas2",
            "nonce": "n-1",
            "state": "s-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return self.post("/par", asked, headers)

    def browser(self) -> Browser:
        return Browser(self.world, http=self.http)

    def begin(self, **changes: str | None) -> str:
        """A pushed request's name."""
        pushed = self.push(**changes)
        assert pushed.status_code == 201, pushed.text
        return str(pushed.json()["request_uri"])

    def sign_in(self, person: Person, **changes: str | None) -> dict[str, str]:
        """What the callback is given."""
        browser = self.browser()
        name = self.begin(**changes)
        browser.read(browser.get("/authorize?" + str(httpx.QueryParams(client_id=DIRECT, request_uri=name))))
        assert answer(person, browser) == (200, "done")
        return browser.finish()

    def redeem(self, code: str, proof: str | None = None, **changes: str | None) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.post("/token", form, {"DPoP": proof or self.proof("/token")})

    def userinfo(self, token: str, **changes: Any) -> httpx.Response:
        proof = self.proof("/userinfo", **{"htm": "GET", "ath": sha256(token), **changes})
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return self.http.get(f"{self.world.origin}/userinfo", headers=headers)


SECRETS = {"plain-fc": PLAIN_SECRET, "signed-fc": PLAIN_SECRET, **{f"plus-{alg}": PLAIN_SECRET for alg in ALGS}}
