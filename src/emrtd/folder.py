"""A document as a folder of its elementary files: names to bytes, and back.

`recognise` says which file a name means, in the manners that reading programs have: ``EF.DG1``, ``EF_SOD.bin``,
``Datagroup14.bin``, ``DG02.dat``, or the file identifier as in ``0101`` and ``011D.bin``. `to_raw` makes of such files
what a chip would have given; `from_raw` writes the names of the standard.

Beside the files stands `EVIDENCE`, what the chip showed of itself while it was read, so that whoever keeps the folder
can hold it again against the signed keys. It convinces whoever trusts the reading program: the key agreed in chip
authentication is in it, and with that key anyone could have made the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from emrtd import tlv
from emrtd.active_authentication import CHALLENGE
from emrtd.chip_authentication import Evidence
from emrtd.errors import MalformedFolder, MalformedTlv
from emrtd.files import (
    CARD_ACCESS,
    CARD_SECURITY,
    COM,
    GROUPS,
    NEVER_SELECTED,
    SOD,
    ElementaryFile,
)
from emrtd.gathering import FILE_MAX
from emrtd.pace import ChipMapping
from emrtd.passive import RawDocument

EVIDENCE = "evidence.json"
WHAT, VERSION = "eMRTD evidence: what a chip showed of itself while it was read", 1
EVIDENCE_MAX = 1 << 16
NAMES_MAX = 256
PRIVATE_BITS, COUNTER_BITS, NUMBER_BITS = 4096, 128, 32
ENDINGS = (".bin", ".dat", ".der", ".ber", ".ef", ".raw", ".tlv")
PADDING = frozenset((0x00, 0xFF))

_NAMED = {file.name.lower(): file for file in (COM, SOD, CARD_ACCESS, CARD_SECURITY)}
_READ_GROUPS = {number: file for number, file in GROUPS.items() if number not in NEVER_SELECTED}
_READ = {file.file_id: file for file in (COM, SOD, CARD_ACCESS, *_READ_GROUPS.values())}
_GROUP = re.compile(r"(?:ef)?(?:dg|datagroup)0?([1-9]|1[0-6])")
_NAME = re.compile(rf"(?:ef)?({'|'.join(_NAMED)})")
_PROTOCOL = re.compile(r"[A-Z0-9-]{0,40}")  # a folder may come from anyone, and this is shown
_IDENTIFIER = re.compile(r"(?:ef)?(01[0-9a-f]{2})")


def recognise(name: str) -> ElementaryFile | None:
    """The file that `name` means; None for any other name, and for fingerprints and iris, which are never read."""
    plain = name.lower()
    ending = next((one for one in ENDINGS if plain.endswith(one)), "")
    plain = re.sub(r"[^a-z0-9]", "", plain[: len(plain) - len(ending)])
    if match := _GROUP.fullmatch(plain):
        return _READ.get(0x0100 + int(match[1]))
    if match := _NAME.fullmatch(plain):
        return _NAMED[match[1]]
    match = _IDENTIFIER.fullmatch(plain)
    return _READ.get(int(match[1], 16)) if match else None


def to_raw(files: Mapping[str, bytes]) -> RawDocument:
    """What a chip with these files would have given; names that mean none of them are left alone.

    Raises MalformedFolder: no security object, two contents for one file, a file beyond all bounds.
    """
    contents = _contents(files)
    if SOD not in contents:
        raise MalformedFolder("no security object: there is no EF.SOD")
    groups = {number: contents[file] for number, file in _READ_GROUPS.items() if file in contents}
    return RawDocument(
        sod=contents[SOD],
        groups=groups,
        com=contents.get(COM),
        card_access=contents.get(CARD_ACCESS),
        card_security=contents.get(CARD_SECURITY),
        **_evidence(files.get(EVIDENCE)),
    )


def _contents(files: Mapping[str, bytes]) -> dict[ElementaryFile, bytes]:
    if len(files) > NAMES_MAX:
        raise MalformedFolder(f"{len(files)} files are no document")
    contents: dict[ElementaryFile, bytes] = {}
    for name, content in sorted(files.items()):
        file = recognise(name)
        if file is None:
            continue
        if len(content) > FILE_MAX:
            raise MalformedFolder(f"{name}: {len(content)} bytes")
        if file is SOD and content[:1] == bytes((CARD_SECURITY.tag,)):
            file = CARD_SECURITY  # both have the identifier 011D, in two folders of the chip
        own = _unpadded(content)
        if contents.setdefault(file, own) != own:
            raise MalformedFolder(f"two different files for EF.{file.name}")
    return contents


def _unpadded(content: bytes) -> bytes:
    """Without the filling of a file that was copied whole, in the chip's blocks: what is signed is the object."""
    try:
        end = tlv.read_header(content).total
    except MalformedTlv:
        return content
    return content[:end] if set(content[end:]) <= PADDING else content


