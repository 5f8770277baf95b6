"""Search the provider's files for what it may not hold: every personal datum of a persona, in every usual encoding.

A search that finds nothing proves nothing until it has found something: `proven` first plants each needle in a file of its own and insists on finding it.
"""

from __future__ import annotations

import base64
import json
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emrtd.names import transliterate

LEAST = 5
"""Characters below which a text is found by chance, or is a word of the program."""
_PORTRAIT_WINDOWS, _WINDOW = 24, 16


@dataclass(frozen=True)
class Needle:
    """A datum under its name (`family_name`), as one sequence of bytes to look for."""

    name: str
    encoding: str
    pattern: bytes


class SearchIsBlind(Exception):
    """A planted needle was not found: what the search says is worth nothing."""


def needles(data: Mapping[str, str], portrait: bytes = b"") -> tuple[Needle, ...]:
    """What to look for. `data`: text by name; too short ones are left out. `portrait`: image bytes, looked for in pieces."""
    found = [one for name, text in data.items() for one in _encodings(name, text)]
    step = max(_WINDOW, len(portrait) // _PORTRAIT_WINDOWS)
    for start in range(len(portrait) // 8, len(portrait) - _WINDOW, step):
        found += _bytes_encodings("portrait", portrait[start : start + _WINDOW])
    return tuple({(one.name, one.pattern): one for one in found}.values())


def _encodings(name: str, text: str) -> Iterator[Needle]:
    for spelling in _spellings(text):
        if len(spelling) < LEAST:
            continue
        yield Needle(name, "utf-16", spelling.encode("utf-16-le"))
        if not spelling.isascii():
            yield Needle(name, "latin-1", spelling.encode("latin-1", "ignore"))
            yield Needle(name, "json", json.dumps(spelling)[1:-1].encode())
        yield from _bytes_encodings(name, spelling.encode())


def _spellings(text: str) -> set[str]:
    """As written, in capitals, small, decomposed, as the machine-readable zone has it, without separators."""
    forms = {text, text.upper(), text.lower(), unicodedata.normalize("NFD", text), text.replace("-", "")}
    if all(character.isalpha() or character in " -'’" for character in text):
        folded = transliterate(text)
        forms |= {folded, folded.replace(" ", "<"), folded.title()}
    return forms


def _bytes_encodings(name: str, data: bytes) -> Iterator[Needle]:
    yield Needle(name, "bytes", data)
    yield Needle(name, "hex", data.hex().encode())
    yield Needle(name, "HEX", data.hex().upper().encode())
    for shift in range(3):  # base64 of a longer text around it: the middle that does not depend on the neighbours
        for alphabet, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            whole = encode(bytes(shift) + data)
            middle = whole[(0, 2, 3)[shift] : len(whole) - 4 if (shift + len(data)) % 3 else len(whole)]
            if len(middle) >= LEAST + 2:
                yield Needle(name, alphabet, middle)


def search(folders: Iterable[Path], wanted: tuple[Needle, ...]) -> list[dict[str, str]]:
    """Where a needle lies: `{"datum", "encoding", "file"}`, one row a datum, encoding and file."""
    hits = []
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            hits += [
                {"datum": one.name, "encoding": one.encoding, "file": str(file.relative_to(folder))}
                for one in wanted
                if one.pattern in content
            ]
    return hits


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
