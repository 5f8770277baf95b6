"""What a seal covers: rows as leaves of a Merkle tree, its root in a signed segment, each segment over the one before. No database here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem import jose
from alicem.jose import BadToken
from alicem.keys import SigningKey

MOST = 10_000
"""Rows a segment: bounds what one seal, and whoever verifies it, holds in memory."""
SALT = 16
SEAL = "alicem-journal+jws"
"""`typ` of a seal."""
OF_ACCOUNTS = frozenset(
    {
        "account_enrolled",
        "account_activated",
        "account_renewed",
        "account_suspended",
        "account_locked",
        "account_reactivated",
        "clone_suspected",
        "phone_issued",
        "phones_removed",
        "code_changed",
        "suspension_code_changed",
    }
)
"""Events whose rows name an account, until it is erased. No other row ever does, so no other can lose its content."""
_LAST_TIME = 253_402_300_799  # 9999
BEFORE_ALL = bytes(32)
"""What the first segment names as the seal before it."""

PublicKeys = Mapping[str, EllipticCurvePublicKey]
"""Keys of the journal by identifier."""


class JournalBroken(Exception):
    """The journal was altered, cut, reordered or rolled back; the message says where, and so do `segment` and `row` where it is known."""

    def __init__(self, message: str, *, segment: int | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.segment, self.row = segment, row


class Row(NamedTuple):
    """A row as its store gives it, nothing proven. `account`, `salt` and `content` go together when an account is erased."""

    number: int
    at: int
    event: bytes
    account: int | None
    salt: bytes | None
    content: bytes | None
    digest: bytes


class Segment(NamedTuple):
    """A segment as its store gives it, nothing proven. `seal`: compact JWS of `payload`."""

    number: int
    first: int
    last: int
    at: int
    root: bytes
    previous: bytes
    seal: bytes


Part = tuple[Segment | None, Sequence[Row]]
"""A segment with the rows up to its last; without a segment: rows that no seal covers."""


def public_keys(keys: Iterable[SigningKey]) -> dict[str, EllipticCurvePublicKey]:
    return {key.kid: key.private.public_key() for key in keys}


def digest(salt: bytes, account: int | None, content: bytes) -> bytes:
    """SHA-256(salt ‖ account and a space, if there is one ‖ content). Content begins with a brace and the salt has 16 bytes: one reading alone."""
    return hashlib.sha256(salt + (b"" if account is None else b"%d " % account) + content).digest()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """RFC 6962 §2.1 over SHA-256. Level by level: a last node without a neighbour goes up as it is, which gives the same tree."""
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        alone = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += alone
    return level[0] if level else sha256().digest()


def root_of(rows: Iterable[Row]) -> bytes:
    """The root over rows whose digests have 32 bytes. The account is not in the leaf: erasure takes it away."""
    return merkle_root(b"%d\x00%d\x00%b\x00%b" % (row[0], row[1], row[2], row[6]) for row in rows)


def payload(number: int, first: int, last: int, at: int, root: bytes, previous: bytes) -> str:
    return f"{number} {first} {last} {at} {root.hex()} {previous.hex()}"


def sign(key: SigningKey, typ: str, body: str) -> str:
    return jose.sign(key.private, typ, body, kid=key.kid)


def signed(token: bytes, typ: str, keys: PublicKeys) -> tuple[str, bytes]:
    """Which key of the journal signed a token, and its payload. Raises `BadToken`."""
    try:
        found = jose.unpack(token.decode("ascii"), typ)
        kid = str(found.header.get("kid"))
        return kid, jose.check(found, keys[kid])
    except (UnicodeDecodeError, KeyError) as error:
        raise BadToken("not by a key of the journal") from error


def parts(segments: Iterator[Segment], rows: Iterator[Row]) -> Iterator[Part]:
    """Put each segment together with its rows, both in the order of their numbers; then what is left, `MOST` rows at a time."""
    row = next(rows, None)
    for segment in segments:
        mine: list[Row] = []
        while row is not None and _below(row, segment) and len(mine) <= MOST:
            mine.append(row)
            row = next(rows, None)
        yield segment, mine
    while row is not None:
        rest: list[Row] = []
        while row is not None and len(rest) < MOST:
            rest.append(row)
            row = next(rows, None)
        yield None, rest


def _below(row: Row, segment: Segment) -> bool:
    return type(segment.last) is int and row.number <= segment.last


def day(at: int) -> str:
    """A Unix time to be read; one out of all bounds as the nearest there is."""
    return f"{datetime.fromtimestamp(min(max(at, 0), _LAST_TIME), UTC):%Y-%m-%d %H:%M:%S} UTC"
