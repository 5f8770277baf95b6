"""A long file, encrypted and authenticated piece by piece, so that it is written and read in bounded memory.

`ALB1` ‖ 32 bytes salt ‖ pieces. Key = HKDF-SHA-256(master key, salt, `alicem backup v1`). Each piece is AES-256-GCM of up to 64 KiB with
nonce = number of the piece (11 bytes) ‖ 1 for the last, else 0; aad = the first 36 bytes (STREAM, Hoang et al. 2015). So no piece can be
changed, moved, dropped or added, and a cut shows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MAGIC, _SALT, _TAG = b"ALB1", 32, 16
_PIECE = 64 * 1024
_INFO = b"alicem backup v1"
LONGEST = 1 << 20
"""Bytes of a line."""


class NotABackup(Exception):
    """The file is no backup of this version, is damaged, was cut, or belongs to another master key."""


def seal(file: IO[bytes], master: bytes, lines: Iterable[bytes], rng: Callable[[int], bytes]) -> None:
    """Write lines, each with its end, compressed and sealed."""
    header = _MAGIC + rng(_SALT)
    cipher = _cipher(master, header)
    file.write(header)
    number, held = 0, b""
    for piece in _compressed(lines):
        held += piece
        while len(held) > _PIECE:  # the last piece is known when there is no more
            file.write(cipher.encrypt(_nonce(number, last=False), held[:_PIECE], header))
            number, held = number + 1, held[_PIECE:]
    file.write(cipher.encrypt(_nonce(number, last=True), held, header))


def unseal(file: IO[bytes], master: bytes) -> Iterator[bytes]:
    """The lines of a sealed file, as they come: it is whole when the last was given. Raises `NotABackup`."""
    header = file.read(len(_MAGIC) + _SALT)
    if not header.startswith(_MAGIC) or len(header) < len(_MAGIC) + _SALT:
        raise NotABackup("this is not a backup of version 1")
    rest = b""
    for part in _inflated(_opened(file, _cipher(master, header), header)):
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
        if len(rest) > LONGEST:
            raise NotABackup("a line without an end")
    if rest:
        raise NotABackup("the last line has no end")


def _opened(file: IO[bytes], cipher: AESGCM, header: bytes) -> Iterator[bytes]:
    number, held = 0, file.read(_PIECE + _TAG)
    while True:
        following = file.read(_PIECE + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), held, header)
        except (InvalidTag, ValueError) as error:
            where = "another master key, or a damaged file" if number == 0 else f"damaged or cut after piece {number}"
            raise NotABackup(f"the backup does not open: {where}") from error
        if not following:
            return
        number, held = number + 1, following


def _compressed(lines: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1)
    for line in lines:
        yield packer.compress(line)
    yield packer.flush()


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    try:
        for piece in pieces:
            left = piece
            while left:
                yield unpacker.decompress(left, _PIECE)
                left = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise NotABackup("what is sealed in the backup is not compressed as ours is") from error


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _cipher(master: bytes, header: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, header[len(_MAGIC) :], _INFO).derive(master))
