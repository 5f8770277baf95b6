"""What a thief tries with what they took. Every deed is tried in earnest, with all that is in the loot; each says whether it came off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import ANGELA, CODE, Browser, World, evidence

from alicem import credential, jose
from alicem.accounts import at_rest, suspension
from alicem.credential import CredentialRefused, Expected, verify_presentation
from alicem.demo.search import needles, search
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.keys import KeyRing, KeysError, document_fingerprints
from alicem.phone import approve, manage
from alicem.phone.code import pin_key
from alicem.phone.instruct import Device
from alicem.phone.state import PhoneHasForgotten, Storage, open_vault
from alicem.reasons import Refused

NUMBERS = ("24AB12344", "24AB12345", "24AB12346")
"""Document numbers the thief thinks of; the holder's is one of them."""
GUESSES = ("000001", "135790", CODE)
"""Codes the thief tries where a try costs nothing but time; the right one is among them, as it is among all."""


@dataclass
class Loot:
    """What was taken; None: not this. `world`: the server everybody can reach, its clock in the thief's hand."""

    world: World
    database: Path | None = None
    ring: KeyRing | None = None
    phone: Path | None = None
    code: str | None = None
    opened: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The phones of the stolen database."""
        if self.database is None:
            return []
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("select * from phones join accounts on number = account")]
        connection.close()
        return rows

    @cached_property
    def raw(self) -> bytes:
        """Every byte of the loot's files."""
        files = [self.database] if self.database else []
        files += sorted(self.phone.iterdir()) if self.phone else []
        return b"".join(file.read_bytes() for file in files)

    def column(self, name: str) -> Iterator[bytes]:
        """What a protected column may hold: opened with the keys, else as it lies there and every piece of 32 bytes of it."""
        for row in self.rows:
            if self.ring is not None:
                yield at_rest.unprotect(self.ring, row["thumbprint"], name, row[name])
            yield from pieces(row[name])

    def device(self) -> Device | None:
        """The stolen phone, brought to life."""
        if self.phone is None:
            return None
        storage = Storage(self.phone)
        phone = storage.load()
        http = httpx.AsyncClient(base_url=phone.origin, timeout=30)
        return Device(storage, http, self.world.clock, secrets.token_bytes, phone)


def pieces(data: bytes) -> Iterator[bytes]:
    yield data
    for at in range(max(0, len(data) - 31)):
        yield data[at : at + 32]


def name_the_holder(loot: Loot) -> bool:
    """say whose identity it is"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").write_bytes(loot.raw)
        (folder / "opened").write_text(
            json.dumps([*map(repr, loot.column("pin_key")), loot.opened], ensure_ascii=False)
        )
        data = {"family_name": ANGELA.family_name, "given": "Angela", "username": ANGELA.preferred_username or ""}
        return bool(search([folder], needles(data)))


def find_a_document(loot: Loot) -> bool:
    """find whose document has an account, by trying numbers (French passports: about 7·10⁹)"""
    for number in NUMBERS:
        named = [hashlib.sha256(text.encode()).hexdigest() for text in (number, f"FRA\npassport\n{number}")]
        named += document_fingerprints(loot.ring, "FRA", "passport", number, datetime.now(UTC)) if loot.ring else ()
        if any(one.encode() in loot.raw for one in named):
            return True
    return False


def test_codes(loot: Loot) -> bool:
    """test codes without asking the server (all 10⁶ take 44 core-hours)"""
    salts = [Storage(loot.phone).load().salt] if loot.phone else []
    salts += [piece for row in loot.rows for name in ("thumbprint", "last_instruction") for piece in _salts(row[name])]
    known = set(filter(None, map(_point, loot.column("pin_key"))))
    for salt in salts[:40]:
        for guess in GUESSES:
            public = pin_key(guess, salt).public_key()
            if _x(public) in known or jose.b64(_x(public)).encode() in loot.raw or _x(public) in loot.raw:
                loot.code = guess
                return True
    return False


def open_the_vault(loot: Loot) -> bool:
    """open the vault, and read the identity in it"""
    if loot.phone is None:
        return False
    storage = Storage(loot.phone)
    for share in [*loot.column("share"), *pieces(storage.load().secret), *pieces(storage.load_vault()[:200])]:
        try:
            loot.opened = open_vault(storage.load(), share, storage.load_vault())
        except PhoneHasForgotten:
            continue
        return True
    return False


def try_more_than_sixteen(loot: Loot) -> bool:
    """try more than sixteen codes at the server"""
    device = loot.device()
    return device is not None and asyncio.run(_try_on(device, loot.world.clock.advance))


async def _try_on(device: Device, wait: Callable[[float], None]) -> bool:
    async with device.http:
        for number in range(16):
            try:
                await device.instruct(f"{number:06d}", "open", b"")
            except Refused:
                wait(3601)
        try:
            await device.instruct(CODE, "open", b"")
        except Refused:
            return False
        return True


def sign_in(loot: Loot) -> bool:
    """sign in as the holder"""
    device, browser = loot.device(), Browser(loot.world)
    browser.open()
    if device is None:
        return asyncio.run(_answer_without_phone(loot, browser))
    return asyncio.run(_approve(device, browser, loot.code or GUESSES[0]))


async def _approve(device: Device, browser: Browser, code: str) -> bool:
    async with device.http:
        try:
            await approve.approve(device, await approve.fetch(device, browser.link), browser.number, code)
        except (Refused, PhoneHasForgotten):
            return False
        return True


async def _answer_without_phone(loot: Loot, browser: Browser) -> bool:
    """With a credential made by the stolen keys, for a key of the thief's, where there are such keys."""
    async with httpx.AsyncClient(base_url=loot.world.origin) as http:
        token = (await http.get("/signin/request/" + browser.link.partition("#")[2])).text
        asked = jose.unpack(token, "oauth-authz-req+jwt").json()
        shown = _forged(loot, nonce=asked["nonce"], aud=asked["client_id"])[0]
        jwk = asked["client_metadata"]["jwks"]["keys"][0]
        contents = json.dumps({"vp_token": {"identity": [shown]}, "state": asked["state"]}).encode()
        response = jose.encrypt_to(jose.public_key(jwk), contents, kid=jwk["kid"])
        told = await http.post(asked["response_uri"], data={"response": response})
        return told.status_code == 200


