"""What a phone answers to a request object: an encrypted presentation, or a refusal (OpenID4VP 1.0 §8.3, docs/protocols/approval.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from alicem import jose, journal
from alicem.accounts import ApprovingPhone, take_approval
from alicem.credential import CredentialRefused, Expected, Presentation, Status, current_status, verify_presentation
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.provider import chip_proof, records, references, request_objects
from alicem.provider.claims import QUERY, ClaimMalformed, claims_of, emit
from alicem.provider.clients import Client
from alicem.provider.parameters import Given
from alicem.provider.records import WAITING, Signin
from alicem.provider.room import Provider
from alicem.provider.sealing import pack, public_from, response_key
from alicem.provider.tokens import amr, subject
from alicem.reasons import Refused

DONE = "done"
Shown = tuple[Presentation, Mapping[str, str]] | str
"""A presentation and its claims, or the row of reasons.toml it was refused for."""


async def receive(provider: Provider, given: Given) -> str:
    """`done`, or the row of reasons.toml the phone is told. Whatever ends the sign-in wakes its browser."""
    now = provider.clock()
    if "error" in given:
        return await _refusal(provider, given, now)
    try:
        signin, presented = await _open(provider, given.get("response") or "", now)
    except BadToken:
        return "wire_malformed"
    if signin is None:
        return "signin_expired"
    shown = _verify(provider, signin, presented, now)
    outcome = await provider.store.write(lambda connection: _conclude(connection, provider, signin, shown, now))
    provider.waiting.wake(signin.signin)
    return outcome


async def _refusal(provider: Provider, given: Given, now: datetime) -> str:
    signin = references.signin_of(provider.transaction_secrets, given.get("state") or "")
    if signin is None:
        return "signin_expired"
    reason = refusal_of(given)
    ended = await provider.store.write(lambda connection: end_refused(connection, provider, signin, reason, now))
    provider.waiting.wake(signin)
    return DONE if ended == reason else ended


_SAID: Mapping[str, str] = {
    "not_mine": "signin_not_mine",
    **{
        name: name
        for name in (
            "level_not_reachable",
            "account_locked",
            "account_suspended",
            "account_not_active",
            "clone_suspected",
            "too_many_approvals",
        )
    },
}
"""What a phone may say of a sign-in it ends. It can tell of itself alone: whoever fetched the request may end it in any case."""


def refusal_of(given: Given) -> str:
    """The row of reasons.toml for a person who said no, or a phone that cannot do what is asked."""
    return _SAID.get(given.get("error_description") or "", "signin_refused")


async def _open(provider: Provider, response: str, now: datetime) -> tuple[Signin | None, Any]:
    """The sign-in an encrypted answer is for, while it waits, and the `vp_token` inside. Raises `BadToken`."""
    kid = _json(jose.unb64(response.partition(".")[0])).get("kid")
    if not isinstance(kid, str):
        raise BadToken("no kid")
    signin = await provider.store.look_up(lambda connection: records.find_signin(connection, kid))
    if signin is None or signin.outcome != WAITING or not signin.alive(now):
        return None, None
    answer = _json(_decrypt(provider, signin, response))
    if references.signin_of(provider.transaction_secrets, str(answer.get("state"))) != signin.signin:
        raise BadToken("another state")
    return signin, answer.get("vp_token")


def _decrypt(provider: Provider, signin: Signin, response: str) -> bytes:
    for secret in provider.transaction_secrets[:-1]:
        try:
            return jose.decrypt(response, response_key(secret, signin.response_salt, signin.signin))
        except BadToken:
            continue  # begun before the key ring turned
    return jose.decrypt(response, response_key(provider.transaction_secrets[-1], signin.response_salt, signin.signin))


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadToken("not JSON") from error
    if not isinstance(tree, dict):
        raise BadToken("not a JSON object")
    return tree


def _verify(provider: Provider, signin: Signin, vp_token: Any, now: datetime) -> Shown:
    """The presentation with its claims in userinfo's form, or why there is none: judged later, in the protocol's order."""
    match vp_token:
        case {"identity": [str(token)]} if vp_token.keys() == {QUERY}:
            pass
        case _:
            return "credential_malformed"
    asked = request_objects.read(signin.request_object)
    claims = claims_of(signin.scope.split())
    chip = frozenset({chip_proof.CHIP_KEY} if signin.level == Level.HIGH else ())
    expected = Expected(
        nonce=asked["nonce"],
        audience=asked["client_id"],
        claims=chip | {claim.source for claim in claims},
        transaction_data=tuple(asked["transaction_data"]),
    )
    try:
        presentation = verify_presentation(token, expected, provider.ring.signing_all("issuer"), now)
        return presentation, emit(claims, presentation.claims)
    except CredentialRefused as refused:
        return refused.reason
    except ClaimMalformed:
        return "credential_claims"


@dataclass(frozen=True)
class Approved:
    """Who may sign in: account, level of this authentication, kind of the phone's key, claims as userinfo will carry them."""

    client: Client
    account: int
    level: Level
    key_kind: str
    claims: Mapping[str, str]


