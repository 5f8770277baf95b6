"""Tables of a sign-in: under way, codes and tokens waiting to be used once, browsers recognised for minutes. What outlives them is in `kept`.

Claims are sealed (see `sealing`); secrets are found by their SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from alicem.store import Int64

metadata = MetaData()

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", String(43), primary_key=True),
    Column("browser", String(64), nullable=False, comment="SHA-256 of the cookie"),
    Column("expires", Int64, nullable=False, index=True),
    Column("request", Text, nullable=False, comment="what the service asked, JSON"),
    Column("provider", String(40)),
    Column(
        "state", String(64), unique=True, comment="SHA-256 of the state the provider was given; null once it came back"
    ),
    Column("nonce", String(64)),
    Column(
        "identity", LargeBinary, comment="sealed to the cookie, from the provider's answer to the person's decision"
    ),
    Column("failure", String(40), comment="why the last try failed"),
)

codes = Table(
    "codes",
    metadata,
    Column("code", String(64), primary_key=True, comment="SHA-256"),
    Column("expires", Int64, nullable=False, index=True),
    Column("client", String(80), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("challenge", String(43), comment="PKCE S256"),
    Column("answer", LargeBinary, nullable=False, comment="sealed to the code"),
)

redeemed = Table(
    "redeemed",
    metadata,
    Column("code", String(64), primary_key=True, comment="SHA-256"),
    Column("expires", Int64, nullable=False, index=True),
    Column(
        "token", String(64), nullable=False, comment="SHA-256 of the token it gave: revoked if the code comes again"
    ),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token", String(64), primary_key=True, comment="SHA-256"),
    Column("expires", Int64, nullable=False, index=True),
    Column("client", String(80), nullable=False),
    Column("answer", LargeBinary, nullable=False, comment="sealed to the token"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("cookie", String(64), primary_key=True, comment="SHA-256"),
    Column("expires", Int64, nullable=False, index=True),
    Column("provider", String(40), nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="who was recognised, sealed to the cookie"),
)

assertions = Table(
    "assertions",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of service and jti"),
    Column("expires", Int64, nullable=False, index=True),
)

sign_outs = Table(
    "sign_outs",
    metadata,
    Column("state", String(64), primary_key=True, comment="SHA-256 of the state the provider was given"),
    Column("expires", Int64, nullable=False, index=True),
    Column("back", Text, nullable=False, comment="the service's address the browser returns to"),
)


@dataclass(frozen=True)
class SignIn:
    id: str
    request: str
    provider: str | None
    nonce: str | None
    identity: bytes | None
    failure: str | None


@dataclass(frozen=True)
class Code:
    client: str
    redirect_uri: str
    challenge: str | None
    answer: bytes


@dataclass(frozen=True)
class Token:
    client: str
    answer: bytes


def begin(connection: Connection, *, id: str, browser: str, expires: int, request: str) -> None:
    """A new sign-in."""
    connection.execute(insert(sign_ins).values(id=id, browser=browser, expires=expires, request=request))


def find(connection: Connection, now: int, id: str, browser: str) -> SignIn | None:
    """The sign-in of this browser."""
    return _sign_in(connection.execute(select(sign_ins).where(*_mine(now, id, browser))).first())


def send_out(connection: Connection, id: str, provider: str, state: str, nonce: str) -> None:
    """The person goes to a provider."""
    values = {"provider": provider, "state": state, "nonce": nonce, "failure": None, "identity": None}
    connection.execute(update(sign_ins).where(sign_ins.c.id == id).values(**values))


def come_back(connection: Connection, now: int, state: str, browser: str) -> SignIn | None:
    """The sign-in whose person comes back from the provider: once."""
    mine = (sign_ins.c.state == state, sign_ins.c.browser == browser, sign_ins.c.expires > now)
    query = update(sign_ins).where(*mine).values(state=None).returning(*sign_ins.c)
    return _sign_in(connection.execute(query).first())


def hold(connection: Connection, id: str, provider: str, identity: bytes) -> None:
    """The identity that a provider stated, until the person decides."""
    values = {"provider": provider, "identity": identity, "failure": None}
    connection.execute(update(sign_ins).where(sign_ins.c.id == id).values(**values))


def fail(connection: Connection, id: str, provider: str, failure: str) -> None:
    """This try failed; the sign-in lives on, another provider may be chosen."""
    values = {"provider": provider, "failure": failure, "identity": None, "state": None}
    connection.execute(update(sign_ins).where(sign_ins.c.id == id).values(**values))


def take(connection: Connection, now: int, id: str, browser: str) -> SignIn | None:
    """The sign-in ends here: one winner."""
    return _sign_in(connection.execute(delete(sign_ins).where(*_mine(now, id, browser)).returning(*sign_ins.c)).first())


def add_code(connection: Connection, code: str, expires: int, row: Code) -> None:
    connection.execute(insert(codes).values(code=code, expires=expires, **row.__dict__))


def take_code(connection: Connection, now: int, code: str) -> Code | None:
    """The code, once; where it comes again, the token it gave is revoked (RFC 6749 §4.1.2)."""
    row = connection.execute(delete(codes).where(codes.c.code == code).returning(*codes.c)).first()
    if row is None:
        spent = connection.execute(delete(redeemed).where(redeemed.c.code == code).returning(redeemed.c.token)).first()
        if spent is not None:
            connection.execute(delete(tokens).where(tokens.c.token == spent.token))
        return None
    if row.expires <= now:
        return None
    return Code(row.client, row.redirect_uri, row.challenge, row.answer)


def add_token(connection: Connection, code: str, token: str, expires: int, row: Token) -> None:
    """A token, and the code it was given for; in the transaction that took the code."""
    connection.execute(insert(tokens).values(token=token, expires=expires, **row.__dict__))
    connection.execute(insert(redeemed).values(code=code, expires=expires, token=token))


def take_token(connection: Connection, now: int, token: str) -> Token | None:
    row = connection.execute(delete(tokens).where(tokens.c.token == token).returning(*tokens.c)).first()
    return Token(row.client, row.answer) if row is not None and row.expires > now else None


def remember(connection: Connection, cookie: str, expires: int, provider: str, sealed: bytes) -> None:
    """Recognise a browser until then, as nobody else."""
    forget(connection, cookie)
    connection.execute(insert(sessions).values(cookie=cookie, expires=expires, provider=provider, sealed=sealed))


def recall(connection: Connection, now: int, cookie: str) -> tuple[str, bytes] | None:
    """Through which provider a browser was recognised, and as whom."""
    found = select(sessions).where(sessions.c.cookie == cookie, sessions.c.expires > now)
    row = connection.execute(found).first()
    return None if row is None else (row.provider, row.sealed)


def forget(connection: Connection, cookie: str) -> tuple[str, bytes] | None:
    """Recognise it no more; what was kept, however old."""
    row = connection.execute(delete(sessions).where(sessions.c.cookie == cookie).returning(*sessions.c)).first()
    return None if row is None else (row.provider, row.sealed)


def spend_assertion(connection: Connection, digest: str, expires: int) -> bool:
    """Whether it comes for the first time (RFC 7523 §3)."""
    known = connection.execute(select(assertions.c.digest).where(assertions.c.digest == digest)).first()
    if known is None:
        connection.execute(insert(assertions).values(digest=digest, expires=expires))
    return known is None


def begin_sign_out(connection: Connection, state: str, expires: int, back: str) -> None:
    connection.execute(insert(sign_outs).values(state=state, expires=expires, back=back))


def end_sign_out(connection: Connection, now: int, state: str) -> str | None:
    """Where a browser goes that comes back from a provider's sign-out: once."""
    gone = delete(sign_outs).where(sign_outs.c.state == state).returning(sign_outs.c.back, sign_outs.c.expires)
    row = connection.execute(gone).first()
    return None if row is None or row.expires <= now else str(row.back)


def expire(connection: Connection, now: int) -> None:
    """Erase what is over. For a job, each minute."""
    for table in (sign_ins, codes, redeemed, tokens, sessions, assertions, sign_outs):
        connection.execute(delete(table).where(table.c.expires <= now))


def _mine(now: int, id: str, browser: str) -> tuple[Any, ...]:
    return sign_ins.c.id == id, sign_ins.c.browser == browser, sign_ins.c.expires > now


def _sign_in(row: Any | None) -> SignIn | None:
    if row is None:
        return None
    return SignIn(row.id, row.request, row.provider, row.nonce, row.identity, row.failure)
