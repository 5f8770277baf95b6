"""What somebody who holds the chip, the phone or the wire would try, and who stops it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from asn1crypto import cms, core
from emrtd_flawed_pki import Recipe, integer, key, name, signer_under
from emrtd_specimens import DESCRIPTION, JPEG, MADE, NOW, make_document, make_state, read

from emrtd import folder, pace, tlv
from emrtd.apdu import ResponseApdu
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
    Misuse,
    SignedByAnotherState,
    SignerNotAllowed,
    TagLost,
)
from emrtd.exchange import Transmit, run
from emrtd.files import CARD_SECURITY, SOD, group_file
from emrtd.groups import standardised
from emrtd.key_agreement import compose_public, load_public
from emrtd.keys import Can
from emrtd.lds.card_security import SECURITY_OBJECT
from emrtd.lds.security_infos import (
    PACE,
    PUBLIC_KEY,
    SecurityInfo,
    SecurityInfos,
    compose_dg14,
    compose_security_infos,
    parse_dg14,
    parse_security_infos,
)
from emrtd.lds.sod import parse_sod
from emrtd.pace import ChipMapping
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.ber import to_definite
from emrtd.pki.certificate import load_certificate
from emrtd.pki.cms import read_signed_data
from emrtd.pki.states import check_issuing_state
from emrtd.pki.trust import TrustStore
from emrtd.proofs import Proofs
from emrtd.reading import read_document
from emrtd.reading_plan import ReadingPlan, gatherings
from emrtd.rng import seeded
from emrtd.softchip import SoftChip
from emrtd.softchip.faults import cloned
from emrtd.softchip.signing import compose_sod

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
        accepted(raw)


def signed_again(raw: RawDocument, **groups: bytes) -> RawDocument:
    """The document with other contents of data groups, signed by its State."""
    found = {**raw.groups, **{int(name.removeprefix("dg")): content for name, content in groups.items()}}
    return replace(raw, groups=found, sod=compose_sod(found, make_state().signer, digest="sha256", at=MADE))


def accepted(raw: RawDocument) -> AuthenticDocument:
    return passive_authentication(raw, make_state().trust, at=NOW)


def test_a_copy_that_hides_the_mapping_and_its_key_is_a_copy() -> None:
    """The key stands in EF.CardSecurity alone, the signed DG14 only says that the chip has one."""
    raw = read(make_document(MAPPED))
    (way,) = parse_dg14(raw.groups[14]).pace
    hidden = replace(raw, card_security=None, chip_mapping=None, protocol="PACE-ECDH-GM-AES-128")
    hidden = signed_again(hidden, dg14=compose_dg14((way,)))
    with pytest.raises(ChipIsCopy):
        prove_chip(accepted(hidden), hidden)


def test_a_way_of_pace_that_was_left_out_on_the_way_is_told() -> None:
    raw = read(make_document(replace(SMALL, pace=("ECDH-GM-AES-256/13", "ECDH-GM-3DES/8"))))
    weaker = min(parse_security_infos(raw.card_access or b"").pace, key=lambda info: info.protocol)
    assert "card_access_differs_from_dg14" not in accepted(raw).warnings
    left = replace(raw, card_access=compose_security_infos((weaker,)))
    assert "card_access_differs_from_dg14" in accepted(left).warnings


def test_3des_is_not_taken_where_aes_is_offered() -> None:
    both = replace(SMALL, pace=("ECDH-GM-3DES/13", "ECDH-GM-AES-128/13"))
    assert read(make_document(both)).protocol == "PACE-ECDH-GM-AES-128"
    both = replace(SMALL, chip_authentication=("ECDH-3DES/13", "ECDH-AES-128/13"))
    raw = read(make_document(both))
    assert prove_chip(accepted(raw), raw) == ("CA-ECDH-AES-128",)


def test_bac_is_not_confirmed_where_dg14_is_held_back() -> None:
    raw = read(make_document(replace(SMALL, chip_authentication=("ECDH-AES-128/13",))))
    assert "access_not_confirmed" not in accepted(raw).warnings
    held_back = replace(raw, groups={number: raw.groups[number] for number in (1, 2)})
    assert "access_not_confirmed" in accepted(held_back).warnings


def test_the_signature_of_a_security_object_does_not_serve_card_security() -> None:
    """Signed attributes given out as content: what a State signed is then the attributes, under another name."""
    raw = read(make_document(MAPPED))
    genuine = cms.ContentInfo.load(tlv.expect(raw.sod, SOD.tag).value)["content"]
    signer = genuine["signer_infos"][0]
    names = ("version", "sid", "digest_algorithm", "signature_algorithm", "signature")
    content = {
        "version": "v3",
        "digest_algorithms": genuine["digest_algorithms"],
        "encap_content_info": {
            "content_type": cms.ContentType(SECURITY_OBJECT),
            "content": cms.ParsableOctetString(parse_sod(raw.sod).signer.attributes),
        },
        "certificates": genuine["certificates"],
        "signer_infos": [cms.SignerInfo({name: signer[name] for name in names})],
    }
    forged = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(content)}).dump()
    with pytest.raises(MalformedFile):
        accepted(replace(raw, card_security=forged))


def test_what_a_file_holds_is_shown_by_no_step_of_its_reading() -> None:
    content = make_document(SMALL).files[0x0101]
    item, _ = tlv.read(content)
    shown = repr(ResponseApdu(content, 0x9000)) + repr(item)
    assert "LEFEVRE" in repr(content)
    assert "LEFEVRE" not in shown


def test_a_proven_document_is_not_altered_into_another() -> None:
    document = accepted(read(make_document(SMALL)))
    assert document.dg1 is not None
    with pytest.raises((TypeError, ValueError, Misuse)):
        replace(document, dg1=replace(document.dg1, primary="AUTRE"))


# --- trust ----------------------------------------------------------------------------------------------------


def test_a_trusted_state_makes_no_authority_for_another() -> None:
    ours = Recipe(key("ours", "secp384r1"), subject=name("UT"))
    link = Recipe(key("link"), issued_by=ours, subject=name("FR"), serial=integer(3))
    signer = load_certificate(signer_under(link, key("signer")).der)
    trust = TrustStore.of([ours.der], unvouched=[link.der])
    with pytest.raises(SignerNotAllowed):
        trust.check_path(signer, NOW)


def test_a_state_does_not_name_itself_another() -> None:
    """The alternative name of its authority has the code of the other."""
    code = tlv.encode(0x31, tlv.encode(0x30, bytes.fromhex("0603550407"), tlv.encode(0x13, b"FRA")))
    names = tlv.encode(0x30, tlv.encode(0xA4, tlv.encode(0x30, code)))
    found = load_certificate(Recipe(key("state"), subject=name("UT"), more={"2.5.29.17": (False, names)}).der)
    assert found.issuing_codes == ("FRA",)
    with pytest.raises(SignedByAnotherState):
        check_issuing_state(found, "FRA")


def swapped(content: bytes, old: bytes, new: bytes) -> bytes:
    """With the object `old` replaced, wherever it stands, and the lengths around it."""
    return b"".join(
        new if item.raw == old else tlv.encode(item.tag, swapped(item.value, old, new)) if item.tag & 0x20 else item.raw
        for item in tlv.parse(content)
    )


def test_a_signing_time_without_zone_is_read_as_utc() -> None:
    content = tlv.expect(read(make_document(SMALL)).sod, SOD.tag).value
    local = swapped(content, tlv.encode(0x17, b"250301120000Z"), tlv.encode(0x18, b"20250301120000"))
    assert local != content
    (signer,) = read_signed_data(local).signers
    assert signer.signing_time == MADE


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