def judge(
    provider: Provider, signin: Signin, phone: ApprovingPhone | None, shown: Shown, proof: bytes | None
) -> Approved:
    """The rules of docs/protocols/approval.md in their order. `proof`: what a chip left. Raises `Refused` with the row of reasons.toml."""
    if phone is None:
        raise Refused("number_wrong")
    if isinstance(shown, str):
        raise Refused(shown)
    presentation, claims = shown
    if presentation.specimen and not provider.settings.trust.specimen:
        raise Refused("credential_untrusted")
    if presentation.thumbprint != phone.thumbprint:  # a credential of another phone than the one that approved
        raise Refused("key_binding_wrong")
    require_active(phone)
    level = min(presentation.level, level_of(provider, phone))
    if level < signin.level:
        raise Refused("level_not_reachable")
    if signin.level == Level.HIGH:
        _require_chip(provider, signin, phone, presentation, proof)
    client = provider.clients.get(signin.client_id)
    if client is None:  # taken off the list while the person was asked
        raise Refused("client_unknown")
    proven = Level.HIGH if signin.level == Level.HIGH else Level.SUBSTANTIAL
    return Approved(client, phone.account, min(level, proven), phone.key_kind, claims)


def require_active(phone: ApprovingPhone) -> None:
    """Raises `Refused`."""
    if phone.state != "active":
        raise Refused(NOT_ACTIVE.get(phone.state, "account_not_active"))


def level_of(provider: Provider, phone: ApprovingPhone) -> Level:
    """The most this phone can show: of its enrolment, and of what the settings give its kind of key. Raises `Refused`."""
    cap = provider.settings.keys.levels.get(phone.key_kind)
    if cap is None:  # the settings no longer admit this kind of key
        raise Refused("level_not_reachable")
    return min(phone.level, Level.from_name(cap))


def _require_chip(
    provider: Provider, signin: Signin, phone: ApprovingPhone, shown: Presentation, proof: bytes | None
) -> None:
    """A chip was read for this very sign-in and phone, and proved the key that the credential names. Raises `Refused`."""
    named = shown.claims.get(chip_proof.CHIP_KEY)
    if proof is None or not isinstance(named, str):
        raise Refused("level_not_reachable")
    if not chip_proof.proves(provider.transaction_secrets, proof, signin.signin, phone.thumbprint, named):
        raise Refused("another_document")


NOT_ACTIVE = {"suspended": "account_suspended", "locked": "account_locked"}


def approval_digest(signin: Signin) -> bytes:
    """What the phone's `approve` instruction is for: the request object and the number typed."""
    return hashlib.sha256(f"{signin.request_object}.{signin.number}".encode("ascii")).digest()


def _conclude(connection: Connection, provider: Provider, signin: Signin, shown: Shown, now: datetime) -> str:
    """One transaction: the approval is taken, the sign-in ends, the journal says so."""
    phone = take_approval(connection, approval_digest(signin), now)
    proof = records.take_chip_proof(connection, signin.signin, now) if signin.level == Level.HIGH else None
    try:
        approved = judge(provider, signin, phone, shown, proof)
        _require_in_force(connection, shown)
    except Refused as refused:
        return end_refused(connection, provider, signin.signin, refused.reason.name, now)
    sealed = _seal(provider, signin, approved, now)
    if not records.conclude(connection, signin.signin, now, records.APPROVED, sealed):
        return "signin_expired"
    journal.append(connection, now, "signed_in", provider.rng, content={"level": approved.level.acr})
    return DONE


def _require_in_force(connection: Connection, shown: Shown) -> None:
    """What the database says of this very credential now, never a published list. Raises `Refused`."""
    if not isinstance(shown, str) and current_status(connection, shown[0].status_index) is not Status.VALID:
        raise Refused("credential_revoked")


def end_refused(connection: Connection, provider: Provider, signin: str, reason: str, now: datetime) -> str:
    """The sign-in ends, if it still waits; `reason`, or `signin_expired`."""
    if not records.conclude(connection, signin, now, reason):
        return "signin_expired"
    journal.append(connection, now, "sign_in_refused", provider.rng, content={"reason": reason})
    return reason


def _seal(provider: Provider, signin: Signin, approved: Approved, now: datetime) -> str:
    """What userinfo and the id token will say, to the browser's key alone."""
    contents = {
        "sub": subject(provider.ring, approved.client.sector, approved.account),
        "acr": approved.level.acr,
        "amr": [*amr(approved.key_kind), *(["sc"] if approved.level == Level.HIGH else [])],  # RFC 8176: a smart card
        "auth_time": int(now.timestamp()),
        "claims": approved.claims,
    }
    return jose.encrypt_to(public_from(signin.browser_key), pack(contents))
