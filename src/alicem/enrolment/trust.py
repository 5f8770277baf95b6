"""A trust store in a folder: what `alicem trust import` wrote there, or plain certificates and revocation lists."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from emrtd.errors import MalformedTrustFile
from emrtd.pki import bundle
from emrtd.pki.collection import Collection, collect
from emrtd.pki.sources import FILE_MAX
from emrtd.pki.trust import TrustStore

INDEX = "index.json"
CERTIFICATES, REVOCATIONS = (".cer", ".crt", ".der", ".pem"), (".crl",)
FILES_MAX = 100_000


def load_trust(folder: Path) -> TrustStore:
    """The trust store in `folder`. Raises `OSError`, `emrtd.errors.Malformed`.

    Without the index of an import, every certificate and CRL there, DER or PEM, by ending of its name.
    """
    if (folder / INDEX).exists():
        return bundle.load(*_pair(folder))
    files = sorted(folder.iterdir())
    return TrustStore.of(
        [file.read_bytes() for file in files if file.suffix in CERTIFICATES],
        [file.read_bytes() for file in files if file.suffix in REVOCATIONS],
    )


def stamp(folder: Path) -> object:
    """Another value whenever what is in `folder` has changed."""
    try:
        files = [folder / INDEX] if (folder / INDEX).exists() else sorted(folder.iterdir())
        return tuple((file.name, status.st_mtime_ns, status.st_size) for file in files for status in [file.stat()])
    except OSError:
        return None


def load_collection(folder: Path, *, at: datetime) -> Collection:
    """What is in `folder` and what became of each certificate; empty where nothing is. Raises like `load_trust`."""
    if (folder / INDEX).exists():
        return bundle.load_collection(*_pair(folder))
    return collect(read_files(folder), roots=(), at=at) if folder.is_dir() else Collection()


def _pair(folder: Path) -> tuple[bytes, bytes]:
    """Index and bundle; read again if an import took the bundle away in between."""
    index = (folder / INDEX).read_bytes()
    try:
        return index, (folder / bundle.bundle_name(index)).read_bytes()
    except FileNotFoundError:
        index = (folder / INDEX).read_bytes()
        return index, (folder / bundle.bundle_name(index)).read_bytes()


def read_files(place: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of a file, or of every file in a folder and those below it. Raises `OSError`, `MalformedTrustFile`."""
    if not place.is_dir():
        yield place.name, _read(place)
        return
    files = sorted(file for file in place.rglob("[!.]*") if file.is_file())
    if len(files) > FILES_MAX:
        raise MalformedTrustFile(f"more than {FILES_MAX} files")
    for file in files:
        yield str(file.relative_to(place)), _read(file)


def _read(file: Path) -> bytes:
    if file.stat().st_size > FILE_MAX:
        raise MalformedTrustFile(f"{file.name} is larger than {FILE_MAX >> 20} MB")
    return file.read_bytes()


@contextmanager
def importing(folder: Path) -> Iterator[None]:
    """Hold `folder` for one import, made if it is not there; another import waits. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(folder: Path, collection: Collection) -> None:
    """Put `collection` into `folder`, all or nothing: the index goes last and names its bundle. Raises `OSError`."""
    index, certificates = bundle.dump(collection)
    name = bundle.bundle_name(index)
    _write(folder / name, certificates)
    _write(folder / INDEX, index)
    for old in folder.glob("certificates-*.der"):
        if old.name != name:
            old.unlink()


def _write(file: Path, content: bytes) -> None:
    new = file.with_name(f".{file.name}.new")
    with new.open("wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())
    new.replace(file)
