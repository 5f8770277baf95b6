"""The key ring in its file, encrypted under the master key, which never lies beside it: environment or a file of its own.

`ALK2` ‖ 12 bytes nonce ‖ AES-256-GCM(master key, JSON, aad `ALK2`). `ALK1`, of the first version, is read; what is written is `ALK2`.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from cryptography.x509 import load_der_x509_certificate

from alicem.jose import Signer
from alicem.keys.ring import KeyRing, Keys, KeysError, PublicPart, SecretKey, SigningKey

if TYPE_CHECKING:  # what it imports is there only where it was asked for
    from alicem.keys.token import Token

Random = Callable[[int], bytes]
_MAGIC, _FIRST = b"ALK2", b"ALK1"
MOST = 1 << 20


def open_ring(file: Path, master: bytes, token: Token | None = None) -> Keys:
    """Read the key file. `token`: where keys are that are not in it, and that verify alone without it.

    Raises `KeysError` that says whether it is missing, damaged or of another master key.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MOST + 1)
    except OSError as error:
        raise KeysError(f"{file}: {error.strerror}; run `alicem keys create`") from error
    return opened(data, master, str(file), token)


def opened(data: bytes, master: bytes, name: str, token: Token | None = None) -> Keys:
    """The ring in the bytes of a key file, called `name` in what is raised: `KeysError`."""
    magic = data[:4]
    if magic not in (_MAGIC, _FIRST) or len(data) > MOST:
        raise KeysError(f"{name} is not a key file of version 1 or 2")
    try:
        plain = _cipher(master).decrypt(data[4:16], data[16:], magic)
    except (InvalidTag, ValueError) as error:
        raise KeysError(f"{name} does not open: another master key, or a damaged file") from error
    try:
        return parse(json.loads(plain), token, first=magic == _FIRST)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeysError(f"{name} opens, and holds no key ring of this version") from error


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else writes a key file in this folder until the block ends; whoever comes meanwhile waits."""
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeysError(f"{file.parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def change(file: Path, master: bytes, step: Callable[[Keys], Keys], rng: Random, token: Token | None = None) -> Keys:
    """Read, change and replace the ring while nobody else does. What `step` raises leaves the file as it is."""
    with locked(file):
        ring = step(open_ring(file, master, token))
        write(file, master, ring, rng)
    return ring


def rewrap(file: Path, old: Callable[[], bytes], new: Path, place: Path | None, rng: Random) -> None:
    """Encrypt the ring under the master key in the file `new`, made where there is none, which then takes the place of `place`.

    Cut short anywhere, the ring opens under the master key of one of the two files, and the same again completes it.
    """
    with locked(file):
        if not new.exists():
            replace_file(new, base64.b64encode(rng(32)))
        master = master_of(new)
        if not _opens(file, master):
            write(file, master, open_ring(file, old()), rng)
        if place is not None:
            new.replace(place)
            settle(place.parent)


def master_of(file: Path) -> bytes:
    """The master key in a file. Raises `KeysError`, `OSError`."""
    try:
        master = base64.b64decode(file.read_bytes().strip(), validate=True)
    except ValueError as error:
        raise KeysError(f"{file} is not a master key in base64") from error
    if len(master) != 32:
        raise KeysError(f"{file} is not a master key of 32 bytes")
    return master


def _opens(file: Path, master: bytes) -> bool:
    try:
        open_ring(file, master)
    except KeysError:
        return False
    return True


def write(file: Path, master: bytes, ring: Keys, rng: Random) -> None:
    """Replace the file by this ring, as a whole and durably, readable by its owner alone. Inside `locked`."""
    nonce, plain = rng(12), json.dumps(tree(ring)).encode()
    replace_file(file, _MAGIC + nonce + _cipher(master).encrypt(nonce, plain, _MAGIC))


def replace_file(file: Path, data: bytes) -> None:
    """Another content for a secret file: the old or the new is there at every moment, mode 0600, on disk when this returns."""
    with replacing(file) as stream:
        stream.write(data)


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """As `replace_file`, for what is written bit by bit. What is raised inside leaves the file as it was."""
    temporary = file.with_name(f"{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    settle(file.parent)


def settle(folder: Path) -> None:
    """What was renamed in this folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cipher(master: bytes) -> AESGCM:
    if len(master) != 32:
        raise KeysError("the master key is not 32 bytes of base64")
    return AESGCM(master)


