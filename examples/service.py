"""A service that lets people in by OpenID Connect, in one file: behind the broker, or as a client of Alicem itself (docs/integrate.md).

    pip install authlib httpx joserfc
    python service.py            # then open http://127.0.0.1:3000

Settings are environment variables: ISSUER, CLIENT_ID, SECRET_FILE, SCOPE, LEVEL, PORT.
"""

import html
import json
import os
import secrets
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8001")
CLIENT_ID = os.environ.get("CLIENT_ID", "my-service")
SECRET = Path(os.environ.get("SECRET_FILE", "my-service.secret")).read_text().strip()
SCOPE = os.environ.get("SCOPE", "openid profile email")
LEVEL = os.environ.get("LEVEL", "eidas2")
PORT = int(os.environ.get("PORT", "3000"))
HERE = f"http://127.0.0.1:{PORT}"
COOKIE = "__Host-example"

# One session a browser, by its cookie. A real service keeps them in its own session store, with an end.
sessions: dict[str, dict] = {}


class SignInFailed(Exception):
    pass


def provider() -> dict:
    """The discovery document: addresses come from here, none is written down."""
    found = httpx.get(f"{ISSUER}/.well-known/openid-configuration").raise_for_status().json()
    if found["issuer"] != ISSUER:
        raise SignInFailed("the discovery document is another issuer's")
    return found


def client() -> OAuth2Client:
    return OAuth2Client(
        CLIENT_ID,
        SECRET,
        scope=SCOPE,
        redirect_uri=f"{HERE}/callback",
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
        code_challenge_method="S256",
        leeway=0,  # of 60 seconds by itself, which is all that an access token lives
    )


def begin(session: dict) -> str:
    """Where to send the browser. The session keeps what the answer is held against."""
    session |= {"nonce": secrets.token_urlsafe(32), "verifier": secrets.token_urlsafe(48)}
    address, session["state"] = client().create_authorization_url(
        provider()["authorization_endpoint"],
        state=secrets.token_urlsafe(32),
        nonce=session["nonce"],
        code_verifier=session["verifier"],
        acr_values=LEVEL,
    )
    return address


def complete(session: dict, query: str) -> None:
    """From the answer in the browser's address to the person's claims."""
    given = {name: values[0] for name, values in parse_qs(query).items()}
    if not secrets.compare_digest(given.get("state", ""), session.pop("state", "-")):
        raise SignInFailed("this sign-in was begun elsewhere, or is over")
    if given.get("iss") != ISSUER:  # RFC 9207: the answer is this provider's
        raise SignInFailed("the answer comes from somebody else")
    if "error" in given:
        raise SignInFailed(f"{given['error']}: {given.get('error_description', 'no reason given')}")
    found, our = provider(), client()
    tokens = our.fetch_token(found["token_endpoint"], code=given["code"], code_verifier=session["verifier"])
    keys = KeySet.import_key_set(httpx.get(found["jwks_uri"]).json())
    checked = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims  # never the algorithm it names itself
    right = (
        checked["iss"] == ISSUER
        and checked["aud"] == CLIENT_ID
        and checked["exp"] > time.time()
        and checked["nonce"] == session["nonce"]
        and checked["acr"] >= LEVEL  # eidas1 < eidas2 < eidas3
    )
    person = our.get(found["userinfo_endpoint"]).raise_for_status().json()
    if not right or person["sub"] != checked["sub"]:
        raise SignInFailed("the id token is not for this sign-in")
    session |= {"person": person, "acr": checked["acr"], "id_token": tokens["id_token"]}


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        key = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        session = sessions.get(key.value, {}) if key else {}
        try:
            if path == "/sign-in":
                fresh, begun = secrets.token_urlsafe(32), {}  # a new key each time: none can be fixed beforehand
                address, sessions[fresh] = begin(begun), begun
                self.go(address, f"{COOKIE}={fresh}; Path=/; Secure; HttpOnly; SameSite=Lax")
            elif path == "/callback":
                complete(session, query)
                self.go("/")
            elif path == "/sign-out" and "id_token" in session:
                back = {"id_token_hint": session["id_token"], "post_logout_redirect_uri": f"{HERE}/"}
                session.clear()
                self.go(f"{provider()['end_session_endpoint']}?{urlencode(back)}")
            else:
                self.show(session)
        except (SignInFailed, OAuthError, JoseError, httpx.HTTPError, KeyError) as error:
            self.page(f"<h1>Not signed in</h1><p>{html.escape(str(error))}</p><p><a href='/sign-in'>Try again</a></p>")

    def show(self, session: dict) -> None:
        if "person" not in session:
            self.page("<h1>A service</h1><p><a href='/sign-in'>Sign in</a></p>")
            return
        told = html.escape(json.dumps(session["person"] | {"acr": session["acr"]}, ensure_ascii=False, indent=2))
        self.page(f"<h1>Signed in</h1><pre id='claims'>{told}</pre><p><a href='/sign-out'>Sign out</a></p>")

    def page(self, body: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(f"<!doctype html><meta charset='utf-8'><title>Example</title>{body}".encode())

    def go(self, address: str, cookie: str | None = None) -> None:
        self.send_response(303)
        self.send_header("location", address)
        if cookie:
            self.send_header("set-cookie", cookie)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Addresses carry codes: they are not logged."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Service)
    print(f"open {HERE}", flush=True)  # now that it listens
    server.serve_forever()
