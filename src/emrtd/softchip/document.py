"""What a software chip holds, and its file form, which says on its face that it is a specimen."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from emrtd.errors import Malformed, Misuse
from emrtd.keys import Can, MrzKey

SPECIMEN = "SPECIMEN: software chip, not a document of any State"
VERSION = 1
DOCUMENT_MAX = 1 << 22


@dataclass(frozen=True)
class ChipProfile:
    """How a chip behaves, within and beside the standard.

    ``largest_read`` is the most bytes it gives to one READ BINARY; ``over`` what it does when asked for
    more (give less, give less and call it the end of the file, or answer 6700, 6B00, 6Cxx); ``errors`` how it answers an error inside a channel: protected, plain and the channel goes on,
    plain without counting the command, or plain and the channel ends. ``answers_master_file`` is the status word to
    SELECT of the master file; ``card_access`` where EF.CardAccess is shown; ``application`` when the application can
    be selected: always, or only after PACE, as on French identity cards. ``largest_answer`` is what it gives at once,
    the rest waiting for GET RESPONSE. With ``chip_first`` it refuses active authentication before chip
    authentication. ``tries`` wrong access numbers are allowed before it stops, 0 for no limit. Without ``bac`` only
    PACE opens it. ``milliseconds`` is what each answer takes, ``lost_after`` the bytes of answers after which it leaves
    the field, each time it is laid, 0 for never: whoever lays it (`emrtd.transports.software`) does so.
    """

    largest_read: int = 65536
    extended: bool = True
    over: Literal["truncate", "end_of_file", "refuse", "wrong_offset", "say_length"] = "truncate"
    errors: Literal["protected", "plain", "plain_uncounted", "plain_and_close"] = "protected"
    answers_master_file: int = 0x9000
    bac: bool = True
    card_access: Literal["master_file", "application"] = "master_file"
    application: Literal["open", "after_pace"] = "open"
    largest_answer: int = 256
    chip_first: bool = False
    tries: int = 0
    milliseconds: int = 0
    lost_after: int = 0


@dataclass(frozen=True)
class ChipSecret:
    """A key of chip authentication: its identifier, SubjectPublicKeyInfo and private number."""

    key_id: int | None
    public: bytes = field(repr=False)
    private: int = field(repr=False)


@dataclass(frozen=True)
class ChipDocument:
    """Files by identifier, the access keys, and the active authentication key (PKCS #8 DER, b"" for none).

    With EF.CardAccess among the files the chip speaks PACE; ``can`` opens PACE too where there is one. ``chip_keys``
    are those of chip authentication and its mapping; EF.CardSecurity lies in the master file, see `files.CARD_SECURITY`.
    """

    files: Mapping[int, bytes] = field(repr=False)
    access: MrzKey = field(repr=False)
    private_key: bytes = field(default=b"", repr=False)
    hash: str = "sha256"
    profile: ChipProfile = ChipProfile()
    can: Can | None = field(default=None, repr=False)
    chip_keys: tuple[ChipSecret, ...] = ()

    def to_bytes(self) -> bytes:
        """A JSON file that states what it is."""
        content = {
            "what": SPECIMEN,
            "version": VERSION,
            "access": [self.access.document_number, self.access.birth_date, self.access.expiry_date],
            "can": self.can.value if self.can else "",
            "profile": asdict(self.profile),
            "hash": self.hash,
            "private_key": _encode(self.private_key),
            "chip_keys": [[key.key_id, _encode(key.public), f"{key.private:x}"] for key in self.chip_keys],
            "files": {f"{file_id:04X}": _encode(content) for file_id, content in sorted(self.files.items())},
        }
        return json.dumps(content, indent=1).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> ChipDocument:
        """Raises Malformed for anything but a specimen of this version."""
        if len(data) > DOCUMENT_MAX:
            raise Malformed(f"a document file of {len(data)} bytes")
        try:
            return _read(cls, json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, Misuse) as error:
            raise Malformed(f"not a specimen document: {error}") from error


def _read(kind: type[ChipDocument], content: dict[str, object]) -> ChipDocument:
    if content["what"] != SPECIMEN or content["version"] != VERSION:
        raise Malformed("not a specimen document of this version")
    files, access, profile = content["files"], content["access"], content["profile"]
    chip_keys = content.get("chip_keys", [])
    if not (isinstance(files, dict) and isinstance(access, list) and isinstance(profile, dict)):
        raise Malformed("not a specimen document: its parts have other types")
    if not isinstance(chip_keys, list):
        raise Malformed("not a specimen document: its parts have other types")
    return kind(
        files={int(file_id, 16): _decode(data) for file_id, data in files.items()},
        access=MrzKey(*map(str, access)),
        private_key=_decode(content["private_key"]),
        hash=str(content["hash"]),
        profile=ChipProfile(**profile),
        can=Can(str(content["can"])) if content.get("can") else None,
        chip_keys=tuple(ChipSecret(key_id, _decode(key), int(private, 16)) for key_id, key, private in chip_keys),
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed("not a specimen document: bytes are base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Malformed(f"not a specimen document: {error}") from error
