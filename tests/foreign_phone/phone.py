"""A phone built from docs/protocols/ alone: its record and vault, the instructions, the sign-in, an account's life.

It shares no line with the product's own phones; it lives to show that the pages say enough.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import itertools
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from foreign_document import DocumentReading
from foreign_enrolment import Enrolled, Enrolment
from foreign_jose import (
    CURVE,
    LANES,
    MEMORY_KIB,
    PASSES,
    Untrusted,
    b64,
    decrypt,
    encrypt,
    fresh_key,
    hkdf,
    jwk_of,
    pin_key,
    sha256,
    sign,
    thumbprint,
    unb64,
    unverified,
    verify_chained,
)
from foreign_person import Holder

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KDF = {"name": "argon2id", "memory_kib": MEMORY_KIB, "passes": PASSES, "lanes": LANES}
RENEWING = ("birth_family_name", "given_name", "birthdate", "birthplace_cog", "birthcountry_cog")
OTHER_CLAIMS = ("family_name", "preferred_username", "sex", "nationalities", "email", "date_of_expiry", "chip_key")
KNOWN_CLAIMS = {*RENEWING, *OTHER_CLAIMS}
HISTORY_MAX = 500


class Refused(Exception):
    """The server's answer to an instruction or an answer of ours. `outcome`: its word; `body`: what came with it."""

    def __init__(self, body: dict[str, Any], status: int) -> None:
        super().__init__(body["outcome"])
        self.outcome, self.body, self.status = str(body["outcome"]), body, status


class Unanswered(Exception):
    """Nothing is known of the instruction; it is pending."""


class Forgotten(Exception):
    """There is no record here, or the vault belongs to another time of this phone: enrol again."""


class TrivialCode(Exception):
    """A code anybody would try first."""


def refuse_trivial(code: str, born: str) -> None:
    """`born`: `YYMMDD`. Raises `TrivialCode` (approval.md, *Trivial codes*)."""
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(code)}
    year, month, day = born[:2], born[2:4], born[4:]
    blocks = code == code[:2] * 3 or code == code[:3] * 2
    if steps in ({0}, {1}, {9}) or blocks or code in (day + month + year, born, month + day + year):
        raise TrivialCode


@dataclass(frozen=True, repr=False)
class Record:
    """phone-state.md, *phone*."""

    origin: str
    account: str | None
    sequence: int
    salt: str
    device_key: dict[str, Any]
    anchor: str
    language: str = "fr"
    kdf: dict[str, Any] = field(default_factory=lambda: KDF)
    pending: str | None = None
    assertion: None = None
    next_salt: str | None = None
    version: int = 1


@dataclass(frozen=True, repr=False)
class Done:
    """An instruction that was done. `share` is None where the phone was started anew since it was made."""

    body: dict[str, Any]
    share: bytes | None


@dataclass(frozen=True, repr=False)
class Request:
    """A request object that was checked, as the person is to see it."""

    token: str
    payload: dict[str, Any]
    asker: str
    level: str
    browser: str
    region: str
    ref: str
    chip: bool


