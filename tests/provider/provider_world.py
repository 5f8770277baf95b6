"""A real provider on a loopback port with accounts beside it, people with phones, browsers, and clients. Used by the tests and by bench/login."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import uvicorn
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from alicem import accounts, credential, jose, keys, provider
from alicem.accounts import NewAccount
from alicem.accounts import endpoints as accounts_endpoints
from alicem.accounts.instruction import Instructions
from alicem.accounts.tables import accounts as accounts_table
from alicem.accounts.tables import phones as phones_table
from alicem.credential import Offers, status
from alicem.credential import endpoints as credential_endpoints
from alicem.credential.endpoints import Credentials
from alicem.enrolment import endpoints as enrolment_endpoints
from alicem.enrolment.endpoints import Sessions
from alicem.enrolment.journey import Enrolment
from alicem.evidence import Check, CivilIdentity, DocumentFacts, Evidence, Gender, Level, PartialDate
from alicem.evidence import Path as EnrolmentPath
from alicem.keys import KeyRing
from alicem.phone import approve as phone_approve
from alicem.phone.code import pin_key
from alicem.phone.instruct import Device
from alicem.phone.state import Storage, new_phone, open_vault, seal_vault
from alicem.reasons import Refused
from alicem.settings import Database, Keys, Limits, Mail, Registry, Service, Settings, Trust, Wallets
from alicem.store import Store, metadata
from alicem.web.headers import SecurityHeaders
from alicem.web.http import BoundedHttp
from alicem.web.pages import Pages
from alicem.web.server import listening_at
from alicem.web.static_files import static_routes

CODE = "270431"
SECRET = "a-secret-of-the-federation-0123456789+%&"
PLAIN_SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
"""For clients that do not form-url-encode what they put into an HTTP Basic header."""
CALLBACK = "https://fc.example/api/v2/oidc-callback"
FAREWELL = "https://fc.example/api/v2/logout-callback"
FC_PLUS = "openid profile email preferred_username birthplace birthcountry"
FC = "openid profile email birth"

ANGELA = CivilIdentity(
    family_name="DUBOIS",
    given_names="Angela Claire Louise",
    preferred_username="Ledoux-Dûment",
    birthdate=PartialDate(1962, 8, 24),
    gender=Gender.FEMALE,
    birthplace_cog="75107",
    birthcountry_cog="99100",
    nationality="FRA",
)


class Clock:
    """The time, ahead by what the test let pass."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.held: datetime | None = None

    def __call__(self) -> datetime:
        return (self.held or datetime.now(UTC)) + self.ahead

    def hold(self) -> None:
        """Stop at the beginning of a slot of references."""
        at = int(time.time()) // 30 * 30
        self.held = datetime.fromtimestamp(at, UTC)

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Restartable:
    """What the server serves; another application may take its place, as after a restart."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@dataclass
class World:
    """`origin` answers over HTTP; `folder` holds database, keys and clients."""

    folder: Path
    settings: Settings
    store: Store
    ring: KeyRing
    clock: Clock
    served: Restartable
    server: uvicorn.Server
    thread: threading.Thread
    people: int = 0

    @property
    def origin(self) -> str:
        return self.settings.service.origin

    def restart(self, settings: Settings | None = None, ring: KeyRing | None = None) -> None:
        """The same database, with other settings, keys or clients."""
        self.settings, self.ring = settings or self.settings, ring or self.ring
        self.served.app = make_app(self.settings, self.store, self.ring, self.clock)

    def do(self, work: Any) -> Any:
        """Run a function over a connection, durably."""
        return asyncio.run(self.store.write(work))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.store.close()


CLIENTS = """
[fc-plus]
name = "FranceConnect+"
profile = "franceconnect"
secret_file = "secret"
redirect_uris = ["{callback}", "https://fc.example/other?kept=1"]
post_logout_redirect_uris = ["{farewell}"]
id_token_alg = "ES256"
sector = "franceconnect"
scopes = {scopes}

[fc]
name = "FranceConnect"
profile = "franceconnect"
secret_file = "secret"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{farewell}"]
id_token_alg = "HS256"
sector = "franceconnect"
scopes = {scopes}

