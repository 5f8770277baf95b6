"""Search the provider's files for what it may not hold: every personal datum of a persona, in every usual encoding.

A search that finds nothing proves nothing until it has found something: `proven` first plants each needle in a file of its own and insists on finding it.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emrtd.names import transliterate

LEAST = 5
"""Characters below which a text is found by chance, or is a word of the program."""
DEPTH = 2
"""How often what is decoded is decoded again: a token within a token."""
_PORTRAIT_WINDOWS, _WINDOW = 24, 16


@dataclass(frozen=True)
class Needle:
    """A datum under its name (`family_name`), as one sequence of bytes to look for."""

    name: str
    pattern: bytes


class SearchIsBlind(Exception):
    """A planted needle was not found: what the search says is worth nothing."""


def needles(data: Mapping[str, str], portrait: bytes = b"") -> tuple[Needle, ...]:
    """What to look for. `data`: text by name; too short ones are left out. `portrait`: image bytes, looked for in pieces."""
    found = [one for name, text in data.items() for one in _encodings(name, text)]
    step = max(_WINDOW, len(portrait) // _PORTRAIT_WINDOWS)
    for start in range(len(portrait) // 8, len(portrait) - _WINDOW, step):
        found.append(Needle("portrait", portrait[start : start + _WINDOW]))
    return tuple(dict.fromkeys(found))


def _encodings(name: str, text: str) -> Iterator[Needle]:
    for spelling in _spellings(text):
        if len(spelling) < LEAST:
            continue
        yield Needle(name, spelling.encode())
        yield Needle(name, spelling.encode("utf-16-le"))
        if not spelling.isascii():
            yield Needle(name, spelling.encode("latin-1", "ignore"))
            yield Needle(name, json.dumps(spelling)[1:-1].encode())


def _spellings(text: str) -> set[str]:
    """As written, in capitals, small, decomposed, as the machine-readable zone has it, without separators."""
    forms = {text, text.upper(), text.lower(), unicodedata.normalize("NFD", text), text.replace("-", "")}
    if all(character.isalpha() or character in " -'’" for character in text):
        folded = transliterate(text)
        forms |= {folded, folded.replace(" ", "<"), folded.title()}
    return forms


def search(folders: Iterable[Path], wanted: tuple[Needle, ...]) -> list[dict[str, str]]:
    """Where a needle lies: `{"datum", "encoding", "file"}`, one row a datum, encoding and file."""
    hits: dict[tuple[str, str, str], None] = {}
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            for encoding, content in views("plain", file.read_bytes(), DEPTH):
                for one in wanted:
                    if one.pattern in content:
                        hits[one.name, encoding, str(file.relative_to(folder))] = None
    return [{"datum": datum, "encoding": encoding, "file": file} for datum, encoding, file in hits]


def views(encoding: str, content: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    """The content, and what its runs of base64 and hexadecimal decode to, wherever in a group of digits they begin."""
    yield encoding, content
    if depth == 0:
        return
    for name, runs, group, decode in _DECODERS:
        for shift in range(group):
            inner = b"\n".join(_decoded(run.group()[shift:], group, decode) for run in runs.finditer(content))
            if inner.strip():
                yield from views(name, inner, depth - 1)


def _decoded(run: bytes, group: int, decode: Callable[[bytes], bytes]) -> bytes:
    """What a run decodes to; an incomplete last group gives what it has, a single digit too many is left out."""
    if len(run) % group == 1:
        run = run[:-1]
    return decode(run + b"=" * (-len(run) % group)) if run else b""


_DECODERS: tuple[tuple[str, re.Pattern[bytes], int, Callable[[bytes], bytes]], ...] = (
    ("base64", re.compile(rb"[A-Za-z0-9+/]{6,}"), 4, base64.b64decode),
    ("base64url", re.compile(rb"[A-Za-z0-9_-]{6,}"), 4, base64.urlsafe_b64decode),
    ("hex", re.compile(rb"[0-9a-fA-F]{8,}"), 2, lambda text: bytes.fromhex(text.decode())),
)


def proven(folders: Iterable[Path], data: Mapping[str, str], portrait: bytes = b"") -> list[dict[str, str]]:
    """As `search`, after proof that each datum is found wherever it is planted. Raises `SearchIsBlind`."""
    wanted = needles(data, portrait)
    with tempfile.TemporaryDirectory() as name:
        planted = Path(name)
        expected = {(datum, file) for datum, file in _plant(planted, data, portrait)}
        seen = {(hit["datum"], hit["file"]) for hit in search([planted], wanted)}
    if expected - seen:
        raise SearchIsBlind(f"planted and not found: {sorted(expected - seen)[:5]}")
    return search(folders, wanted)


def _plant(folder: Path, data: Mapping[str, str], portrait: bytes) -> Iterator[tuple[str, str]]:
    """Write each datum as programs write: in JSON, in tokens at any offset, in hexadecimal, in wide characters."""
    for datum, text in data.items():
        if len(text) >= LEAST:
            for number, content in enumerate(_containers(json.dumps({"a": text}, ensure_ascii=False).encode())):
                file = f"{datum}-{number}"
                (folder / file).write_bytes(content)
                yield datum, file
            (folder / f"{datum}-json").write_bytes(json.dumps([text]).encode())
            (folder / f"{datum}-wide").write_bytes(f"x{text}x".encode("utf-16-le"))
            yield from ((datum, f"{datum}-json"), (datum, f"{datum}-wide"))
    if portrait:
        for number, content in enumerate(_containers(portrait)):
            (folder / f"portrait-{number}").write_bytes(content)
            yield "portrait", f"portrait-{number}"


def _containers(content: bytes) -> Iterator[bytes]:
    yield b"\x00noise " + content + b" noise\xff"
    yield content.hex().encode()
    yield content.hex().upper().encode()
    for shift in range(3):
        yield base64.b64encode(b"#" * shift + content + b"tail")
        yield base64.urlsafe_b64encode(b"#" * shift + content + b"tail")