def forge_a_credential(loot: Loot) -> bool:
    """issue credentials that verifiers of the signature alone believe"""
    shown, nonce = _forged(loot, nonce="n", aud="a")
    expected = Expected(nonce=nonce, audience="a", claims=frozenset())
    try:
        verify_presentation(shown, expected, loot.world.ring.signing_all("issuer"), datetime.now(UTC))
    except CredentialRefused:
        return False
    return True


def _forged(loot: Loot, *, nonce: str, aud: str) -> tuple[str, str]:
    own, key = ec.generate_private_key(ec.SECP256R1()), loot.world.ring.signing("issuer", datetime.now(UTC))
    if loot.ring is None:  # a key of the same name, which is all that is public of it
        key = replace(key, private=ec.generate_private_key(ec.SECP256R1()))
    proven = evidence(ANGELA, "a@b.example", level=Level.HIGH, specimen=True, mark="x")
    issued = credential.issue(
        proven,
        own.public_key(),
        key,
        status=credential.status.reference(loot.world.origin, 1),
        origin=loot.world.origin,
        now=datetime.now(UTC),
        lifetime=timedelta(days=30),
        rng=secrets.token_bytes,
    )
    part = issued.split("~")[0] + "~"
    digest = jose.b64(hashlib.sha256(part.encode()).digest())
    binding = {"nonce": nonce, "aud": aud, "iat": int(datetime.now(UTC).timestamp()), "sd_hash": digest}
    return part + jose.sign(own, "kb+jwt", binding), nonce


def forge_an_id_token(loot: Loot) -> bool:
    """sign id tokens that FranceConnect believes, for anybody"""
    key = (
        loot.ring.signing("signing", datetime.now(UTC)).private
        if loot.ring
        else ec.generate_private_key(ec.SECP256R1())
    )
    token = jose.sign(key, "JWT", {"sub": "anybody"})
    try:
        jose.verify(token, loot.world.ring.signing("signing", datetime.now(UTC)).private.public_key(), "JWT")
    except BadToken:
        return False
    return True


def suspend_the_account(loot: Loot) -> bool:
    """suspend the account with what stands for the suspension code"""
    typed = [text for row in loot.rows for text in (row["suspension"].hex(), jose.b64(row["suspension"]))]
    typed += [loot.raw[at : at + 20].decode("latin-1") for at in range(0, len(loot.raw), 4096)]
    now = loot.world.clock()
    return any(
        loot.world.do(lambda c, one=one: suspension.suspend(c, one, now, secrets.token_bytes)) for one in typed[:400]
    )


def act_with_the_code(loot: Loot) -> bool:
    """act as this phone, the code having been seen"""
    device = loot.device()
    return device is not None and asyncio.run(_open(device))


def stay_unnoticed(loot: Loot) -> bool:
    """stay unnoticed at that while the owner goes on"""
    device = loot.device()
    return device is not None and asyncio.run(_open(device, times=3))


async def _open(device: Device, times: int = 1) -> bool:
    async with device.http:
        try:
            for _ in range(times):
                await manage.open_identity(device, CODE)
        except Refused:
            return False
        return True


def _salts(value: Any) -> Iterator[bytes]:
    data = value.encode() if isinstance(value, str) else value or b""
    yield from list(pieces(data))[:4]


def _point(stored: bytes) -> bytes | None:
    try:
        return _x(jose.public_key(json.loads(stored)))
    except (BadToken, ValueError, KeysError):
        return None


def _x(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_numbers().x.to_bytes(32, "big")
