"""Seal journal rows in segments, each over a Merkle root and the previous seal, and verify the whole chain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from alicem import jose
from alicem.jose import BadToken
from alicem.journal import records
from alicem.keys import SigningKey

_TYP = "alicem-journal+jws"
_MOST = 10_000  # rows a segment: bounds what one seal holds in memory


class JournalBroken(Exception):
    """The journal was altered, cut or reordered; the message says at which segment or row."""


def seal(connection: Connection, key: SigningKey, now: datetime) -> int:
    """Seal what was not sealed yet; how many rows that were."""
    records.settle(connection)
    last = records.last_segment(connection)
    rows = records.unsealed(connection, last.last if last else 0, _MOST)
    if not rows:
        return 0
    number = last.number + 1 if last else 1
    previous = hashlib.sha256(last.seal.encode()).digest() if last else bytes(32)
    root = merkle_root([records.leaf(row) for row in rows])
    at = int(now.timestamp())
    payload = _payload(number, rows[0].number, rows[-1].number, at, root, previous)
    token = jose.sign(key.private, _TYP, payload.decode(), kid=key.kid)
    records.add_segment(
        connection,
        number=number,
        first=rows[0].number,
        last=rows[-1].number,
        at=at,
        root=root,
        previous=previous,
        seal=token,
    )
    return len(rows)


def verify(connection: Connection, keys: Sequence[SigningKey]) -> int:
    """Check every segment against its rows and its predecessor; how many rows are sealed. Raises `JournalBroken`."""
    by_kid = {key.kid: key.private.public_key() for key in keys}
    previous, row_before = bytes(32), 0
    for expected, segment in enumerate(records.all_segments(connection), 1):
        if segment.number != expected or segment.first != row_before + 1 or segment.previous != previous:
            raise JournalBroken(f"segment {segment.number} does not follow the one before")
        rows = records.rows_of(connection, segment.first, segment.last)
        if len(rows) != segment.last - segment.first + 1:
            raise JournalBroken(f"segment {segment.number} lacks rows")
        _check_contents(rows)
        if merkle_root([records.leaf(row) for row in rows]) != segment.root:
            raise JournalBroken(f"segment {segment.number}: a row was changed")
        payload = _payload(segment.number, segment.first, segment.last, segment.at, segment.root, previous)
        _check_seal(segment.seal, payload, by_kid, segment.number)
        previous, row_before = hashlib.sha256(segment.seal.encode()).digest(), segment.last
    return row_before


def _check_contents(rows: Sequence[object]) -> None:
    for row in rows:
        content, salt = row.content, row.salt  # type: ignore[attr-defined]
        if content is not None and hashlib.sha256(salt + content).digest() != row.digest:  # type: ignore[attr-defined]
            raise JournalBroken(f"row {row.number}: its content was changed")  # type: ignore[attr-defined]


def _check_seal(token: str, payload: bytes, keys: dict[str, EllipticCurvePublicKey], number: int) -> None:
    try:
        found = jose.unpack(token, _TYP)
        jose.check(found, keys[str(found.header.get("kid"))])
    except (BadToken, KeyError) as error:
        raise JournalBroken(f"segment {number}: its seal is not ours") from error
    if found.payload != payload:
        raise JournalBroken(f"segment {number}: its seal is of other rows")


def _payload(number: int, first: int, last: int, at: int, root: bytes, previous: bytes) -> bytes:
    return f"{number} {first} {last} {at} {root.hex()} {previous.hex()}".encode()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1 over SHA-256."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:half]) + merkle_root(leaves[half:])).digest()
