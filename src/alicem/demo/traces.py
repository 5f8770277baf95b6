"""What the faces of personas left with the provider: portraits and embeddings of them, sought in the provider's files and in the memory of its processes.

The session process that had them has ended by then. The search first proves that it finds what is planted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alicem.demo import portraits
from alicem.demo.memory import Finder, in_files, in_process, of_picture, of_program, of_template
from alicem.demo.search import Needle, SearchIsBlind
from alicem.face import models
from alicem.face.compare import portrait_template
from alicem.face.images import PORTRAIT, decode

HOLDER = "import sys; kept = sys.stdin.buffer.read(int(sys.argv[1])); print(flush=True); sys.stdin.read()"
"""A process that holds what it is given."""


def of_faces(faces: Iterable[portraits.Face], folder: Path) -> dict[str, Any]:
    """What was found of them in `folder` and in the processes that have their settings there. Raises `SearchIsBlind`."""
    needles = [needle for face in faces for needle in _needles(portraits.portrait(face))]
    finder = Finder(needles)
    _prove(needles, finder)
    files = in_files([folder], finder)
    found = [{"datum": name, "where": str(file.relative_to(folder))} for file, names in files.items() for name in names]
    searched = unreadable = 0
    for pid in of_program(folder) if sys.platform == "linux" else ():
        try:
            found += [{"datum": name, "where": f"memory of process {pid}"} for name in in_process(pid, finder)]
            searched += 1
        except PermissionError:
            unreadable += 1
        except (FileNotFoundError, ProcessLookupError):  # ended since
            continue
    return {"found": found, "processes": searched, "unreadable": unreadable}


def _needles(portrait: bytes) -> Iterator[Needle]:
    yield from of_picture("portrait", portrait, decode(portrait, PORTRAIT), 100)
    yield from of_template(portrait_template(models.load(), portrait))


def _prove(needles: list[Needle], finder: Finder) -> None:
    """Plant one pattern of each datum in a file and in a process, and insist on finding it."""
    planted = {one.name: one.pattern for one in needles}
    content = b"\0noise ".join(planted.values())
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "planted").write_bytes(content)
        in_file = in_files([Path(name)], finder)
    if set().union(*in_file.values()) != planted.keys():
        raise SearchIsBlind("planted in a file and not found")
    if sys.platform != "linux":
        return
    command = [sys.executable, "-c", HOLDER, str(len(content))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: S603 - ours
        assert holder.stdin is not None and holder.stdout is not None  # noqa: S101 - started with pipes
        holder.stdin.write(content)
        holder.stdin.flush()
        holder.stdout.readline()
        if in_process(holder.pid, finder) != planted.keys():
            raise SearchIsBlind("planted in a process and not found")
