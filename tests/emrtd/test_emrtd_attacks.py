"""What somebody who holds the chip, the phone or the wire would try, and who stops it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from asn1crypto import core
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state

from emrtd import folder, pace, tlv
from emrtd.authenticity import prove_chip
from emrtd.chip_authentication import chip_keys, offers, verify_mapping
from emrtd.contact import first_contact, read_contact
from emrtd.errors import (
    ChannelBroken,
    ChipIsCopy,
    DataGroupAltered,
    Malformed,
    MalformedFile,
    MalformedFolder,
    MalformedTlv,
    TagLost,
)
from emrtd.exchange import Transmit, run
from emrtd.files import CARD_SECURITY, group_file
from emrtd.groups import standardised
from emrtd.key_agreement import compose_public, load_public
from emrtd.keys import Can
from emrtd.lds.security_infos import PACE, PUBLIC_KEY, SecurityInfo, SecurityInfos, parse_security_infos
from emrtd.pace import ChipMapping
from emrtd.passive import passive_authentication
from emrtd.pki.ber import to_definite
from emrtd.proofs import Proofs
from emrtd.reading import read_document
from emrtd.reading_plan import ReadingPlan, gatherings
from emrtd.rng import seeded
from emrtd.softchip import SoftChip
from emrtd.softchip.faults import cloned

SMALL = replace(DESCRIPTION, portrait=JPEG[:900], active_authentication="none")
MAPPED = replace(SMALL, pace=("ECDH-CAM-AES-128/13",))


def lost_at(transmit: Transmit, last: int) -> Transmit:
    """A chip that leaves the field in place of answering command number `last`."""
    count = 0

    def send(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        if count == last:
            raise TagLost
        return transmit(apdu)

    return send


def commands_of(transmit: Transmit, access: object) -> int:
    count = 0

    def send(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        return transmit(apdu)

    run(read_document(access, rng=seeded(b"t")), send)  # type: ignore[arg-type]
    return count


def test_the_proof_of_one_chip_does_not_serve_the_files_of_another() -> None:
    """A copy of one document is read up to its end and taken away; in its place lies a genuine card of the same State,
    which proves itself by its mapping. A relay that knows what opens both makes them open alike."""
    victim, card = make_document(MAPPED), make_document(replace(MAPPED, surname="Autre", given_names="Personne"))
    files = {file_id: content for file_id, content in victim.files.items() if file_id != CARD_SECURITY.file_id}
    copy = replace(cloned(victim, seeded(b"forger")), files=files)
    assert copy.access == card.access
    commands = commands_of(SoftChip(copy, seeded(b"s")).transmit, copy.access)
    with pytest.raises(TagLost) as lost:
        run(
            read_document(copy.access, rng=seeded(b"t")),
            lost_at(SoftChip(copy, seeded(b"s")).transmit, commands),
        )
    chip = SoftChip(card, seeded(b"s"))
    contact = run(first_contact(), chip)
    raw = run(read_document(card.access, contact=contact, rng=seeded(b"u"), resume=lost.value.read), chip)
    with pytest.raises(DataGroupAltered):
        prove_chip(passive_authentication(raw, make_state().trust, at=NOW), raw)


# --- crashes --------------------------------------------------------------------------------------------------


def spki(p: int, g: int, q: int, y: int) -> bytes:
    """SubjectPublicKeyInfo of X9.42, with any numbers."""
    oid = core.ObjectIdentifier("1.2.840.10046.2.1").dump()
    numbers = tlv.encode(0x30, *(core.Integer(number).dump() for number in (p, g, q)))
    return tlv.encode(0x30, tlv.encode(0x30, oid, numbers), tlv.encode(0x03, b"\0", core.Integer(y).dump()))


def test_a_key_whose_identifier_is_no_number_is_not_used() -> None:
    group = standardised(13)
    key = SecurityInfo(f"{PUBLIC_KEY}.2", compose_public(group, group.generator), bytes.fromhex("0400"))
    assert offers(SecurityInfos((key,))) == ()


@pytest.mark.parametrize("q", [0, 1, 3])
def test_a_subgroup_of_no_size_is_no_group(q: int) -> None:
    with pytest.raises(Malformed):
        load_public(spki((1 << 2047) + 1, 2, q, 5))


@pytest.mark.parametrize(
    "change",
    [
        '"chip_mapping": {"parameter": 1e999, "key": "00", "data": "00"}',
        '"chip_authentication": {"protocol": "1", "key_id": 1e999, "private": "1", "counter": 1, "answer": ""}',
        '"chip_authentication": {"protocol": "1", "key_id": null, "private": "1", "counter": 1.5, "answer": ""}',
        '"chip_authentication": {"protocol": "1", "key_id": null, "private": "1", "counter": true, "answer": ""}',
        '"protocol": "BAC\\n  proven      the chip was no copy: CA"',
        '"protocol": "\\u001b[2J"',
    ],
)
def test_evidence_of_a_stranger(change: str) -> None:
    evidence = f'{{"what": "{folder.WHAT}", "version": 1, "protocol": "BAC", {change}}}'
    with pytest.raises(MalformedFolder):
        folder.to_raw({"EF.SOD": b"w\0", folder.EVIDENCE: evidence.encode()})


def plan_of(*numbers: int) -> ReadingPlan:
    files = gatherings(tuple(map(group_file, numbers)), {}, card_security=False)
    return ReadingPlan(files, Proofs(seeded(b"t")))


def test_a_key_file_that_is_empty_leaves_something_to_ask_or_nothing_to_want() -> None:
    plan = plan_of(15)
    for item in plan.files.values():
        item.end = 0
    assert plan.complete or plan.plan("application", extended=True)


# --- time and memory ------------------------------------------------------------------------------------------


def test_long_files_in_single_bytes_are_planned_one_batch_at_a_time() -> None:
    """A chip that claims the longest files and says 6C01 to every read."""
    plan = plan_of(1, 2, 11, 14, 15)
    for item in plan.files.values():
        item.add(0, bytes((item.file.tag, 0x83, 0x03, 0xFF, 0xF0, 0)))
        item.limit = 1
    tracemalloc.start()
    steps = plan.plan("application", extended=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(steps) == 400
    assert most < 4 << 20


def test_mapping_data_beyond_the_order_are_refused_before_any_arithmetic() -> None:
    group = standardised(13)
    key = SecurityInfo(f"{PUBLIC_KEY}.2", compose_public(group, group.generator), bytes.fromhex("02010D"))
    size = (group.order.bit_length() + 7) // 8
    beyond = (group.order + 1).to_bytes(size, "big")  # the same multiple as 1, so only its size refuses it
    mapping = ChipMapping(13, group.generator, beyond)
    with pytest.raises(ChipIsCopy):
        verify_mapping(mapping, SecurityInfos((key,)))
    assert verify_mapping(replace(mapping, data=b"\1"), SecurityInfos((key,))) == "PACE-CAM"


def test_a_nonce_without_end_is_not_mapped() -> None:
    info = pace.read_info(SecurityInfo(f"{PACE}.1.2", b"\2\1\2", b"\2\1\0"))
    assert info is not None
    _, mapping = pace.begin(info, Can("123456"), seeded(b"t"))
    nonce = tlv.encode(0x7C, tlv.encode(0x80, bytes(4096)))
    mapped = tlv.encode(0x7C, tlv.encode(0x82, info.group.generator))
    with pytest.raises(ChannelBroken, match="nonce"):
        pace.agree(mapping, nonce, mapped, seeded(b"t"))


def test_an_object_identifier_without_end_is_not_decoded() -> None:
    for oid in (b"\x2a" + b"\x7f" * 65, b"\x2a" + b"\xff" * 65 + b"\x7f"):
        info = tlv.encode(0x30, tlv.encode(0x06, oid), b"\2\1\2")
        with pytest.raises(MalformedFile, match="object identifier of"):
            parse_security_infos(tlv.encode(0x31, info))


@pytest.mark.parametrize("before", [b"\x1f\x81\x01\x01a", b"\x04\x85\0\0\0\0\x01a"], ids=["tag", "length"])
def test_no_odd_object_hides_an_object_identifier_without_end(before: bytes) -> None:
    hidden = tlv.encode(0x06, b"\x2a" + b"\xff" * 200 + b"\x7f")
    with pytest.raises(MalformedTlv):
        to_definite(tlv.encode(0x30, before, hidden))


def test_what_follows_an_object_is_nobodys_affair() -> None:
    content = b"\x30\x03\x02\x01\x05" + b"\x02\xff\xff" * 9
    assert to_definite(content) == content


def test_a_chip_with_countless_keys_is_believed_few_of_them() -> None:
    group = standardised(13)
    keys = tuple(
        SecurityInfo(f"{PUBLIC_KEY}.2", compose_public(group, group.generator), core.Integer(number).dump())
        for number in range(100)
    )
    assert len(chip_keys(SecurityInfos(keys))) == 8


def test_card_access_of_any_size_is_cut() -> None:
    found = read_contact((b"\x90\0",) * 3 + (b"\x31\x83\1\0\0" + bytes(60_000) + b"\x90\0",))
    assert found.card_access is not None
    assert len(found.card_access) <= 1024
