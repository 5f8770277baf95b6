"""A journal as a file of JSON lines, for whoever verifies it without the database: each segment, then its rows, then the rows without a seal.

The last line counts both, so that a file that was cut by accident is not taken for a whole one. What was erased is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from alicem.journal.chain import MOST, JournalBroken, Part, Row, Segment

_LONGEST = 64 * 1024  # bytes a line
_BEGIN = {"journal": 1}
_ROW = {"row", "at", "event", "account", "salt", "content", "digest"}
_SEGMENT = {"segment", "first", "last", "at", "root", "previous", "seal"}
_encode = json.JSONEncoder(separators=(",", ":")).encode


class NotAnExport(Exception):
    """The file is cut, or holds something else; the message says at which line."""


def lines(parts: Iterable[Part]) -> Iterator[str]:
    """The file, a line at a time. Raises `JournalBroken` for values that no journal holds."""
    segments = rows = 0
    yield _encode(_BEGIN) + "\n"
    for segment, its_rows in parts:
        if segment is not None:
            yield _encode(_segment_tree(segment)) + "\n"
            segments += 1
        for row in its_rows:
            yield _encode(_row_tree(row)) + "\n"
        rows += len(its_rows)
    yield _encode({"end": {"segments": segments, "rows": rows}}) + "\n"


def read(file: IO[bytes]) -> Iterator[Part]:
    """The parts of a file. Raises `NotAnExport`."""
    segment: Segment | None = None
    rows: list[Row] = []
    for one in _items(file):
        of_next = isinstance(one, Segment) or (segment is not None and one.number > segment.last)
        if of_next or len(rows) > MOST:
            if segment is not None or rows:
                yield segment, rows
            segment, rows = None, []
        if isinstance(one, Segment):
            segment = one
        else:
            rows.append(one)
    if segment is not None or rows:
        yield segment, rows


def _items(file: IO[bytes]) -> Iterator[Segment | Row]:
    counts = {"segments": 0, "rows": 0}
    for place, tree in _trees(file):
        if "end" in tree:
            if tree != {"end": counts} or file.read(1):
                raise NotAnExport(f"line {place} does not end what stands before it")
            return
        try:
            one = _segment(tree) if "segment" in tree else _row(tree)
        except (ValueError, TypeError, KeyError) as error:
            raise NotAnExport(f"line {place} is neither a segment nor a row") from error
        counts["segments" if isinstance(one, Segment) else "rows"] += 1
        yield one
    raise NotAnExport("the file was cut: its last line is missing")


def _trees(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    place = 0
    while line := file.readline(_LONGEST):
        place += 1
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise NotAnExport(f"line {place} is cut, or no JSON") from error
        if not isinstance(tree, dict) or (place == 1 and tree != _BEGIN):
            raise NotAnExport(f"line {place} is not of an exported journal")
        if place > 1:
            yield place, tree


def _row_tree(row: Row) -> dict[str, Any]:
    try:
        return {
            "row": row.number,
            "at": row.at,
            "event": row.event.decode("utf-8", "surrogateescape"),
            "account": row.account,
            "salt": row.salt.hex() if row.salt is not None else None,
            "content": row.content.decode("utf-8", "surrogateescape") if row.content is not None else None,
            "digest": row.digest.hex(),
        }
    except AttributeError as error:
        raise JournalBroken(f"row {row.number} is not a row of a journal", row=row.number) from error


def _row(tree: dict[str, Any]) -> Row:
    if tree.keys() != _ROW:
        raise ValueError("other members")
    account, salt, content = (tree[name] for name in ("account", "salt", "content"))
    return Row(
        _whole(tree["row"]),
        _whole(tree["at"]),
        tree["event"].encode("utf-8", "surrogateescape"),
        None if account is None else _whole(account),
        None if salt is None else bytes.fromhex(salt),
        None if content is None else content.encode("utf-8", "surrogateescape"),
        bytes.fromhex(tree["digest"]),
    )


def _segment_tree(segment: Segment) -> dict[str, Any]:
    try:
        return {
            "segment": segment.number,
            "first": segment.first,
            "last": segment.last,
            "at": segment.at,
            "root": segment.root.hex(),
            "previous": segment.previous.hex(),
            "seal": segment.seal.decode("utf-8", "surrogateescape"),
        }
    except AttributeError as error:
        raise JournalBroken(f"segment {segment.number} is not a segment of a journal") from error


def _segment(tree: dict[str, Any]) -> Segment:
    if tree.keys() != _SEGMENT:
        raise ValueError("other members")
    number, first, last, at = (_whole(tree[name]) for name in ("segment", "first", "last", "at"))
    root, previous = (bytes.fromhex(tree[name]) for name in ("root", "previous"))
    return Segment(number, first, last, at, root, previous, tree["seal"].encode("utf-8", "surrogateescape"))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
