"""Search the memory of processes, and files, for what a face leaves: its pictures as they were sent, their pixels, what was computed from them.

Linux alone; the memory of a process is read by root, or by its own user where the process allows it.
"""

from __future__ import annotations

import base64
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alicem.demo.search import DEPTH, Needle, views
from alicem.face.embed import Template

WINDOW = 16
_DISTINCT = 8  # different bytes in a window, or it would be found by chance
_HEAD, _HASH_BITS = 8, 22
_MOST = 64 << 20  # bytes looked at together
_PROCESSES = Path("/proc")


def pieces(name: str, content: bytes, count: int = 64) -> Iterator[Needle]:
    """Some `count` short windows from all over `content`, plain and in base64, each such that it is somewhere for one reason only."""
    for start in range(0, len(content) - WINDOW + 1, max(1, len(content) // count)):
        window = content[start : start + WINDOW]
        if len(set(window)) < _DISTINCT or len(set(window[:_HEAD])) < _HEAD // 2:
            continue
        yield Needle(name, window)
        for shift in range(3):  # wherever in a group of three it begins
            group = window[shift : shift + 12]
            yield Needle(name, base64.b64encode(group))
            yield Needle(name, base64.urlsafe_b64encode(group))


class Finder:
    """Looks for many patterns at once: by a hash of eight bytes at every place, then by these eight, then by all."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        """Patterns of eight bytes or more."""
        self._by_head: dict[bytes, set[Needle]] = defaultdict(set)
        for one in needles:
            self._by_head[one.pattern[:_HEAD]].add(one)
        self._heads = np.sort(np.frombuffer(b"".join(self._by_head), "<u8"))
        self._known = np.zeros(1 << _HASH_BITS, bool)
        self._known[_hash(self._heads)] = True

    def names(self, content: bytes) -> set[str]:
        """The names of what is somewhere in `content`."""
        found: set[str] = set()
        for place in self._places(content):
            for one in self._by_head[content[place : place + _HEAD]]:
                if content.startswith(one.pattern, place):
                    found.add(one.name)
        return found

    def _places(self, content: bytes) -> Iterator[int]:
        """Where a head begins."""
        for shift in range(min(_HEAD, len(content) - _HEAD + 1)):
            eights = np.frombuffer(content, "<u8", (len(content) - shift) // _HEAD, shift)
            likely = np.flatnonzero(self._known[_hash(eights)])
            nearest = np.searchsorted(self._heads[:-1], eights[likely])
            yield from (likely[self._heads[nearest] == eights[likely]] * _HEAD + shift).tolist()


def _hash(eights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Multiplicative (Knuth, volume 3, 6.4)."""
    return (eights * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _HASH_BITS)


def in_process(pid: int, finder: Finder) -> set[str]:
    """Names of what the process holds. Raises `PermissionError` where its memory may not be read, `ProcessLookupError`, `FileNotFoundError`."""
    found: set[str] = set()
    for content in memory(pid):
        found |= finder.names(content)
    return found


def of_picture(name: str, encoded: bytes, pixels: NDArray[np.uint8], count: int) -> Iterator[Needle]:
    """A picture's bytes, but for the first, which hold tables that other pictures have too; and its pixels."""
    yield from pieces(name, encoded[len(encoded) // 3 :], count)
    yield from pieces(f"{name} pixels", pixels.tobytes(), count)


def of_template(found: Template) -> Iterator[Needle]:
    """Its vectors, in both widths."""
    for vector in found.vectors.values():
        yield from pieces("embedding", vector.astype(np.float32).tobytes(), 16)
        yield from pieces("embedding", vector.astype(np.float64).tobytes(), 16)


def in_files(folders: Iterable[Path], finder: Finder) -> dict[Path, set[str]]:
    """Names of what each file holds, as it is or within base64 and hexadecimal; files without any are left out."""
    found: dict[Path, set[str]] = {}
    for file in (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()):
        names = {name for _, content in views("plain", file.read_bytes(), DEPTH) for name in finder.names(content)}
        if names:
            found[file] = names
    return found


def memory(pid: int) -> Iterator[bytes]:
    """What the process has written, in pieces that overlap. Raises like `in_process`."""
    with (_PROCESSES / str(pid) / "mem").open("rb", buffering=0) as file:
        for start, end in _written(pid):
            for at in range(start, end, _MOST):
                try:
                    file.seek(at)
                    yield file.read(min(_MOST + WINDOW, end - at))
                except OSError:  # unmapped since, or a device's
                    continue


def _written(pid: int) -> Iterator[tuple[int, int]]:
    """First and last address of what is writable, or belongs to no file."""
    for line in (_PROCESSES / str(pid) / "maps").read_text("utf-8", "replace").splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r(.)..\s+\S+ \S+ (\d+)", line)
        if found is not None and (found[3] == "w" or found[4] == "0") and not line.endswith("[vsyscall]"):
            yield int(found[1], 16), int(found[2], 16)


def of_program(folder: Path) -> list[int]:
    """Processes that were started with a file in `folder` as their settings, and all below them."""
    found = []
    for one in _PROCESSES.glob("[0-9]*"):
        try:
            command = (one / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(
            before == b"--config" and Path(os.fsdecode(file)).parent == folder for before, file in pairwise(command)
        ):
            found += descendants(int(one.name))
    return found


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].append(int(folder.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found
