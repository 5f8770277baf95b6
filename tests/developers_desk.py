"""What docs/integrate.md tells a developer to type, typed in a folder of its own against servers on other ports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import node_peers

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "integrate.md").read_text("utf-8")


def blocks(heading: str) -> list[str]:
    """The commands below a heading of the page, block by block."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    return re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Desk:
    """`folder`: where the developer types; `demo` lies in it. `ours`: what stands here for the page's addresses and ports."""

    folder: Path
    ours: Mapping[str, str]

    def here(self, text: str) -> str:
        for theirs, ours in self.ours.items():
            text = text.replace(theirs, ours)
        return text

    def type(self, commands: str) -> str:
        """Run to the end; what was printed."""
        self._lay_out(commands)
        done = subprocess.run(
            ["bash", "-euc", _ALICEM + self.here(commands)],
            cwd=self.folder, env=self._environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def serving(self, commands: str) -> Iterator[str]:
        """Type what does not end by itself; the address it says to open."""
        self._lay_out(commands)
        lines = "\n".join(line for line in commands.splitlines() if not line.startswith("npm "))
        *before, last = self.here(lines).strip().splitlines()
        with subprocess.Popen(
            ["bash", "-euc", _ALICEM + "\n".join([*before, f"exec env {last}"])],
            cwd=self.folder, env=self._environment(), stdout=subprocess.PIPE, text=True,
        ) as program:  # fmt: skip
            try:
                assert program.stdout is not None
                said = program.stdout.readline()
                assert said.startswith("open "), said
                yield said.split()[1]
            finally:
                program.terminate()

    def _lay_out(self, commands: str) -> None:
        """The examples, and the packages they import."""
        if not (self.folder / "examples").exists():
            shutil.copytree(ROOT / "examples", self.folder / "examples")
        if "node " in commands and not (self.folder / "node_modules").exists():
            (self.folder / "node_modules").symlink_to(node_peers.installed() / "node_modules")

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PORT": self.ours["3000"]}


_ALICEM = 'alicem() { python -m alicem "$@"; }\n'
