"""Where built files live: outside the clone, written whole or not at all, by one process at a time."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`$ALICEM_CACHE`, else `$XDG_CACHE_HOME/alicem`, else `~/.cache/alicem`."""
    if chosen := environment.get("ALICEM_CACHE"):
        return Path(chosen)
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "alicem"
    return Path.home() / ".cache" / "alicem"


def write(path: Path, data: bytes) -> None:
    """The file appears complete under its name, or not at all; anybody may read it: who fetched it is not who serves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Held by the one process that builds; the others wait, then find the work done."""
    path = folder() / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
