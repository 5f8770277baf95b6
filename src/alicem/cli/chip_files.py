"""The files of `alicem chip`: read within bounds, written for our eyes alone."""

from __future__ import annotations

import os
from pathlib import Path

from alicem.cli.says import USAGE, err, fail
from alicem.enrolment import trust
from emrtd import folder
from emrtd.errors import EmrtdError, Malformed
from emrtd.gathering import FILE_MAX
from emrtd.passive import RawDocument
from emrtd.pki.trust import TrustStore
from emrtd.softchip import ChipDocument
from emrtd.softchip.document import DOCUMENT_MAX


def load_trust(path: Path) -> TrustStore:
    """What an import wrote, or plain certificates and lists. Ends the command where no certificate is there."""
    try:
        store = trust.load_trust(path)
    except OSError as error:
        fail(f"{path}: {error.strerror}", USAGE)
    except Malformed as error:
        fail(f"{path}: {error}", USAGE)
    if not store.entries:
        fail(f"{path}: no certificate of any State is there", USAGE)
    return store


def load_document(path: Path) -> ChipDocument:
    """A specimen. Ends the command where it is none."""
    try:
        return ChipDocument.from_bytes(_bounded(path, DOCUMENT_MAX))
    except (EmrtdError, OSError) as error:
        fail(f"{path}: {getattr(error, 'strerror', None) or error}", USAGE)


def load_raw(path: Path) -> RawDocument:
    """The elementary files of a folder; others are not even opened. Raises MalformedFolder."""
    try:
        names = sorted(file.name for file in path.iterdir() if file.is_file())
        wanted = [name for name in names if name == folder.EVIDENCE or folder.recognise(name)]
        files = {name: _bounded(path / name, FILE_MAX) for name in wanted[: folder.NAMES_MAX + 1]}
    except OSError as error:
        fail(f"{path}: {error.strerror}", USAGE)
    return folder.to_raw(files)


def _bounded(path: Path, most: int) -> bytes:
    """A file's content; one byte over `most` tells that there is more."""
    with path.open("rb") as stream:
        return stream.read(most + 1)


def save_raw(path: Path, raw: RawDocument) -> None:
    """Everything read, in a new folder nobody else may enter."""
    path.mkdir(mode=0o700, parents=True)
    files = folder.from_raw(raw)
    for name, content in files.items():
        write_private(path / name, content)
    err.print(
        f"Saved {len(files)} files in {path}. They are personal data, with the portrait: keep them, or erase them.",
        markup=False,
        soft_wrap=True,
    )


def write_private(path: Path, content: bytes) -> None:
    """A new file for its owner alone; one that is there already is never written over."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
