"""Python that has loaded the program already. What a test types runs in a fork of it: a process of its own, without the second that loading takes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = """
import importlib, json, os, sys, traceback

def run(asked):
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, file in enumerate(("/dev/null", asked["out"], asked["err"])):
        os.dup2(os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND), number)
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
def forked(asked):
    process = os.fork()
    if process == 0:
        code = run(asked)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return process

for line in sys.stdin:
    asked = json.loads(line)
    if asked["stays"]:
        ours, theirs = os.pipe()
        between = os.fork()
        if between == 0:  # whoever stays is no child of this process, which would have to wait for its end
            os.write(theirs, b"%d" % forked(asked))
            os._exit(0)
        os.waitpid(between, 0)
        print(int(os.read(ours, 20)), flush=True)
        os.close(ours)
        os.close(theirs)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(forked(asked), 0)[1]), flush=True)
"""


class Started:
    """A server; that it has ended is known by its descriptor."""

    def __init__(self, pid: int) -> None:
        self.pid, self._descriptor = pid, os.pidfd_open(pid)

    def send_signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._descriptor, number)

    def wait(self) -> None:
        select.select([self._descriptor], [], [])
        os.close(self._descriptor)


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

    def start(self, *words: str, folder: Path, log: Path) -> Started:
        """`alicem WORDS` that stays; what it says comes behind what is in `log`."""
        log.touch()
        return Started(self._ask(words=words, code=None, folder=str(folder), out=str(log), err=str(log), stays=True))

    def _run(
        self, words: tuple[str, ...], code: str | None, folder: Path, environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        out, err = self._folder / "out", self._folder / "err"
        for file in (out, err):
            file.write_bytes(b"")
        status = self._ask(
            words=words, code=code, folder=str(folder), environment=environment, out=str(out), err=str(err)
        )
        return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())

    def _ask(self, environment: Mapping[str, str] | None = None, stays: bool = False, **asked: Any) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        asked |= {"environment": dict(environment or os.environ), "stays": stays}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


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
