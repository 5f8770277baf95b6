"""A collection as two files: the certificates and revocation lists in DER, and an index of them.

The bundle holds the objects one after another, nothing else: any tool that reads DER reads it. The index is
JSON, an object with these members in this order:

- ``format`` "emrtd-trust", ``version`` 1;
- ``digest``: SHA-256, in hexadecimal, of the rest of the index (every byte after this member's comma) followed
  by the bundle. It guards against damage and against halves of two imports, not against whoever may write;
- ``origins``: what was imported, see `emrtd.pki.collection.Origin`;
- ``certificates``: of each its ``length`` in the bundle, who vouches for it (``voucher``), whether it
  ``issues``, what it is found by (``subject``, ``issuer``, ``serial``, ``key_id``), its verdict (``standing``,
  ``by``, ``reason``, ``warnings``) and ``origins`` by number;
- ``revocation_lists``: ``length`` and ``country``; they follow the certificates in the bundle;
- ``left_out``: what was not taken, and why.

Numbers are decimal strings where they may be large, octets hexadecimal, times ISO 8601. Signatures were
verified when the collection was made and are not verified again; a certificate is parsed when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from emrtd.errors import MalformedTrustFile
from emrtd.pki.collection import Collection, Held, LeftOut, Origin
from emrtd.pki.entry import RANK, Entry, Revocations
from emrtd.pki.trust import TrustStore
from emrtd.pki.verdict import Verdict

INDEX_MAX = 1 << 27
OPENING = re.compile(rb'\{"format":"emrtd-trust","version":(\d{1,4}),"digest":"([0-9a-f]{64})",')
VERSION = 1


def dump(collection: Collection) -> tuple[bytes, bytes]:
    """Index and bundle."""
    ders = [held.entry.der for held in collection.held] + [held.der for held in collection.revocations]
    bundle = b"".join(ders)
    rest = json.dumps(
        {
            "origins": [origin_tree(origin) for origin in collection.origins],
            "certificates": [_row(held) for held in collection.held],
            "revocation_lists": [{"length": len(held.der), "country": held.country} for held in collection.revocations],
            "left_out": [asdict(one) for one in collection.left_out],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()[1:]
    opening = f'{{"format":"emrtd-trust","version":{VERSION},"digest":"{digest_of(rest, bundle)}",'
    return opening.encode() + rest, bundle


def bundle_name(index: bytes) -> str:
    """What the bundle of an index is called: after the digest, so that no index is ever read beside another's
    bundle. Raises MalformedTrustFile."""
    opening = OPENING.match(index)
    if opening is None:
        raise MalformedTrustFile("no index of a trust store")
    return f"certificates-{opening[2][:16].decode()}.der"


def load(index: bytes, bundle: bytes) -> TrustStore:
    """The trust store of what an import wrote. Raises MalformedTrustFile."""
    return load_collection(index, bundle).store()


def load_collection(index: bytes, bundle: bytes) -> Collection:
    """The collection as it was dumped. Raises MalformedTrustFile."""
    opening = OPENING.match(index)
    if opening is None or len(index) > INDEX_MAX:
        raise MalformedTrustFile("no index of a trust store")
    if int(opening[1]) != VERSION:
        raise MalformedTrustFile(f"an index of version {int(opening[1])}; this library reads version {VERSION}")
    rest = index[opening.end() :]
    if opening[2].decode() != digest_of(rest, bundle):
        raise MalformedTrustFile("index and bundle do not belong together, or one is damaged")
    try:
        return _collection(json.loads(b"{" + rest), bundle)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MalformedTrustFile(f"an index cannot be read: {error}") from error


def _collection(tree: dict[str, Any], bundle: bytes) -> Collection:
    rows, lists = tree["certificates"], tree["revocation_lists"]
    ders = _cut(bundle, [row["length"] for row in (*rows, *lists)])
    return Collection(
        held=tuple(_held(row, next(ders)) for row in rows),
        revocations=tuple(Revocations(next(ders), row["country"]) for row in lists),
        origins=tuple(_read_origin(row) for row in tree["origins"]),
        left_out=tuple(LeftOut(**row) for row in tree["left_out"]),
    )


def _cut(bundle: bytes, lengths: list[int]) -> Iterator[bytes]:
    if sum(lengths) != len(bundle) or min(lengths, default=0) < 0:
        raise MalformedTrustFile("the index tells another length than the bundle has")
    at = 0
    for length in lengths:
        yield bundle[at : at + length]
        at += length


def _row(held: Held) -> dict[str, Any]:
    entry, verdict = held.entry, held.verdict
    return {
        "length": len(entry.der),
        "voucher": entry.voucher,
        "issues": entry.issues,
        "subject": entry.subject,
        "issuer": entry.issuer,
        "serial": str(entry.serial),
        "key_id": None if entry.key_id is None else entry.key_id.hex(),
        "standing": verdict.standing,
        "by": None if verdict.by is None else verdict.by.hex(),
        "reason": verdict.reason,
        "warnings": verdict.warnings,
        "origins": held.origins,
    }


def _held(row: dict[str, Any], der: bytes) -> Held:
    key_id, by = row["key_id"], row["by"]
    if row["voucher"] not in RANK:
        raise MalformedTrustFile(f"a voucher {row['voucher']!r} that is not known")
    entry = Entry(
        der=der,
        voucher=row["voucher"],
        issues=row["issues"],
        subject=row["subject"],
        issuer=row["issuer"],
        serial=int(row["serial"]),
        key_id=None if key_id is None else bytes.fromhex(key_id),
    )
    verdict = Verdict(
        standing=row["standing"],
        by=None if by is None else bytes.fromhex(by),
        reason=row["reason"],
        warnings=tuple(row["warnings"]),
    )
    return Held(entry, verdict, tuple(row["origins"]))


def origin_tree(origin: Origin) -> dict[str, Any]:
    """An origin as JSON writes it."""
    signed_at = origin.signed_at
    times = {
        "imported_at": origin.imported_at.isoformat(),
        "signed_at": None if signed_at is None else signed_at.isoformat(),
    }
    return asdict(origin) | times


def _read_origin(row: dict[str, Any]) -> Origin:
    signed_at = row["signed_at"]
    times = {
        "imported_at": datetime.fromisoformat(row["imported_at"]),
        "signed_at": None if signed_at is None else datetime.fromisoformat(signed_at),
    }
    return Origin(**(row | times | {"warnings": tuple(row["warnings"])}))


def digest_of(rest: bytes, bundle: bytes) -> str:
    return hashlib.sha256(rest + bundle).hexdigest()
