"""Tables of what clients send once: pushed requests (RFC 9126), and the identifiers of proofs that were used (RFC 7523 §3, RFC 9449 §11.1)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import BindParameter, Column, Connection, LargeBinary, String, Table, bindparam, delete, insert

from alicem.store import Int64, Prepared, insert_new, metadata

pushed_requests = Table(
    "pushed_requests",
    metadata,
    Column("request_hash", LargeBinary, primary_key=True),
    Column("client_id", String(200), nullable=False),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time"),
    Column("sealed", LargeBinary, nullable=False, comment="the parameters, under a key derived from the request_uri"),
)

spent_proofs = Table(
    "spent_proofs",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the prover and the proof's jti"),
    Column("expires_at", Int64, nullable=False, index=True, comment="Unix time: the proof's own end"),
)

_KEY: BindParameter[bytes] = bindparam("key")
_CLIENT: BindParameter[str] = bindparam("client")
_PUSH = Prepared(insert(pushed_requests), "request_hash", "client_id", "expires_at", "sealed")
_TAKE = Prepared(
    delete(pushed_requests)
    .where(pushed_requests.c.request_hash == _KEY, pushed_requests.c.client_id == _CLIENT)
    .returning(pushed_requests.c.sealed, pushed_requests.c.expires_at)
)
_SPEND = Prepared(insert_new(spent_proofs), "digest", "expires_at")


def push(connection: Connection, request_hash: bytes, client_id: str, sealed: bytes, expires_at: int) -> None:
    _PUSH.run(connection, request_hash=request_hash, client_id=client_id, sealed=sealed, expires_at=expires_at)


def take_pushed(connection: Connection, request_hash: bytes, client_id: str, now: datetime) -> bytes | None:
    """What the client pushed, once, while it lives; another client takes nothing away."""
    row = _TAKE.first(connection, key=request_hash, client=client_id)
    if row is None or row.expires_at <= now.timestamp():
        return None
    sealed: bytes = row.sealed
    return sealed


def spend(connection: Connection, prover: str, jti: str, expires_at: int) -> bool:
    """Whether this is the first time, at whatever worker."""
    digest = hashlib.sha256(f"{prover}\0{jti}".encode()).digest()
    return _SPEND.run(connection, digest=digest, expires_at=expires_at) == 1


def expire(connection: Connection, now: datetime) -> None:
    at = int(now.timestamp())
    connection.execute(delete(pushed_requests).where(pushed_requests.c.expires_at <= at))
    connection.execute(delete(spent_proofs).where(spent_proofs.c.expires_at <= at))
