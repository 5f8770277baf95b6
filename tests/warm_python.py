"""Python that has loaded the program already. What a test types runs in a fork of it: a process of its own, without the second that loading takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = """
import importlib, json, os, sys, traceback

def run(asked):
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, file in enumerate(("/dev/null", asked["out"], asked["err"])):
        os.dup2(os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY), number)
    sys.argv = ["alicem", *asked["words"]]
    try:
        if asked["code"] is None:
            importlib.import_module("alicem.cli").main()
        else:
            exec(compile(asked["code"], "typed", "exec"), {"__name__": "__main__"})
        return 0
    except SystemExit as ended:
        return ended.code or 0
    except BaseException:
        traceback.print_exc()
        return 1

for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        code = run(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class WarmPython:
    """`alicem WORDS`, or code, as if each were typed in a shell."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def alicem(
        self, *words: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._run(words, None, folder, environment)

    def python(
        self, code: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._run((), code, folder, environment)

    def _run(
        self, words: tuple[str, ...], code: str | None, folder: Path, environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        told = {name: self._folder / name for name in ("out", "err")}
        for file in told.values():
            file.write_bytes(b"")
        asked = {"words": words, "code": code, "folder": str(folder), "environment": dict(environment or os.environ)}
        assert self._process.stdin is not None and self._process.stdout is not None
        print(
            json.dumps(asked | {name: str(file) for name, file in told.items()}), file=self._process.stdin, flush=True
        )
        status = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(words, status, told["out"].read_text(), told["err"].read_text())


@contextmanager
def warm_python(*modules: str) -> Iterator[WarmPython]:
    """`modules`: what is loaded before anything is asked."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        yield WarmPython(process, Path(folder))
        assert process.stdin is not None
        process.stdin.close()