def from_raw(raw: RawDocument) -> dict[str, bytes]:
    """The files by the names of the standard, and the evidence."""
    named = {COM: raw.com, SOD: raw.sod, CARD_ACCESS: raw.card_access, CARD_SECURITY: raw.card_security}
    contents = {**named, **{GROUPS[number]: content for number, content in sorted(raw.groups.items())}}
    files = {f"EF.{file.name}": content for file, content in contents.items() if content is not None}
    return {**files, EVIDENCE: _written(raw)}


def _written(raw: RawDocument) -> bytes:
    tree: dict[str, Any] = {"what": WHAT, "version": VERSION, "protocol": raw.protocol}
    if raw.response:
        tree["active_authentication"] = {"challenge": raw.challenge.hex(), "response": raw.response.hex()}
    if raw.chip_authentication is not None:
        shown = raw.chip_authentication
        tree["chip_authentication"] = {
            "protocol": shown.protocol,
            "key_id": shown.key_id,
            "private": f"{shown.private:x}",
            "counter": shown.counter,
            "answer": shown.answer.hex(),
        }
    if raw.chip_mapping is not None:
        mapping = raw.chip_mapping
        tree["chip_mapping"] = {
            "parameter": mapping.parameter,
            "key": mapping.key.hex(),
            "data": mapping.data.hex(),
        }
    return json.dumps(tree, indent=1).encode("ascii") + b"\n"


def _evidence(content: bytes | None) -> dict[str, Any]:
    """The members of RawDocument that `EVIDENCE` holds. Raises MalformedFolder."""
    if content is None:
        return {}
    if len(content) > EVIDENCE_MAX:
        raise MalformedFolder(f"{EVIDENCE}: {len(content)} bytes")
    try:
        tree = json.loads(content)
        return _read_evidence(tree)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MalformedFolder(f"{EVIDENCE} does not have its form") from error


def _read_evidence(tree: dict[str, Any]) -> dict[str, Any]:
    if tree["what"] != WHAT or tree["version"] != VERSION or not _PROTOCOL.fullmatch(tree["protocol"]):
        raise ValueError("another file")
    found: dict[str, Any] = {"protocol": tree["protocol"]}
    if active := tree.get("active_authentication"):
        found["challenge"] = _sized(bytes.fromhex(active["challenge"]), CHALLENGE)
        found["response"] = bytes.fromhex(active["response"])
    if shown := tree.get("chip_authentication"):
        key_id = shown["key_id"]
        found["chip_authentication"] = Evidence(
            protocol=shown["protocol"] + "",
            key_id=None if key_id is None else _within(key_id, NUMBER_BITS),
            private=_within(int(shown["private"], 16), PRIVATE_BITS),
            counter=_within(shown["counter"], COUNTER_BITS),
            answer=bytes.fromhex(shown["answer"]),
        )
    if mapping := tree.get("chip_mapping"):
        key, data = bytes.fromhex(mapping["key"]), bytes.fromhex(mapping["data"])
        found["chip_mapping"] = ChipMapping(_within(mapping["parameter"], NUMBER_BITS), key, data)
    return found


def _within(value: object, bits: int) -> int:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise ValueError("a number beyond its bounds")
    return value


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"{size} bytes are expected")
    return value
