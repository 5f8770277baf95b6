"""Gathering a trust store out of files, with a record of where each certificate came from and what became of it.

A master list is believed under a root alone; certificates that stand by themselves are believed because the
operator gives them; a directory (LDIF) is believed in nothing, and its signers and lists count under what is
trusted by another way. A later list of the same State takes the place of the earlier one, so that what a
State withdrew does not stay; an earlier one never does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from emrtd.errors import (
    AuthorityExpired,
    Malformed,
    MalformedTrustFile,
    NotGenuine,
    NotSignedByTrustedAuthority,
    SignerExpired,
)
from emrtd.pki.certificate import load_certificate
from emrtd.pki.entry import RANK, Entry, Revocations, Voucher
from emrtd.pki.master_list import MasterList, parse_master_list, verify_master_list
from emrtd.pki.revocation import load_revocation_list
from emrtd.pki.sources import Source, read_source
from emrtd.pki.trust import TrustStore
from emrtd.pki.verdict import Verdict, judge

Progress = Callable[[int, int], None]
"""Called with how many certificates are done and how many there are."""
UNVERIFIED = (NotSignedByTrustedAuthority, SignerExpired, AuthorityExpired)
"""What a list taken unverified is forgiven; a signature that is wrong is not among it."""
VOUCHERS: dict[str, Voucher] = {
    "by hand": "hand",
    "master list": "list",
    "unverified master list": "unverified",
    "directory": "nobody",
}


@dataclass(frozen=True)
class Origin:
    """One thing that was imported: ``kind`` is one of `VOUCHERS`, ``root`` the country whose root answers for a
    list. ``certificates`` counts what it holds, ``duplicates`` those of it that were there already."""

    name: str
    kind: Literal["by hand", "master list", "unverified master list", "directory"]
    sha256: str
    imported_at: datetime
    signed_at: datetime | None = None
    signer: str = ""
    root: str = ""
    certificates: int = 0
    duplicates: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A certificate of the collection; ``origins`` are indexes into those of the collection."""

    entry: Entry
    verdict: Verdict
    origins: tuple[int, ...]


