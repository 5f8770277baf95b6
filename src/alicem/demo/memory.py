"""Search the memory of processes, and files, for what a face leaves: its pictures as they were sent, their pixels, what was computed from them.

Linux alone; the memory of a process is read by root, or by its own user where the process allows it.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alicem.demo.search import DEPTH, Needle, views

WINDOW = 16
_DISTINCT = 8  # different bytes in a window, or it would be found by chance
_HEAD = 8
_MOST = 64 << 20  # bytes looked at together
_PROCESSES = Path("/proc")


def pieces(name: str, content: bytes, count: int = 64) -> Iterator[Needle]:
    """Some `count` short windows from all over `content`, plain and in base64, each such that it is somewhere for one reason only."""
    for start in range(0, len(content) - WINDOW + 1, max(1, len(content) // count)):
        window = content[start : start + WINDOW]
        if len(set(window)) < _DISTINCT:
            continue
        yield Needle(name, window)
        for shift in range(3):  # wherever in a group of three it begins
            group = window[shift : shift + 12]
            yield Needle(name, base64.b64encode(group))
            yield Needle(name, base64.urlsafe_b64encode(group))


class Finder:
    """Looks for many patterns at once: by two bytes, then by eight, then by all."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        """Patterns of eight bytes or more."""
        self._by_head: dict[bytes, set[Needle]] = defaultdict(set)
        for one in needles:
            self._by_head[one.pattern[:_HEAD]].add(one)
        self._heads = np.sort(np.array([np.frombuffer(head, "<u8")[0] for head in self._by_head], np.uint64))
        self._pairs = np.zeros(1 << 16, bool)
        self._pairs[(self._heads & np.uint64(0xFFFF)).astype(np.int64)] = True

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
        if len(content) < _HEAD or not len(self._heads):
            return
        octets = np.frombuffer(content, np.uint8)
        eights = np.lib.stride_tricks.sliding_window_view(octets, _HEAD)
        for shift in range(2):
            pairs = np.frombuffer(content, "<u2", (len(content) - shift) // 2, shift)
            places: NDArray[np.int64] = np.flatnonzero(self._pairs[pairs]) * 2 + shift
            places = places[places < len(eights)]
            heads = np.ascontiguousarray(eights[places]).view("<u8")[:, 0]
            at = np.minimum(np.searchsorted(self._heads, heads), len(self._heads) - 1)
            yield from places[self._heads[at] == heads].tolist()


def in_process(pid: int, finder: Finder) -> set[str]:
    """Names of what the process holds. Raises `PermissionError` where its memory may not be read, `ProcessLookupError`, `FileNotFoundError`."""
    found: set[str] = set()
    for content in memory(pid):
        found |= finder.names(content)
    return found


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