[other]
name = "Another federation"
profile = "franceconnect"
secret_file = "plain"
redirect_uris = ["{callback}", "{extra}"]
id_token_alg = "ES256"
sector = "elsewhere"
scopes = ["openid", "email"]
"""


_UNBOUNDED = (
    "sign_ins_per_minute_and_address",
    "instructions_per_minute_and_address",
    "token_failures_per_minute_and_client",
    "approvals_per_hour_and_account",
)
"""Limits that the tests of a world would meet, were they not about them."""


def make_world(
    folder: Path,
    *,
    database: str | None = None,
    extra_callback: str = CALLBACK,
    level_of_keys: Mapping[str, str] | None = None,
    master: bytes | None = None,
    **limits: int,
) -> World:
    """Start one. `database`: its url, by default of a file in `folder`. `extra_callback`: one more address of the client `other`."""
    folder.mkdir(parents=True, exist_ok=True)
    (listener,) = listening_at("127.0.0.1:0")
    origin = f"http://localhost:{listener.getsockname()[1]}"
    limits = {**dict.fromkeys(_UNBOUNDED, 10**6), **limits}
    settings = make_settings(folder, database, origin, level_of_keys, limits)
    (folder / "secret").write_text(SECRET)
    (folder / "plain").write_text(PLAIN_SECRET)
    scopes = (
        '["openid", "profile", "email", "preferred_username", "birthplace", "birthcountry", "birth", "identite_pivot"]'
    )
    clients = CLIENTS.format(callback=CALLBACK, farewell=FAREWELL, scopes=scopes, extra=extra_callback)
    settings.service.clients.write_text(clients)
    clock = Clock()
    ring = keys.create(settings.keys.file, master or os.urandom(32), now=clock(), rng=os.urandom, host="localhost")
    store = Store(settings.database.url)
    metadata.create_all(store.engine)
    served = Restartable()
    server, thread = serve(served, listener)
    world = World(folder, settings, store, ring, clock, served, server, thread)
    world.restart()
    return world


def make_settings(
    folder: Path, database: str | None, origin: str, level_of_keys: Mapping[str, str] | None, limits: Mapping[str, int]
) -> Settings:
    return Settings(
        service=Service(profile="development", origin=origin, clients=folder / "clients.toml"),
        database=Database(url=database or f"sqlite:///{folder / 'alicem.db'}"),
        keys=Keys(file=folder / "keys.bin", levels=level_of_keys or {"software": "substantial"}),
        trust=Trust(folder=folder, specimen=True),
        registry=Registry(url="http://127.0.0.1:9", token_file=folder / "none"),
        mail=Mail(host="127.0.0.1", port=9, sender="alicem@example.org", tls="none"),
        limits=Limits(**limits),
    )


def make_app(settings: Settings, store: Store, ring: KeyRing, clock: Clock) -> Starlette:
    pages = Pages()
    origin = settings.service.origin
    clients = provider.load(settings.service.clients)
    room = provider.Provider(settings, store, ring, clients, clock, os.urandom, pages)
    approvals = settings.limits.approvals_per_hour_and_account
    instructions = Instructions(store, ring, origin, clock, os.urandom, lambda now: "", approvals)
    phones = accounts_endpoints.Accounts(settings, store, instructions, pages, clock, os.urandom)
    routes = [*provider.routes(room), *accounts_endpoints.routes(phones), *static_routes()]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders, origin=origin)])


def issuing(world: World, foreign: str) -> World:
    """The provider of the world, with the issuer and the ordering of copies beside it."""
    world.settings = settings = replace(world.settings, wallets=Wallets(foreign))
    offers = Offers(world.clock, os.urandom)
    room = Credentials(settings, world.store, world.ring, offers, world.clock, os.urandom)
    nobody: Any = None  # enrols here
    sessions = Sessions(Enrolment(settings, world.store, world.ring, offers, nobody, nobody, world.clock, os.urandom))
    routes = [*credential_endpoints.routes(room), *enrolment_endpoints.routes(sessions)]
    assert world.served.app is not None
    world.served.app = Starlette(routes=[*routes, Mount("/", world.served.app)])
    return world


def serve(app: ASGIApp, listener: socket.socket) -> tuple[uvicorn.Server, threading.Thread]:
    config = uvicorn.Config(app, http=BoundedHttp, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return server, thread


# People


@dataclass
class Person:
    """Someone enrolled: account, phone, code, and what the credential says of them."""

    account: int
    device: Device
    identity: CivilIdentity
    email: str
    code: str = CODE


def evidence(
    identity: CivilIdentity, email: str, *, level: Level, specimen: bool, mark: str, chip_key: bytes | None = None
) -> Evidence:
    now = datetime.now(UTC)
    chip_key = chip_key or secrets.token_bytes(32)
    document = DocumentFacts("passport", "FRA", date(2034, 1, 31), chip_key, "ecdsa", f"k1:{mark}")
    return Evidence(
        path=EnrolmentPath.FACE,
        level=level,
        identity=identity,
        document=document,
        email=email,
        checks=(Check("passive_authentication", "9303-11 §5.1", now),),
        terms_version="2026-11",
        biometrics_consent_at=now,
        agents=(),
        registry_checked_at=now,
        specimen=specimen,
    )


def enrol(
    world: World,
    identity: CivilIdentity = ANGELA,
    *,
    email: str = "angela.dubois@courriel.example",
    level: Level = Level.SUBSTANTIAL,
    key_kind: str = "software",
    specimen: bool = False,
    lifetime: timedelta = timedelta(days=365),
    active: bool = True,
    chip_key: bytes | None = None,
    access_key: Mapping[str, str] | None = None,
) -> Person:
    """Someone who has been through enrolment, with the phone's state as phone-state.md gives it."""
    world.people += 1
    mark = secrets.token_hex(16)
    proven = evidence(identity, email, level=level, specimen=specimen, mark=mark, chip_key=chip_key)
    phone, share = new_phone(world.origin, "fr", os.urandom), secrets.token_bytes(32)
    device_key = phone.device_key.public_key()
    new = NewAccount(
        proven,
        device_key,
        key_kind,
        None,
        pin_key(CODE, phone.salt).public_key(),
        share,
        secrets.token_hex(10).upper(),
        (proven.document.fingerprint,),
    )

    def create(connection: Any) -> int:
        status.allocate(connection, lambda _: world.people.to_bytes(4, "big"))
        number = accounts.create(connection, new, world.people, ring=world.ring, now=world.clock(), rng=os.urandom)
        if active:
            activate(connection, number)
        return number

    number = world.do(create)
    issuer = world.ring.signing("issuer", world.clock())
    token = credential.issue(
        proven,
        device_key,
        issuer,
        status=status.reference(world.origin, world.people),
        origin=world.origin,
        now=world.clock(),
        lifetime=lifetime,
        rng=os.urandom,
    )
    storage = Storage(world.folder / f"phone{world.people}")
    phone = type(phone)(**{**vars(phone), "account": str(number), "anchor": anchor(issuer)})
    storage.save(phone)
    storage.save_vault(
        seal_vault(phone, share, {"credential": token, "access_key": access_key, "history": []}, os.urandom)
    )
    http = httpx.AsyncClient(base_url=world.origin, timeout=30)
    return Person(number, Device(storage, http, world.clock, os.urandom, phone), identity, email)


