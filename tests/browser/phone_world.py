"""A provider with its accounts and its phone pages in this process, and browsers whose phone is enrolled without the seven steps."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from provider_world import ANGELA, CODE, World, activate, anchor, evidence, issuing, make_world
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from alicem import accounts, credential, jose, reasons
from alicem.accounts import NewAccount, suspension
from alicem.credential import status
from alicem.evidence import Evidence, Level
from alicem.phone.code import pin_key
from alicem.web import site
from alicem.web.headers import SecurityHeaders
from alicem.web.pages import Pages

LEVELS = {"webcrypto": "substantial", "passkey": "high", "passkey_synced": "substantial", "keystore": "high"}

MAKE_KEYS = """async (kind) => { const keys = await import("/static/keys.js");
    const {keys: made, confirm} = await keys.make(kind); window.made = made;
    return [made.public, await confirm("seed")]; }"""
KEEP = """async (given) => {
    const [keys, state, encoding, x] = await Promise.all(["keys", "state", "encoding", "code"].map((one) => import(`/static/${one}.js`)));
    const key = await state.vaultKey(keys.atWork(window.made), encoding.unb64(given.share));
    const content = {version: 1, credential: given.credential, access_key: given.access_key, receipt: "receipt", history: given.history};
    const fields = {origin: location.origin, account: given.account, kdf: x.KDF, anchor: given.anchor};
    await state.saveAll(fields, encoding.unb64(given.salt), window.made, await state.sealVault(key, content), "receipt");
    if (given.active) await state.saveEnrolment(null);
}"""


@dataclass(frozen=True)
class Seeded:
    """Someone whose phone a browser is. `proven`: what their enrolment proved, for a second phone."""

    account: int
    suspension_code: str
    proven: Evidence


def make_phone_world(folder: Path, *, copies: str = "off") -> World:
    """`copies`: the setting `wallets.foreign`."""
    return with_pages(issuing(make_world(folder, level_of_keys=LEVELS), copies))


def with_pages(world: World) -> World:
    """The phone's pages beside the provider."""
    pages = site.routes(Pages(), world.settings, reasons.load())
    assert world.served.app is not None
    headers = Middleware(SecurityHeaders, origin=world.origin)
    world.served.app = Starlette(routes=[*pages, Mount("/", world.served.app)], middleware=[headers])
    return world


def seed(
    world: World,
    page: Page,
    kind: str = "webcrypto",
    *,
    beside: Seeded | None = None,
    keep: bool = False,
    active: bool = True,
    history: tuple[dict[str, Any], ...] = (),
    chip_key: bytes | None = None,
    access_key: Mapping[str, str] | None = None,
) -> Seeded:
    """Make this browser a phone: its own keys, an account, a vault.

    `beside`: with the document of someone who is enrolled, whose phones stay where `keep` says so; such a phone waits for its first code, as
    one that is not `active` does.
    """
    page.goto(f"{world.origin}/phone")
    jwk, passkey = page.evaluate(MAKE_KEYS, kind)
    world.people += 1
    index, salt, share = world.people, os.urandom(32), os.urandom(32)
    about = {"level": Level.HIGH, "specimen": True, "mark": secrets.token_hex(16), "chip_key": chip_key}
    proven = beside.proven if beside else evidence(ANGELA, "angela@courriel.example", **about)
    code = suspension.draw(os.urandom)
    new = NewAccount(
        proven,
        jose.public_key(jwk),
        kind,
        passkey and jose.public_key(passkey["public_key"]),
        pin_key(CODE, salt).public_key(),
        share,
        code,
        (proven.document.fingerprint,),
        keep=keep,
    )

    def create(connection: Any) -> int:
        status.allocate(connection, lambda _: index.to_bytes(4, "big"))
        number = accounts.create(connection, new, index, ring=world.ring, now=world.clock(), rng=os.urandom)
        if active and beside is None:
            activate(connection, number)
        return number

    with ThreadPoolExecutor(1) as apart:  # this thread belongs to the browser's event loop
        number = apart.submit(world.do, create).result()
    issuer = world.ring.signing("issuer", world.clock())
    token = credential.issue(
        proven,
        jose.public_key(jwk),
        issuer,
        status=status.reference(world.origin, index),
        origin=world.origin,
        now=world.clock(),
        lifetime=timedelta(days=365),
        rng=os.urandom,
    )
    given = {"share": jose.b64(share), "salt": jose.b64(salt), "credential": token, "account": str(number)}
    given |= {"anchor": anchor(issuer), "history": list(history), "active": active and beside is None}
    given |= {"access_key": access_key}
    page.evaluate(KEEP, given)
    return Seeded(number, code, proven)