@dataclass(repr=False)
class Phone:
    """One phone in one folder. `clock`: Unix time in seconds."""

    folder: Path
    origin: str
    http: httpx.AsyncClient
    clock: Callable[[], float] = time.time
    _reply_keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """Raises `Forgotten` where nothing is enrolled, `Untrusted` for another version."""
        try:
            stored = json.loads((self.folder / "phone.json").read_text())
        except FileNotFoundError:
            raise Forgotten from None
        if stored["version"] != 1:
            raise Untrusted("a record of another version")
        return Record(**stored)

    def _keep(self, **changed: Any) -> None:
        self._write("phone.json", json.dumps(dataclasses.asdict(dataclasses.replace(self.record, **changed))).encode())

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.folder / f"{name}.new"
        temporary.touch(0o600)
        temporary.write_bytes(data)
        temporary.replace(self.folder / name)

    def _device_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(unb64(self.record.device_key["private"]), "big"), CURVE)

    # The vault

    def _vault_key(self, share: bytes) -> AESGCM:
        mixed = hmac.digest(unb64(self.record.device_key["secret"]), share, "sha256")
        return AESGCM(hkdf(mixed, b"", "alicem vault v1"))

    def _vault(self, share: bytes) -> dict[str, Any]:
        sealed = (self.folder / "vault.bin").read_bytes()
        if sealed[0] != 1:
            raise Untrusted("a vault of another version")
        try:
            opened = self._vault_key(share).decrypt(sealed[1:13], sealed[13:], b"alicem vault v1")
        except InvalidTag:
            raise Forgotten from None
        content: dict[str, Any] = json.loads(opened)
        return content

    def _seal_vault(self, share: bytes, content: dict[str, Any]) -> None:
        nonce, plaintext = os.urandom(12), json.dumps(content).encode()
        sealed = self._vault_key(share).encrypt(nonce, plaintext, b"alicem vault v1")
        self._write("vault.bin", b"\x01" + nonce + sealed)

    # Enrolling

    async def enrol(self, holder: Holder, code: str, *, keep: bool = False, renewing: str | None = None) -> Enrolled:
        """A new identity, or another phone of the same. `renewing`: today's code, where a renewed document is to continue this phone's account."""
        refuse_trivial(code, holder.access_key()["birth_date"])

        async def present(session: str, challenge: str) -> str:
            return await self._renewal(str(renewing), session, challenge)

        enrolment = Enrolment(self.origin, self.http, holder, code, keep, present if renewing else None)
        try:
            enrolled = await enrolment.run()
        finally:
            holder.take_document()
        self._take(enrolled, holder.access_key())
        await self.activate(code)
        return enrolled

    def _take(self, enrolled: Enrolled, access_key: dict[str, str]) -> None:
        """Record, keys, vault and the receipt that `activate` wants take the place of what was here."""
        scalar = enrolled.device_key.private_numbers().private_value.to_bytes(32, "big")
        device_key = {"kind": "software", "public": jwk_of(enrolled.device_key), "private": b64(scalar), "secret": b64(os.urandom(32))}  # fmt: skip
        record = Record(self.origin, enrolled.account, 0, b64(enrolled.salt), device_key, enrolled.anchor)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("receipt", enrolled.receipt.encode())
        self._write("phone.json", json.dumps(dataclasses.asdict(record)).encode())
        content = {"version": 1, "credential": enrolled.credential, "access_key": access_key, "receipt": enrolled.receipt, "history": []}  # fmt: skip
        self._seal_vault(enrolled.share, content)

    async def activate(self, code: str) -> Done:
        """The first right code of this phone."""
        receipt = self.folder / "receipt"
        done = await self.instruct(code, "activate", receipt.read_text())
        receipt.unlink()
        return done

    async def _renewal(self, code: str, session: str, challenge: str) -> str:
        done = await self.instruct(code, "renew", f"renew.{session}")
        assert done.share is not None
        credential = self._vault(done.share)["credential"]
        return self._presented(credential, RENEWING, {"nonce": challenge, "aud": self.origin})

    # Instructions

    async def instruct(self, code: str, purpose: str, about: str | None, *, salt: str | None = None) -> Done:
        """What the owner's code orders. `about`: the text whose SHA-256 is `request`; None for `change`, whose text hangs on the challenge.

        Raises `Refused`, `Unanswered`.
        """
        await self.settle()
        challenge = await self._challenge()
        self._keep(sequence=self.record.sequence + 1)
        record, reply_key = self.record, fresh_key()
        pin, more = pin_key(code, unb64(salt or record.salt)), {}
        if about is None:
            about = self._next_pin(challenge)
            more = {"pin_key": about}
        payload = {"aud": self.origin, "challenge": challenge, "sequence": record.sequence, "purpose": purpose, "request": b64(sha256(about))}  # fmt: skip
        rest = {"reply_key": jwk_of(reply_key), "iat": int(self.clock()), **more}
        inner = sign(pin, {"typ": "alicem-pin+jwt"}, {**payload, **rest})
        header = {"typ": "alicem-instruction+jwt", "kid": thumbprint(record.device_key["public"])}
        pending = sign(self._device_key(), header, inner)
        self._keep(pending=pending)
        self._reply_keys = {pending: reply_key}
        return await self._send(pending)

    async def settle(self) -> Done | None:
        """Send again, unchanged, what is pending. Raises `Refused` for what an owner must hear, `Unanswered`."""
        pending = self.record.pending
        return None if pending is None else await self._send(pending)

    async def _challenge(self) -> str:
        try:
            answer = (await self.http.post(f"{self.origin}/phone/challenge", json={})).raise_for_status()
        except httpx.HTTPError:
            raise Unanswered from None
        return str(answer.json()["challenge"])

    async def _send(self, pending: str) -> Done:
        try:
            answer = await self.http.post(f"{self.origin}/phone/instruction", json={"instruction": pending})
        except httpx.TransportError:
            raise Unanswered from None
        if answer.status_code not in (200, 401, 403):
            raise Unanswered
        return self._answered(pending, answer.status_code, answer.json())

    def _answered(self, pending: str, status: int, body: dict[str, Any]) -> Done:
        record = self.record
        match _purpose(pending), status:
            case "close", 200:
                self._erase()
            case "adopt", 200:
                self._keep(pending=None, salt=record.next_salt, next_salt=None)
            case "change", 401 | 403:
                self._keep(pending=None, next_salt=None)
            case _:
                self._keep(pending=None)
        if status != 200:
            raise Refused(body, status)
        reply_key = self._reply_keys.get(pending)
        sealed = body["record" if "record" in body else "share"]
        return Done(body, None if reply_key is None else decrypt(sealed, reply_key))

    # Another code

    async def change_code(self, code: str, new: str, born: str) -> None:
        """Both phases. `born`: `YYMMDD`. Raises `Refused`, with the code of today still the one; `Unanswered`."""
        refuse_trivial(new, born)
        await self.settle()
        self._keep(next_salt=b64(os.urandom(32)))
        self._new_code = new
        await self.instruct(code, "change", None)
        await self.adopt(new)

    async def adopt(self, new: str) -> None:
        """The second phase: what a phone that finds `next_salt` does. Raises `Refused`, `Unanswered`."""
        await self.settle()
        if (next_salt := self.record.next_salt) is not None:
            await self.instruct(new, "adopt", "adopt", salt=next_salt)

    def _next_pin(self, challenge: str) -> str:
        next_pin = pin_key(self._new_code, unb64(str(self.record.next_salt)))
        header = {"typ": "alicem-new-pin+jwt", "jwk": jwk_of(next_pin)}
        return sign(next_pin, header, {"aud": self.origin, "challenge": challenge})

    # The account

    async def open(self, code: str) -> tuple[dict[str, Any], int]:
        """The vault, and how many active phones the account has."""
        done = await self.instruct(code, "open", "")
        assert done.share is not None
        return self._vault(done.share), int(done.body["phones"])

    async def known(self, code: str) -> dict[str, Any]:
        """The account's record: what the server holds of it."""
        done = await self.instruct(code, "record", "record")
        assert done.share is not None
        told: dict[str, Any] = json.loads(done.share)
        return told

    async def draw_suspension_code(self, code: str) -> str:
        """Another suspension code, which the server learns the hash of."""
        drawn = "".join(secrets.choice(CROCKFORD) for _ in range(20))
        await self.instruct(code, "suspension_code", f"alicem suspension v1{drawn}")
        return drawn

    async def close(self, code: str) -> dict[str, Any]:
        """The account is erased, and what the phone keeps; the receipt's payload. Raises `Refused`.

        A deletion whose answer was lost and that is refused as a stranger's, twice, was done: everything is erased, and there is no receipt.
        """
        anchor, asked_before = self.record.anchor, _purpose(self.record.pending) == "close"
        done = None
        if asked_before:
            with contextlib.suppress(Refused):
                done = await self.settle()
        try:
            done = done or await self.instruct(code, "close", "close")
        except Refused as refused:
            if asked_before and refused.status == 401:
                self._erase()
            raise
        return verify_chained(done.body["receipt"], "alicem-receipt+jwt", anchor, self.clock())[0]

    def _erase(self) -> None:
        for name in ("vault.bin", "receipt", "phone.json"):
            (self.folder / name).unlink(missing_ok=True)

    # Signing in

    async def look(self, link: str) -> Request:
        """The request behind a QR or a link, checked. Raises `Refused`, `Untrusted`."""
        before, _, ref = link.partition("/phone/approve#")
        if before != self.origin:
            raise Untrusted("a link of another origin")
        answer = await self.http.get(f"{self.origin}/signin/request/{ref}")
        if answer.status_code != 200:
            raise Refused(answer.json(), answer.status_code)
        payload, leaf = verify_chained(answer.text, "oauth-authz-req+jwt", self.record.anchor, self.clock())
        self._check_request(payload, leaf)
        said = json.loads(unb64(payload["transaction_data"][0]))
        shown = (said["asker"], said["level"], said["browser"], said["region"])
        return Request(answer.text, payload, *shown, ref=ref, chip=said["chip"])

    def _check_request(self, payload: dict[str, Any], leaf: bytes) -> None:
        paths = [claim["path"] for claim in payload["dcql_query"]["credentials"][0].get("claims", [])]
        rules = {
            "client_id": payload["client_id"] == "x509_hash:" + b64(hashlib.sha256(leaf).digest()),
            "aud": payload["aud"] == "https://self-issued.me/v2",
            "exp": payload["exp"] > self.clock(),
            "response_uri": payload["response_uri"].startswith(self.origin + "/"),
            "claims": all(len(path) == 1 and path[0] in KNOWN_CLAIMS for path in paths),
        }
        for name, kept in rules.items():
            if not kept:
                raise Untrusted(f"the request's {name}")

    async def approve(self, request: Request, number: str, code: str, holder: Holder | None = None) -> list[str]:
        """Code and number typed, the claims shown; their names. `holder`: whose document is read again, where it is asked.

        Raises `Refused`, `Unanswered`, `ReadingRefused`.
        """
        done = await self.instruct(code, "approve", f"{request.token}.{number}")
        assert done.share is not None
        vault, asked = self._vault(done.share), request.payload
        if request.chip:
            assert holder is not None
            session, access_key = asked["state"], vault["access_key"]
            await DocumentReading(
                self.origin, request.ref, session, self._device_key(), access_key, holder, self.clock
            ).run()
        shown = _asked_claims(vault["credential"], asked["dcql_query"]["credentials"][0])
        hashes = [b64(sha256(one)) for one in asked["transaction_data"]]
        binding = {"nonce": asked["nonce"], "aud": asked["client_id"], "transaction_data_hashes": hashes, "transaction_data_hashes_alg": "sha-256"}  # fmt: skip
        token = {"identity": [self._presented(vault["credential"], shown, binding)]}
        answer = json.dumps({"vp_token": token, "state": asked["state"]}).encode()
        [to] = asked["client_metadata"]["jwks"]["keys"]
        body, status = await self._respond(request, {"response": encrypt(answer, to)})
        self._remember(vault, done.share, request, shown, body["outcome"])
        if status != 200:
            raise Refused(body, status)
        return shown

    async def refuse(self, request: Request, *, not_mine: bool = False) -> None:
        """Say no. Raises `Refused` where it came too late."""
        form = {"error": "access_denied", "state": request.payload["state"]}
        body, status = await self._respond(request, {**form, **({"error_description": "not_mine"} if not_mine else {})})
        if status != 200:
            raise Refused(body, status)

    async def _respond(self, request: Request, form: dict[str, str]) -> tuple[dict[str, Any], int]:
        answer = await self.http.post(request.payload["response_uri"], data=form)
        return answer.json(), answer.status_code

    def _presented(self, credential: str, shown: Sequence[str], binding: dict[str, Any]) -> str:
        """An SD-JWT with the named disclosures it has, and its KB-JWT (RFC 9901 §4.3)."""
        issued, disclosures = _taken_apart(credential)
        presented = "~".join([issued, *(disclosures[name] for name in shown if name in disclosures), ""])
        claims = {**binding, "iat": int(self.clock()), "sd_hash": b64(sha256(presented))}
        return presented + sign(self._device_key(), {"typ": "kb+jwt"}, claims)

    def _remember(self, vault: dict[str, Any], share: bytes, request: Request, shown: list[str], outcome: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))
        use = {"at": at, "asker": request.asker, "level": request.level, "claims": shown, "outcome": outcome}
        self._seal_vault(share, {**vault, "history": [*vault["history"], use][-HISTORY_MAX:]})


def _purpose(pending: str | None) -> str | None:
    if pending is None:
        return None
    return str(json.loads(unverified(unverified(pending)[1].decode())[1])["purpose"])


def _taken_apart(credential: str) -> tuple[str, dict[str, str]]:
    """The issuer's JWT, and the disclosures by the name of their claim."""
    issued, *disclosures = credential.rstrip("~").split("~")
    return issued, {json.loads(unb64(one))[1]: one for one in disclosures}


def _asked_claims(credential: str, query: dict[str, Any]) -> list[str]:
    """What the query asks: all of `claims`, or the first of `claim_sets` the credential can satisfy (OpenID4VP 1.0 §6.4.1)."""
    _, disclosures = _taken_apart(credential)
    names = {claim.get("id", claim["path"][0]): claim["path"][0] for claim in query.get("claims", [])}
    for claim_set in query.get("claim_sets", [list(names)]):
        chosen = [names[one] for one in claim_set]
        if all(name in disclosures for name in chosen):
            return chosen
    raise Untrusted("the request asks what this credential does not have")