def activate(connection: Any, account: int) -> None:
    """As the first right code does."""
    set_state(connection, account, "active")
    connection.execute(update(phones_table).where(phones_table.c.account == account).values(stage="active"))


def set_state(connection: Any, account: int, state: str) -> None:
    connection.execute(update(accounts_table).where(accounts_table.c.number == account).values(state=state))


def anchor(key: keys.SigningKey) -> str:
    return jose.b64(hashlib.sha256(key.x5c[-1]).digest())


# Browsers


@dataclass
class Browser:
    """A browser without JavaScript that brings its cookie itself: cookie jars hold Secure ones back on plain http."""

    world: World
    cookie: str = ""
    link: str = ""
    number: str = ""
    signin: str = ""
    page: str = ""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(follow_redirects=False, timeout=30))

    def get(self, path: str, **headers: str) -> httpx.Response:
        given = {"Cookie": f"__Host-signin={self.cookie}"} if self.cookie else {}
        answer = self.http.get(self.world.origin + path, headers={**given, **headers})
        self.keep(answer)
        return answer

    def open(self, **changes: str | None) -> httpx.Response:
        """The authorization request of FranceConnect+, with changes; the page is read when there is one."""
        answer = self.get("/authorize?" + urlencode(request(**changes)))
        if answer.status_code == 200:
            self.read(answer)
        return answer

    def keep(self, answer: httpx.Response) -> None:
        match = re.search(r"__Host-signin=([^;]*);", answer.headers.get("set-cookie", ""))
        if match:
            self.cookie = match[1].strip('"')

    def read(self, answer: httpx.Response) -> None:
        self.page = answer.text
        attributes = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', answer.text.split('id="sign-in"')[1].split(">")[0]))
        self.link, self.number = html.unescape(attributes["link"]), attributes["number"]
        self.signin = attributes["events"].rpartition("=")[2]

    def finish(self) -> dict[str, str]:
        """Go on; what the client's callback is given."""
        answer = self.get("/signin/continue")
        assert answer.status_code == 303, answer.text
        return values(answer.headers["location"])