def tree(ring: Keys) -> dict[str, Any]:
    return {
        "signing": [
            {
                **_times(key),
                **_private(key),
                "x5c": [_text(one) for one in key.x5c],
                "compromised": key.compromised,
            }
            for key in ring.signing_keys
        ],
        "secret": [
            {**_times(key), "value": _text(key.value), "token": key.outside is not None} for key in ring.secret_keys
        ],
    }


def _times(key: SigningKey | SecretKey) -> dict[str, Any]:
    names = ("created", "used_from", "use_by", "retired")
    times = {name: getattr(key, name) for name in names}
    told = {name: None if at is None else at.isoformat() for name, at in times.items()}
    return {"kid": key.kid, "purpose": key.purpose, **told}


def _private(key: SigningKey) -> dict[str, Any]:
    if isinstance(key.private, ec.EllipticCurvePrivateKey):
        der = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return {"private": _text(der)}
    public = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"public": _text(public), "token": getattr(key.private, "in_token", False)}


def parse(found: Any, token: Token | None = None, *, first: bool = False) -> Keys:
    """A ring from its JSON; `first`: of version 1, whose keys were used from their creation, a year before their end."""
    return Keys(
        tuple(_signing(row, token, first) for row in found["signing"]),
        tuple(_secret(row, token, first) for row in found["secret"]),
    )


def _secret(row: Any, token: Token | None, first: bool) -> SecretKey:
    outside = _mac_of(row["kid"], token) if row.get("token") else None
    return SecretKey(value=_bytes(row["value"]), outside=outside, **_parsed_times(row, first))


def _mac_of(kid: str, token: Token | None) -> Callable[[bytes], bytes]:
    return _not_at_hand if token is None else token.mac_of(kid)


def _not_at_hand(_data: bytes) -> bytes:
    raise KeysError("a key in a token that keys.token does not name")


def _signing(row: Any, token: Token | None, first: bool) -> SigningKey:
    x5c = tuple(_bytes(one) for one in row["x5c"])
    for one in x5c:
        load_der_x509_certificate(one)
    compromised = bool(row.get("compromised", False))
    return SigningKey(private=_signer(row, token), x5c=x5c, compromised=compromised, **_parsed_times(row, first))


def _signer(row: Any, token: Token | None) -> Signer:
    if "public" in row:
        public = load_der_public_key(_bytes(row["public"]))
        if isinstance(public, ec.EllipticCurvePublicKey):
            in_token = bool(row.get("token"))
            if in_token and token is not None:
                return token.signer(str(row["kid"]), public)
            return PublicPart(public, in_token)
    else:
        private = load_der_private_key(_bytes(row["private"]), None)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private
    raise ValueError("not an elliptic curve key")


def _parsed_times(row: Any, first: bool) -> dict[str, Any]:
    use_by = _time(row["use_by"])
    named = {"kid": str(row["kid"]), "purpose": str(row["purpose"])}
    if first:
        created = (use_by or datetime.max) - timedelta(days=365)
        never = row["purpose"] == "subject"
        return {**named, "created": created, "used_from": created, "use_by": None if never else use_by}
    return {**named, "use_by": use_by, **{name: _time(row[name]) for name in ("created", "used_from", "retired")}}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class RingFile(KeyRing):
    """The ring of a running server: read again when its file was replaced, so that a rotated key is seen at its next use.

    `master` is asked each time: it may turn too. A file that does not open is handed to `told`, once, and the keys of before go on.
    """

    def __init__(
        self, file: Path, master: Callable[[], bytes], told: Callable[[KeysError], None], token: Token | None = None
    ) -> None:
        self._file, self._master, self._told, self._token = file, master, told, token
        self._read = _stamp(file), open_ring(file, master(), token)

    def held(self) -> Keys:
        stamp, keys = _stamp(self._file), self._read[1]
        if stamp != self._read[0]:
            try:
                keys = open_ring(self._file, self._master(), self._token)
            except KeysError as error:
                self._told(error)
            self._read = stamp, keys
        return keys


def _stamp(file: Path) -> tuple[int, ...]:
    """Changes with every replacement of the file; empty where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
