"""`/signin/chip/REF`: the document of who signs in is read again, by the rules of docs/protocols/approval.md."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import structlog
from sqlalchemy import Connection
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from alicem import jose
from alicem.accounts import ApprovingPhone, keep_approval
from alicem.enrolment.pool import Pool
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.provider import answers, chip_proof, records, references
from alicem.provider.chip_session import Ends, Line, Message, Owner, ProtocolError, Reading
from alicem.provider.records import WAITING, Signin
from alicem.provider.room import Provider
from alicem.reasons import Refused
from alicem.web.limits import whose

SUBPROTOCOL = "alicem.chip.v1"
PROOF_TYPE = "alicem-chip+jwt"
GREETING_SECONDS = 30.0
MOST_READINGS = 8
"""Processes that one sign-in may be given, here: a phone that breaks off does not begin for ever."""
_log = structlog.get_logger("alicem")


class Readings:
    """The documents being read in this worker, by sign-in."""

    def __init__(self, provider: Provider, pool: Pool) -> None:
        self._provider, self._pool = provider, pool
        self._now: dict[str, Reading] = {}
        self._begun: Counter[str] = Counter()

    async def serve(self, socket: WebSocket, signin: Signin) -> None:
        """Carry one connection until it ends."""
        line = Line(socket)
        sending = asyncio.create_task(line.send_all())
        reading: Reading | None = None
        try:
            reading = await self._greeted(line, signin)
            while reading is not None and (message := await line.receive()).get("type") != "cancel":
                reading.hear(message)
            line.close(1000)
            await self._end_reading(reading)
        except ProtocolError as error:
            line.close(error.close_code)
            await self._end_reading(reading)
        except (WebSocketDisconnect, TimeoutError):
            sending.cancel()
        finally:
            if reading is not None:
                reading.detach(line)
            await asyncio.gather(sending, return_exceptions=True)

    async def _end_reading(self, reading: Reading | None) -> None:
        """Its place is the next one's at once."""
        if reading is not None:
            await reading.end()

    async def _greeted(self, line: Line, signin: Signin) -> Reading | None:
        """The reading this phone may go on with; None where there is none, and the phone was told. Raises `ProtocolError`."""
        challenge = jose.b64(self._provider.rng(32))
        line.send("step", step=4, name="proof", challenge=challenge)
        owner = read_proof(
            await asyncio.wait_for(line.receive(), GREETING_SECONDS), self._provider, signin.signin, challenge
        )
        try:
            proven = await self._provider.store.write(lambda c: self._allowed(c, signin, owner))
        except Refused as refused:
            await self._end(signin.signin, refused.reason.name)
            line.send(
                "refused", reason=refused.reason.name, next=list(refused.reason.next), tries_left=None, final=True
            )
            line.close(4403)
            return None
        if proven:  # told again to a phone that lost the line before it heard
            line.send("proven")
            line.close(1000)
            return None
        reading = await self._reading(signin, owner)
        reading.attach(line)
        return reading

    def _allowed(self, connection: Connection, signin: Signin, owner: Owner) -> bool:
        """Whether a chip was proven already. Raises `Refused` where this sign-in cannot go on, `ProtocolError` for another phone."""
        now = self._provider.clock()
        phone = keep_approval(connection, answers.approval_digest(signin), now, signin.expires_at)
        if phone is None:
            raise Refused("number_wrong")
        if phone.thumbprint != owner.thumbprint:
            raise ProtocolError(4401)
        self._require_level(phone)
        return records.has_chip_proof(connection, signin.signin)

    def _require_level(self, phone: ApprovingPhone) -> None:
        """What would be refused in the end is refused before a document is asked for."""
        answers.require_active(phone)
        if answers.level_of(self._provider, phone) < Level.HIGH:
            raise Refused("level_not_reachable")

    async def _reading(self, signin: Signin, owner: Owner) -> Reading:
        """The one under way for this phone, or a new one in its place. Raises `ProtocolError`."""
        name, found = signin.signin, self._now.get(signin.signin)
        if found is not None and not found.over and found.owner == owner:
            return found
        if found is not None:
            await found.end()
        if self._begun[name] >= MOST_READINGS:
            raise ProtocolError(1009)
        self._begun[name] += 1
        seconds = signin.expires_at - self._provider.clock().timestamp()
        asyncio.get_running_loop().call_later(seconds, self._forget, name)
        ends = Ends(lambda key: self._prove(signin, owner, key), lambda reason: self._end(name, reason))
        self._now[name] = Reading(owner, self._pool, ends, seconds)
        return self._now[name]

    def _forget(self, name: str) -> None:
        self._now.pop(name, None)
        self._begun.pop(name, None)

    async def _prove(self, signin: Signin, owner: Owner, chip_key: str) -> str | None:
        provider, now = self._provider, self._provider.clock()
        secret = provider.transaction_secret(now)
        proof = chip_proof.proof_of(secret, signin.signin, owner.thumbprint, chip_key)

        def write(connection: Connection) -> str | None:
            found = records.find_signin(connection, signin.signin)
            if found is None or found.outcome != WAITING or not found.alive(now):
                return "signin_expired"
            records.add_chip_proof(connection, signin.signin, proof, signin.expires_at)
            return None

        return await provider.store.write(write)

    async def _end(self, signin: str, reason: str) -> None:
        """The browser goes back to its client."""
        provider, now = self._provider, self._provider.clock()
        await provider.store.write(lambda c: answers.end_refused(c, provider, signin, reason, now))
        provider.waiting.wake(signin)
        _log.debug("sign-in", outcome=reason)


