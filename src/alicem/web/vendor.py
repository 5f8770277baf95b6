"""`python -m alicem.web.vendor`: fetch the few ES modules the pages take from npm, and lay them where the pages load them.

npm checks each package against the hash in `package-lock.json`. Of a package only the modules reached from `ENTRIES` are copied, with their import
specifiers made relative (a browser resolves no bare name) and their documentation comments left out; licences travel along.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
TARGET = HERE / "static" / "vendor"
MANIFESTS = ("package.json", "package-lock.json")
ENTRIES = ("@noble/hashes/argon2.js", "@noble/curves/abstract/weierstrass.js")
"""Argon2id (RFC 9106) and short Weierstrass curves: WebCrypto has neither the first nor the import of a bare P-256 scalar."""

_IMPORT = re.compile(r"""^((?:import|export)\b[^\n]*? from )["']([^"'\n]+)["'];""", re.MULTILINE)
_DOCUMENTATION = re.compile(r"^[ \t]*/\*\*.*?\*/[ \t]*\n|^[ \t]*//[^\n]*\n", re.MULTILINE | re.DOTALL)
_NPM_SECONDS = 180


class CannotFetch(Exception):
    """npm is missing, or it could not bring the packages; the message says which and what to do."""


def main() -> int:
    """Exit status 0 when the modules are in place, 3 when they cannot be fetched."""
    try:
        made = vendor()
    except CannotFetch as error:
        print(f"alicem.web.vendor: {error}", file=sys.stderr)
        return 3
    print(f"page modules: {'fetched' if made else 'already there'} ({TARGET.relative_to(HERE.parent.parent.parent)})")
    return 0


def vendor(target: Path = TARGET) -> bool:
    """Make `target` hold the modules; returns whether there was anything to do. Raises `CannotFetch`."""
    stamp = target / "made-from"
    wanted = _fingerprint()
    if stamp.is_file() and stamp.read_text("ascii") == wanted:
        return False
    with tempfile.TemporaryDirectory(prefix="alicem-npm-") as folder:
        modules = _install(Path(folder))
        fresh = Path(folder) / "vendor"
        for name, source in closure(modules, ENTRIES):
            _write(fresh / name, source)
        _copy_licences(modules, fresh)
        _write(fresh / "made-from", wanted)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fresh, target)
    return True


def closure(modules: Path, entries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every module reached from `entries` under `modules` (a node_modules folder): its path there and its source, imports made relative."""
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        source = _DOCUMENTATION.sub("", (modules / name).read_text("utf-8"))
        waiting += [_resolved(name, asked) for _, asked in _IMPORT.findall(source)]
        yield name, _IMPORT.sub(lambda found_import, name=name: _relative(name, found_import), source)  # type: ignore[misc]


def _relative(name: str, found: re.Match[str]) -> str:
    here = PurePosixPath(name).parent
    there = PurePosixPath(_resolved(name, found[2]))
    up = next(depth for depth, parent in enumerate([here, *here.parents]) if there.is_relative_to(parent))
    below = there.relative_to([here, *here.parents][up])
    return f'{found[1]}"{"../" * up or "./"}{below}";'


def _resolved(name: str, asked: str) -> str:
    """The path under node_modules of what `name` imports as `asked`."""
    if not asked.startswith("."):
        return asked
    parts: list[str] = list(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(asked).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _install(folder: Path) -> Path:
    for name in MANIFESTS:
        shutil.copy(HERE / name, folder / name)
    command = [_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(  # noqa: S603, a fixed command
            command, cwd=folder, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotFetch(f"npm did not answer within {_NPM_SECONDS} s; check the network and try again") from error
    if done.returncode:
        raise CannotFetch(
            "npm could not bring the page modules; check the network and try again. It said:\n" + done.stderr[-1500:]
        )
    return folder / "node_modules"


def _npm() -> str:
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        raise CannotFetch("npm is not installed; it comes with Node.js 20 or later")
    return npm


def _copy_licences(modules: Path, fresh: Path) -> None:
    for package in {"/".join(entry.split("/")[:2]) for entry in ENTRIES}:
        shutil.copy(modules / package / "LICENSE", fresh / package / "LICENSE")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def _fingerprint() -> str:
    """Changes with the packages and with this file."""
    parts = [HERE / "package-lock.json", Path(__file__)]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