@dataclass(frozen=True)
class LeftOut:
    """What was not taken: "certificate", "revocation list", "master list" or "file"; from where, and why."""

    what: str
    origin: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """Everything imported so far."""

    held: tuple[Held, ...] = field(default=(), repr=False)
    revocations: tuple[Revocations, ...] = ()
    origins: tuple[Origin, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def store(self) -> TrustStore:
        """The trust store of it: what a verdict found of no use is left away."""
        usable = tuple(held.entry for held in self.held if held.verdict.standing != "unusable")
        return TrustStore(usable, self.revocations, tuple(f"{one.what}: {one.reason}" for one in self.left_out))


@dataclass(frozen=True)
class _Part:
    """An origin with its certificates, as they came."""

    origin: Origin
    certificates: tuple[bytes, ...]


def collect(
    files: Iterable[tuple[str, bytes]],
    *,
    roots: Iterable[bytes],
    at: datetime,
    unverified: bool = False,
    onto: Collection | None = None,
    progress: Progress = lambda done, total: None,
) -> Collection:
    """What `files` (name, content) hold, added to `onto`.

    `roots` are the certificates (DER) under which master lists are believed; with `unverified`, a list that
    none of them answers for is taken as well, and marked so for good. Nothing is raised for a bad file: it is
    told in ``left_out``.
    """
    before = onto or Collection()
    reading = _Reading(tuple(roots), at, unverified, before)
    for name, content in files:
        reading.add(name, content)
    parts = [part for part in _parts(before) if not _is_replaced(part.origin, reading.parts)]
    kept = {part.origin.name for part in parts} - {part.origin.name for part in reading.parts}
    left_out = [one for one in before.left_out if one.origin in kept] + reading.left_out
    held, origins = _judged([*parts, *reading.parts], left_out, progress)
    lists = [*(("", list_.der) for list_ in before.revocations), *reading.lists]
    revocations = _verified(lists, Collection(held).store(), left_out)
    return Collection(held, revocations, origins, tuple(left_out))


@dataclass
class _Reading:
    """One run over files, and what it found so far."""

    roots: tuple[bytes, ...]
    at: datetime
    unverified: bool
    before: Collection
    parts: list[_Part] = field(default_factory=list)
    lists: list[tuple[str, bytes]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        try:
            source = read_source(content)
        except Malformed as error:
            self.left_out.append(_left_out("file", name, content, error))
            return
        if source.certificates or source.revocation_lists:
            self.parts.append(_Part(self._origin(name, content, source), source.certificates))
        self.lists += [(name, der) for der in source.revocation_lists]
        for data in source.master_lists:
            try:
                found = parse_master_list(data)
                self.parts.append(_Part(self._origin_of_list(name, data, found), found.certificates))
            except (Malformed, NotGenuine) as error:
                self.left_out.append(_left_out("master list", name, data, error))

    def _origin(self, name: str, content: bytes, source: Source) -> Origin:
        warnings = ("values_not_readable",) if source.unreadable else ()
        kind: Literal["directory", "by hand"] = "directory" if source.from_directory else "by hand"
        return Origin(name, kind, _digest(content), self.at, warnings=warnings)

    def _origin_of_list(self, name: str, data: bytes, found: MasterList) -> Origin:
        """Raises NotGenuine and its kind, MalformedTrustFile for a list older than that of the same State."""
        try:
            signer = verify_master_list(found, self.roots, at=self.at)
        except UNVERIFIED:
            if not self.unverified:
                raise
            return Origin(name, "unverified master list", _digest(data), self.at, warnings=("signature_not_verified",))
        self._refuse_older(signer.root.country, signer.signed_at)
        return Origin(
            name=name,
            kind="master list",
            sha256=_digest(data),
            imported_at=self.at,
            signed_at=signer.signed_at,
            signer=signer.certificate.subject,
            root=signer.root.country,
            warnings=signer.warnings,
        )

    def _refuse_older(self, root: str, signed_at: datetime | None) -> None:
        """Without a signing time, a list can only be the first of its State."""
        for origin in self.before.origins:
            if origin.kind != "master list" or origin.root != root or origin.signed_at is None:
                continue
            if signed_at is None or signed_at < origin.signed_at:
                raise MalformedTrustFile(f"older than the list of {origin.signed_at:%Y-%m-%d} already imported")


def _parts(before: Collection) -> Iterator[_Part]:
    """A collection taken apart again."""
    for number, origin in enumerate(before.origins):
        yield _Part(origin, tuple(held.entry.der for held in before.held if number in held.origins))


def _is_replaced(origin: Origin, new: list[_Part]) -> bool:
    """Was the same thing imported again, or a later list of the same State?"""
    same_state = origin.kind == "master list" and any(
        part.origin.kind == "master list" and part.origin.root == origin.root for part in new
    )
    return same_state or any(part.origin.sha256 == origin.sha256 for part in new)


def _judged(
    parts: list[_Part], left_out: list[LeftOut], progress: Progress
) -> tuple[tuple[Held, ...], tuple[Origin, ...]]:
    """Every certificate once, under the best that vouches for it, with its verdict; and the origins counted."""
    entries: dict[bytes, Entry] = {}
    sources: dict[bytes, list[int]] = {}
    origins = []
    for number, part in enumerate(parts):
        found = list(_entries(part, left_out))
        origins.append(replace(part.origin, certificates=len(found), duplicates=sum(e.der in entries for e in found)))
        for entry in found:
            entries[entry.der] = min(entries.get(entry.der, entry), entry, key=lambda entry: RANK[entry.voucher])
            sources.setdefault(entry.der, []).append(number)
    store = TrustStore(tuple(entries.values()))
    held = []
    for entry in store.entries:
        held.append(Held(entry, judge(entry, store), tuple(dict.fromkeys(sources[entry.der]))))
        progress(len(held), len(store.entries))
    return tuple(held), tuple(origins)


def _entries(part: _Part, left_out: list[LeftOut]) -> Iterator[Entry]:
    for der in part.certificates:
        try:
            yield Entry.of(load_certificate(der), VOUCHERS[part.origin.kind])
        except Malformed as error:
            left_out.append(_left_out("certificate", part.origin.name, der, error))


def _verified(lists: list[tuple[str, bytes]], store: TrustStore, left_out: list[LeftOut]) -> tuple[Revocations, ...]:
    """Of the revocation lists an authority signed, the newest under each name and key."""
    newest: dict[tuple[str, bytes | None], Revocations] = {}
    for name, der in lists:
        try:
            held = store.verified_list(load_revocation_list(der))
        except (Malformed, NotGenuine) as error:
            left_out.append(_left_out("revocation list", name, der, error))
            continue
        key = (held.list.issuer, held.list.issuer_key_id)
        if key not in newest or newest[key].list.this_update < held.list.this_update:
            newest[key] = held
    return tuple(newest.values())


def _left_out(what: str, name: str, content: bytes, error: Exception) -> LeftOut:
    return LeftOut(what, name, _digest(content), str(error))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
