"""Tables of a sign-in. Nothing in them names a person: claims are sealed under secrets that are not stored (sealing.py)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from alicem.provider import one_time
from alicem.store import Int64, Prepared, metadata

WAITING = "waiting"
APPROVED = "approved"
AFTERLIFE = timedelta(hours=1)
"""How long an ended sign-in is remembered, so that a late browser still goes back to the client with an error."""

signins = Table(
    "signins",
    metadata,
    Column("signin", String(22), primary_key=True, comment="128 random bits"),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time"),
    Column("client_id", String(200), nullable=False),
    Column("redirect_uri", String(2000), nullable=False),
    Column("scope", String(400), nullable=False, comment="scopes granted, separated by spaces"),
    Column("state", String(1024), comment="the client's"),
    Column("nonce", String(512), comment="the client's"),
    Column("challenge", String(43), comment="PKCE, S256"),
    Column("dpop_jkt", String(43), comment="thumbprint of the key the code is bound to"),
    Column("level", Integer, nullable=False, comment="lowest level that satisfies the client, 1 to 3"),
    Column("number", Integer, nullable=False, comment="two digits the person types on the phone"),
    Column("browser_key", LargeBinary, nullable=False, comment="public key; its private half derives from the cookie"),
    Column("request_object", Text, nullable=False, comment="signed, as the phone gets it"),
    Column("response_salt", LargeBinary, nullable=False, comment="with the key ring, gives the response key"),
    Column("outcome", String(40), nullable=False, comment="waiting, approved, or a row of reasons.toml"),
    Column("claims", Text, comment="JWE to browser_key"),
)

chip_proofs = Table(
    "chip_proofs",
    metadata,
    Column("signin", String(22), primary_key=True),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time: the sign-in's"),
    Column("proof", LargeBinary, nullable=False, comment="keyed hash of sign-in, phone and the key the chip proved"),
)

codes = Table(
    "codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time"),
    Column("sealed", LargeBinary, nullable=False, comment="claims, under a key derived from the code"),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False, index=True, comment="the code it came from: a replay revokes it"),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time"),
    Column("sealed", LargeBinary, nullable=False, comment="claims, under a key derived from the access token"),
)


@dataclass(frozen=True)
class Signin:
    """A row of `signins`."""

    signin: str
    expires_at: int
    client_id: str
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    challenge: str | None
    dpop_jkt: str | None
    level: int
    number: int
    browser_key: bytes
    request_object: str
    response_salt: bytes
    outcome: str = WAITING
    claims: str | None = None

    def alive(self, now: datetime) -> bool:
        return now.timestamp() < self.expires_at


_FIELDS = tuple(one.name for one in fields(Signin))
_COLUMNS = tuple(signins.c[name] for name in _FIELDS)

_NAME: BindParameter[str] = bindparam("name")
_AT: BindParameter[int] = bindparam("at")
_KEY: BindParameter[bytes] = bindparam("key")
_FIND = Prepared(select(*_COLUMNS).where(signins.c.signin == _NAME))
_WAITS = (signins.c.signin == _NAME, signins.c.outcome == WAITING, signins.c.expires_at > _AT)
_CONCLUDE = Prepared(update(signins).where(*_WAITS), "outcome", "claims")
_TAKE = delete(signins).where(signins.c.signin == _NAME, signins.c.browser_key == _KEY).returning(*_COLUMNS)
_TAKE_SIGNIN = Prepared(_TAKE)
_TAKE_ENDED = Prepared(_TAKE.where(or_(signins.c.outcome != WAITING, signins.c.expires_at <= _AT)))
_TAKE_CODE = Prepared(delete(codes).where(codes.c.code_hash == _KEY).returning(codes.c.sealed, codes.c.expires_at))
_TAKE_TOKEN = Prepared(
    delete(access_tokens)
    .where(access_tokens.c.token_hash == _KEY)
    .returning(access_tokens.c.sealed, access_tokens.c.expires_at)
)
_REVOKE = Prepared(delete(access_tokens).where(access_tokens.c.code_hash == _KEY))
_ADD_SIGNIN = Prepared(insert(signins), *_FIELDS)
_ADD_CODE = Prepared(insert(codes), "code_hash", "sealed", "expires_at")
_ADD_TOKEN = Prepared(insert(access_tokens), "token_hash", "code_hash", "sealed", "expires_at")


def add_signin(connection: Connection, signin: Signin) -> None:
    _ADD_SIGNIN.run(connection, **{name: getattr(signin, name) for name in _FIELDS})


def find_signin(connection: Connection, signin: str) -> Signin | None:
    return _signin(_FIND.first(connection, name=signin))


def conclude(connection: Connection, signin: str, now: datetime, outcome: str, claims: str | None = None) -> bool:
    """End a sign-in that still waits; whether it did. It can end once."""
    return _CONCLUDE.run(connection, name=signin, at=int(now.timestamp()), outcome=outcome, claims=claims) == 1


def take_signin(connection: Connection, signin: str, browser_key: bytes) -> Signin | None:
    """The row, for the browser it belongs to, once."""
    return _signin(_TAKE_SIGNIN.first(connection, name=signin, key=browser_key))


def take_ended(connection: Connection, signin: str, browser_key: bytes, now: datetime) -> Signin | None:
    """The row, for the browser it belongs to, once, when nothing is waited for any more."""
    return _signin(_TAKE_ENDED.first(connection, name=signin, key=browser_key, at=int(now.timestamp())))


def add_chip_proof(connection: Connection, signin: str, proof: bytes, expires_at: int) -> None:
    """What a chip proved for this sign-in, in the place of what one proved before."""
    connection.execute(delete(chip_proofs).where(chip_proofs.c.signin == signin))
    connection.execute(insert(chip_proofs).values(signin=signin, proof=proof, expires_at=expires_at))


def has_chip_proof(connection: Connection, signin: str) -> bool:
    """Whether a chip was proven for this sign-in."""
    return connection.execute(select(chip_proofs.c.signin).where(chip_proofs.c.signin == signin)).first() is not None


def take_chip_proof(connection: Connection, signin: str, now: datetime) -> bytes | None:
    """The proof, once, while the sign-in lives."""
    taken = connection.execute(
        delete(chip_proofs)
        .where(chip_proofs.c.signin == signin)
        .returning(chip_proofs.c.proof, chip_proofs.c.expires_at)
    ).first()
    if taken is None or taken.expires_at <= now.timestamp():
        return None
    proof: bytes = taken.proof
    return proof


def add_code(connection: Connection, code_hash: bytes, sealed: bytes, expires_at: int) -> None:
    _ADD_CODE.run(connection, code_hash=code_hash, sealed=sealed, expires_at=expires_at)


def take_code(connection: Connection, code_hash: bytes, now: datetime) -> bytes | None:
    """What the code seals, once, while it lives."""
    return _living(_TAKE_CODE.first(connection, key=code_hash), now)


def add_token(connection: Connection, token_hash: bytes, code_hash: bytes, sealed: bytes, expires_at: int) -> None:
    _ADD_TOKEN.run(connection, token_hash=token_hash, code_hash=code_hash, sealed=sealed, expires_at=expires_at)


def take_token(connection: Connection, token_hash: bytes, now: datetime) -> bytes | None:
    """What the access token seals, once, while it lives."""
    return _living(_TAKE_TOKEN.first(connection, key=token_hash), now)


def revoke(connection: Connection, code_hash: bytes) -> bool:
    """Take back what a code gave (RFC 6749 §4.1.2); whether there was something."""
    return _REVOKE.run(connection, key=code_hash) > 0


def expire(connection: Connection, now: datetime) -> None:
    """Erase what is over: proofs of chips, codes, tokens, claims nobody fetched, and sign-ins after their afterlife. For a job, every minute."""
    at = int(now.timestamp())
    connection.execute(delete(chip_proofs).where(chip_proofs.c.expires_at <= at))
    one_time.expire(connection, now)
    connection.execute(delete(codes).where(codes.c.expires_at <= at))
    connection.execute(delete(access_tokens).where(access_tokens.c.expires_at <= at))
    connection.execute(delete(signins).where(signins.c.expires_at <= at - int(AFTERLIFE.total_seconds())))
    connection.execute(
        update(signins).where(signins.c.expires_at <= at, signins.c.claims.is_not(None)).values(claims=None)
    )


def _signin(row: Any) -> Signin | None:
    return None if row is None else Signin(*row)


def _living(row: Any, now: datetime) -> bytes | None:
    if row is None or row.expires_at <= now.timestamp():
        return None
    sealed: bytes = row.sealed
    return sealed
