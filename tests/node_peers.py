"""npm packages that speak the credential's protocols, as processes of their own. Installed once, into build/."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "peers"
BUILD = Path(__file__).parent.parent / "build"
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def _program(name: str) -> str:
    """Of the machine, or of the environment that `tools/setup` made."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent)) or name


def installed() -> Path:
    """A folder with the scripts and their node_modules, made where it is not there yet."""
    parts = [one.read_bytes() for one in sorted(HERE.iterdir())]
    folder = BUILD / f"peers-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="peers-", dir=BUILD) as fresh:
        made = Path(fresh) / "made"
        shutil.copytree(HERE, made)
        subprocess.run([_program("npm"), *_INSTALL], cwd=made, check=True, capture_output=True, timeout=170)
        try:
            made.rename(folder)
        except OSError:
            assert folder.is_dir()  # another process was faster
    return folder


def ask(script: str, command: str, **request: Any) -> dict[str, Any]:
    """What the peer answers: a JSON object, `refused` in it where it refused."""
    done = subprocess.run(
        [_program("node"), str(installed() / script)],
        input=json.dumps({"command": command, **request}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