def request(**changes: str | None) -> dict[str, str]:
    asked = {
        "client_id": "fc-plus",
        "scope": FC_PLUS,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "acr_values": "eidas2",
        "nonce": secrets.token_hex(32),
        "state": secrets.token_hex(32),
        "prompt": "login",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def values(address: str) -> dict[str, str]:
    return {name: value[0] for name, value in parse_qs(urlsplit(address).query, keep_blank_values=True).items()}


# Phones


def approve(person: Person, browser: Browser, *, number: str | None = None) -> str:
    """Fetch, approve with number and code, show. What the phone was told."""

    async def run() -> str:
        fresh = fresh_device(person)
        try:
            asked = await phone_approve.fetch(fresh, browser.link)
            await phone_approve.approve(fresh, asked, number or browser.number, person.code)
        except Refused as refused:
            return refused.reason.name
        finally:
            await fresh.http.aclose()
        return "done"

    return asyncio.run(run())


def fresh_device(person: Person) -> Device:
    """The phone with a connection of its own: event loops of tests come and go."""
    device = person.device
    http = httpx.AsyncClient(base_url=device.phone.origin, timeout=30)
    return Device(device.storage, http, device.clock, device.rng, device.storage.load())


@dataclass
class Flaws:
    """What a phone of the tests does otherwise than docs/protocols/approval.md says. None: as it says."""

    approves: bool = True
    number: str | None = None
    names: frozenset[str] | None = None
    credential: str | None = None
    binding: dict[str, Any] = field(default_factory=dict)
    binding_key: Any = None
    vp_token: Any = None
    state: str | None = None
    kid: str | None = None
    plaintext: bytes | None = None


def answer(person: Person, browser: Browser, flaws: Flaws | None = None) -> tuple[int, str]:
    """Another phone, from the protocol's page alone, that can be made to do wrong. HTTP status and outcome."""
    return asyncio.run(_answer(person, browser, flaws or Flaws()))


async def _answer(person: Person, browser: Browser, flaws: Flaws) -> tuple[int, str]:
    device = fresh_device(person)
    try:
        fetched = await device.http.get("/signin/request/" + browser.link.partition("#")[2])
        if fetched.status_code != 200:
            return fetched.status_code, fetched.json()["outcome"]
        token = fetched.text
        asked = jose.unpack(token, "oauth-authz-req+jwt").json()
        if flaws.approves:
            about = f"{token}.{flaws.number or browser.number}".encode()
            share = (await device.instruct(person.code, "approve", about)).share
        else:
            share = (await device.instruct(person.code, "open", b"")).share
        stored = open_vault(device.phone, share, device.storage.load_vault())["credential"]
        shown = present(flaws.credential or stored, asked, device.phone.device_key, flaws)
        contents = {"vp_token": flaws.vp_token or {"identity": [shown]}, "state": flaws.state or asked["state"]}
        jwk = asked["client_metadata"]["jwks"]["keys"][0]
        plaintext = flaws.plaintext or json.dumps(contents).encode()
        response = jose.encrypt_to(jose.public_key(jwk), plaintext, kid=flaws.kid or jwk["kid"])
        told = await device.http.post(asked["response_uri"], data={"response": response})
        return told.status_code, told.json()["outcome"]
    finally:
        await device.http.aclose()


def present(stored: str, asked: Mapping[str, Any], device_key: Any, flaws: Flaws) -> str:
    """RFC 9901 §4.3 over the first claim set the credential can satisfy (OpenID4VP 1.0 §6.4.1)."""
    issuer_jwt, *texts, _ = stored.split("~")
    held = {json.loads(jose.unb64(text))[1]: text for text in texts}
    query = asked["dcql_query"]["credentials"][0]
    names = flaws.names if flaws.names is not None else wanted(query, held.keys())
    part = "~".join([issuer_jwt, *(text for name, text in held.items() if name in names), ""])
    binding = {
        "nonce": asked["nonce"],
        "aud": asked["client_id"],
        "iat": int(time.time()),
        "sd_hash": sha256(part),
        "transaction_data_hashes": [sha256(one) for one in asked["transaction_data"]],
        "transaction_data_hashes_alg": "sha-256",
        **flaws.binding,
    }
    return part + jose.sign(flaws.binding_key or device_key, "kb+jwt", binding)


def wanted(query: Mapping[str, Any], held: Any) -> frozenset[str]:
    claims = query.get("claims", [])
    sets = query.get("claim_sets")
    if sets is None:
        return frozenset(one["path"][0] for one in claims)
    by_id = {one["id"]: one["path"][0] for one in claims}
    options = [frozenset(by_id[one] for one in option) for option in sets]
    return next(option for option in options if option <= set(held))


def sha256(text: str) -> str:
    return jose.b64(hashlib.sha256(text.encode()).digest())


def sign_in(person: Person, browser: Browser, **changes: str | None) -> dict[str, str]:
    """All of it; what the client's callback is given."""
    assert browser.open(**changes).status_code == 200
    assert answer(person, browser) == (200, "done")
    return browser.finish()


# Clients


def redeem(world: World, code: str, /, **changes: str | None) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": "fc-plus",
        "client_secret": PLAIN_SECRET if changes.get("client_id") == "other" else SECRET,
        **changes,
    }
    return httpx.post(f"{world.origin}/token", data={name: value for name, value in form.items() if value is not None})


def userinfo(world: World, token: str) -> httpx.Response:
    return httpx.get(f"{world.origin}/userinfo", headers={"Authorization": f"Bearer {token}"})