def read_proof(message: Message, provider: Provider, signin: str, challenge: str) -> Owner:
    """The device key's statement over this connection (approval.md, *eidas3*). Raises `ProtocolError` 4401."""
    try:
        proof = jose.unpack(message["proof"], PROOF_TYPE)
        key = jose.public_key(proof.header.get("jwk"))
        jose.check(proof, key)
        payload: dict[str, Any] = proof.json()
        seal_key = jose.public_jwk(jose.public_key(payload["seal_key"]))
        session = payload["session"]
        known = references.signin_of(provider.transaction_secrets, session) == signin
    except (BadToken, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(4401) from error
    said = (payload.get("aud"), payload.get("challenge"), message.get("type"))
    if not known or said != (provider.issuer, challenge, "proof"):
        raise ProtocolError(4401)
    return Owner(session, jose.thumbprint(key), seal_key)


def routes(provider: Provider) -> list[BaseRoute]:
    """None where no document is read at sign-ins."""
    if provider.chips is None:
        return []
    readings = Readings(provider, provider.chips)

    async def connect(socket: WebSocket) -> None:
        signin = await _asked(provider, socket)
        if signin is None:
            await socket.close()  # before accept: HTTP 403
            return
        await socket.accept(subprotocol=SUBPROTOCOL)
        with contextlib.suppress(WebSocketDisconnect):
            await readings.serve(socket, signin)

    return [WebSocketRoute("/signin/chip/{reference}", connect)]


async def _asked(provider: Provider, socket: WebSocket) -> Signin | None:
    """The sign-in that waits for a document, of a page of ours (RFC 6455 §10.2) or of no page."""
    ours = socket.headers.get("origin") in (None, provider.issuer)
    if (
        not ours
        or SUBPROTOCOL not in socket.scope.get("subprotocols", ())
        or not await provider.phone_limit.admits(whose(socket))
    ):
        return None
    name = references.named(provider.transaction_secrets, socket.path_params["reference"])
    signin = await provider.store.look_up(lambda c: records.find_signin(c, name)) if name else None
    if signin is None or signin.level < Level.HIGH or signin.outcome != WAITING or not signin.alive(provider.clock()):
        return None
    return signin
