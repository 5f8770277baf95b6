"""Whole inspections: open the chip, read it, let it prove itself, over every protocol that documents use."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from emrtd_specimens import DESCRIPTION, JPEG, MADE, NOW, make_document, make_state, read

from emrtd import chip_authentication, tlv
from emrtd.apdu import parse_command
from emrtd.authenticity import prove_chip
from emrtd.chip_authentication import offers
from emrtd.contact import first_contact
from emrtd.errors import ChipIsCopy, DataGroupAltered, EmrtdError, MalformedFile, NoChipKey, TagLost
from emrtd.exchange import Traffic, run
from emrtd.files import CARD_SECURITY, COM, group_file
from emrtd.groups import CURVE_PARAMETERS, CurveGroup, standardised
from emrtd.key_agreement import load_public
from emrtd.keys import AUTHENTICATION, ENCRYPTION
from emrtd.lds.com import compose_com
from emrtd.lds.security_infos import parse_dg14
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, Description, SoftChip
from emrtd.softchip.document import ChipSecret
from emrtd.softchip.faults import lost_after
from emrtd.softchip.signing import compose_sod

FRENCH_SIZE = replace(DESCRIPTION, portrait=JPEG[:17] + seeded(b"large")(17_900))
SMALL = replace(DESCRIPTION, portrait=JPEG[:900])
CIPHERS = ("3DES", "AES-128", "AES-192", "AES-256")
DG14 = group_file(14).file_id
AGREEMENTS = (
    *(f"ECDH-{cipher}/{parameter}" for cipher in CIPHERS for parameter in (8, 10, 11, 12, 13, 14, 15, 17, 18)),
    *(f"DH-{cipher}/{parameter}" for cipher in CIPHERS for parameter in (0, 1, 2)),
)
MAPPINGS = (
    *(f"ECDH-IM-{cipher}/{parameter}" for cipher in CIPHERS for parameter in sorted(set(CURVE_PARAMETERS) - {10})),
    *(f"ECDH-CAM-{cipher}/{parameter}" for cipher in CIPHERS[1:] for parameter in sorted(CURVE_PARAMETERS)),
    *(
        f"DH-{mapping}-{cipher}/{parameter}"
        for mapping in ("GM", "IM")
        for cipher in CIPHERS
        for parameter in (0, 1, 2)
    ),
)


def inspect(raw: RawDocument) -> tuple[AuthenticDocument, tuple[str, ...]]:
    document = passive_authentication(raw, make_state().trust, at=NOW)
    return document, prove_chip(document, raw)


def specimen(description: Description = SMALL, **changes: object) -> Description:
    return replace(description, **{"active_authentication": "none", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("extended", [True, False], ids=["extended", "short"])
@pytest.mark.parametrize("way", AGREEMENTS)
def test_every_chip_authentication(way: str, extended: bool) -> None:
    document = make_document(specimen(chip_authentication=(way,)), profile=ChipProfile(extended=extended))
    raw = read(document, extended=extended)
    found, proofs = inspect(raw)
    assert proofs == ("CA-" + way.partition("/")[0],)
    assert raw.groups[2] == document.files[0x0102]
    assert found.chip_key == hashlib.sha256(document.chip_keys[0].public).digest()


@pytest.mark.parametrize("way", MAPPINGS)
def test_every_way_of_pace(way: str) -> None:
    document = make_document(specimen(pace=(way,), can="500540"), profile=ChipProfile(bac=False))
    raw = read(document)
    assert raw.protocol == "PACE-" + way.partition("/")[0]
    assert raw.groups[1] == document.files[0x0101]
    found = passive_authentication(raw, make_state().trust, at=NOW)
    if "CAM" in way:
        assert prove_chip(found, raw) == ("PACE-CAM",)
    else:
        with pytest.raises(NoChipKey):
            prove_chip(found, raw)


@pytest.mark.parametrize("parameter", [1, 2])
def test_long_keys_in_short_commands(parameter: int) -> None:
    """A chip without extended length takes a 256-byte key in chained commands."""
    description = specimen(pace=(f"DH-GM-AES-256/{parameter}",), chip_authentication=(f"DH-3DES/{parameter}",))
    document = make_document(description, profile=ChipProfile(extended=False, bac=False))
    assert inspect(read(document))[1] == ("CA-DH-3DES",)


@pytest.mark.parametrize("extended", [True, False], ids=["extended", "short"])
@pytest.mark.parametrize(
    ("pace", "agreement", "active", "trips", "proofs"),
    [
        ((), ("ECDH-AES-128/13",), "rsa-2048", 3, ("CA-ECDH-AES-128", "AA-RSA")),
        ((), ("ECDH-3DES/13",), "none", 3, ("CA-ECDH-3DES",)),
        ((), (), "secp256r1", 3, ("AA-ECDSA",)),
        (("ECDH-GM-AES-256/13",), ("ECDH-3DES/13",), "none", 4, ("CA-ECDH-3DES",)),
        (("ECDH-IM-AES-128/12",), ("ECDH-AES-256/18",), "brainpoolP256r1", 4, ("CA-ECDH-AES-256", "AA-ECDSA")),
        (("ECDH-CAM-AES-128/13", "ECDH-GM-AES-128/13"), (), "none", 3, ("PACE-CAM",)),
        (("ECDH-CAM-AES-128/13",), ("ECDH-AES-128/13",), "rsa-2048", 4, ("PACE-CAM", "AA-RSA")),
    ],
    ids=str,
)
def test_round_trips_of_a_french_size_document(
    pace: tuple[str, ...], agreement: tuple[str, ...], active: str, trips: int, proofs: tuple[str, ...], extended: bool
) -> None:
    description = replace(FRENCH_SIZE, pace=pace, chip_authentication=agreement, active_authentication=active)
    document, traffic = make_document(description), Traffic()
    raw = read(document, traffic=traffic, extended=extended)
    assert inspect(raw)[1] == proofs
    assert traffic.round_trips == trips
    assert raw.groups[2] == document.files[0x0102]


def test_a_french_passport_goes_from_aes_to_3des() -> None:
    """DG14 with the key alone: ECDH-3DES is meant."""
    description = specimen(
        pace=("ECDH-GM-AES-256/13",), chip_authentication=("ECDH-3DES/13",), chip_authentication_told=False
    )
    document = make_document(description)
    infos = parse_dg14(document.files[DG14])
    assert infos.chip_keys
    assert not infos.chip_authentication
    assert inspect(read(document))[1] == ("CA-ECDH-3DES",)


def test_the_key_is_chosen_by_its_identifier() -> None:
    """Three keys, each with its cipher: the strongest cipher is used, with its own key."""
    ways = ("ECDH-3DES/12", "ECDH-AES-256/13", "DH-AES-128/2")
    document = make_document(specimen(chip_authentication=ways))
    assert [offer.name for offer in offers(parse_dg14(document.files[DG14]))] == [
        "CA-ECDH-AES-256", "CA-DH-AES-128", "CA-ECDH-3DES",
    ]  # fmt: skip
    assert inspect(read(document))[1] == ("CA-ECDH-AES-256",)


@pytest.mark.parametrize("errors", ["protected", "plain", "plain_uncounted", "plain_and_close"])
@pytest.mark.parametrize("chip_first", [True, False])
def test_chip_authentication_comes_before_active(chip_first: bool, errors: str) -> None:
    profile = ChipProfile(chip_first=chip_first, errors=errors)  # type: ignore[arg-type]
    description = replace(SMALL, chip_authentication=("ECDH-AES-128/13",), active_authentication="secp256r1")
    raw = read(make_document(description, profile=profile))
    assert inspect(raw)[1] == ("CA-ECDH-AES-128", "AA-ECDSA")


@pytest.mark.parametrize("errors", ["protected", "plain", "plain_uncounted", "plain_and_close"])
@pytest.mark.parametrize("way", ["ECDH-3DES/13", "ECDH-AES-128/13", "DH-AES-256/1"])
def test_a_copy_cannot_go_on_in_the_new_channel(way: str, errors: str) -> None:
    profile = ChipProfile(errors=errors)  # type: ignore[arg-type]
    document = make_document(specimen(chip_authentication=(way,)), profile=profile)
    raw = read(with_other_key(document))
    assert raw.groups == read(document).groups
    with pytest.raises(ChipIsCopy):
        inspect(raw)


def with_other_key(document: ChipDocument) -> ChipDocument:
    """The files of one chip on another, whose private key is its own."""
    secrets = tuple(replace(secret, private=secret.private - 1) for secret in document.chip_keys)
    return replace(document, chip_keys=secrets)


def test_a_copy_cannot_map_with_the_signed_key() -> None:
    document = make_document(specimen(pace=("ECDH-CAM-AES-128/13",)))
    with pytest.raises(ChipIsCopy):
        inspect(read(with_other_key(document)))


def test_a_chip_that_refuses_chip_authentication_alone_is_a_copy() -> None:
    document = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    raw = read(replace(document, chip_keys=()))
    assert raw.chip_authentication is None
    with pytest.raises(ChipIsCopy, match="promise"):
        inspect(raw)


def test_one_proof_is_enough_where_the_other_is_refused() -> None:
    description = replace(SMALL, chip_authentication=("ECDH-AES-128/13",), active_authentication="secp256r1")
    document = make_document(description)
    assert inspect(read(replace(document, chip_keys=())))[1] == ("AA-ECDSA",)
    assert inspect(read(replace(document, private_key=b"")))[1] == ("CA-ECDH-AES-128",)


def test_a_proof_with_a_key_that_nobody_signed() -> None:
    """A forger puts a DG14 of its own on the chip: the proof holds, but the hash does not."""
    document = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    other = make_document(specimen(chip_authentication=("ECDH-AES-128/12",)))
    forged = replace(document, files={**document.files, DG14: other.files[DG14]}, chip_keys=other.chip_keys)
    raw = read(forged)
    with pytest.raises(DataGroupAltered):
        inspect(raw)
    genuine = passive_authentication(read(document), make_state().trust, at=NOW)
    with pytest.raises(ChipIsCopy):
        prove_chip(genuine, raw)


def test_a_proof_is_not_worth_anything_for_another_document() -> None:
    first = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    second = make_document(specimen(chip_authentication=("ECDH-AES-128/13",), number="24AA99999", surname="Autre"))
    raw, other = read(first), read(replace(second, chip_keys=first.chip_keys))
    assert inspect(raw)[1]
    assert other.groups[1] != raw.groups[1]


def test_card_security_of_another_state_is_refused() -> None:
    description = specimen(pace=("ECDH-CAM-AES-128/13",))
    document = make_document(description)
    content = bytearray(document.files[CARD_SECURITY.file_id])
    content[-1] ^= 1
    raw = read(document)
    with pytest.raises(EmrtdError):
        inspect(replace(raw, card_security=bytes(content)))


def test_without_card_security_the_mapping_is_held_against_dg14() -> None:
    document = make_document(specimen(pace=("ECDH-CAM-AES-128/13",)))
    without = {file_id: content for file_id, content in document.files.items() if file_id != CARD_SECURITY.file_id}
    raw = read(replace(document, files=without))
    assert raw.card_security is None
    assert "PACE-CAM" in inspect(raw)[1]


def test_a_lost_tag_proves_itself_in_the_end() -> None:
    description = replace(FRENCH_SIZE, pace=("ECDH-GM-AES-256/13",), chip_authentication=("ECDH-3DES/13",))
    document, so_far, losses = make_document(description), None, 0
    while True:
        chip = SoftChip(document, seeded(b"silicon"))
        found = run(first_contact(), chip)
        reading = read_document(document.access, contact=found, rng=seeded(b"t"), resume=so_far)
        try:
            raw = run(reading, lost_after(chip, 6_000))
            break
        except TagLost as lost:
            so_far, losses = lost.read, losses + 1
    assert losses >= 3
    assert inspect(raw)[1] == ("CA-ECDH-3DES", "AA-ECDSA")


def test_evidence_can_be_checked_again_and_not_altered() -> None:
    document = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    raw = read(document)
    found, _ = inspect(raw)
    assert prove_chip(found, raw) == prove_chip(found, raw)
    evidence = raw.chip_authentication
    assert evidence is not None
    altered = bytes((*evidence.answer[:-3], evidence.answer[-3] ^ 1, *evidence.answer[-2:]))
    for wrong in (
        replace(evidence, private=evidence.private + 1),
        replace(evidence, counter=evidence.counter + 2),
        replace(evidence, answer=altered),
        replace(evidence, answer=b"\x90\0"),
        replace(evidence, key_id=7),
        replace(evidence, protocol=evidence.protocol[:-1] + "3"),
    ):
        with pytest.raises(ChipIsCopy):
            prove_chip(found, replace(raw, chip_authentication=wrong))
    assert str(evidence.private) not in repr(raw)


@pytest.mark.parametrize("cipher", CIPHERS[1:])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.BrainpoolP256R1(), ec.BrainpoolP512R1()])
def test_agreed_keys_against_independent_arithmetic(curve: ec.EllipticCurve, cipher: str) -> None:
    """The keys of AES chip authentication, by the ECDH and the hashes of another library."""
    names = {curve.name.lower(): parameter for parameter, curve in _named().items()}
    parameter = names[curve.name.lower()]
    document = make_document(specimen(chip_authentication=(f"ECDH-{cipher}/{parameter}",)))
    (offer,) = offers(parse_dg14(document.files[DG14]))
    agreed = chip_authentication.agree(offer, seeded(b"terminal"))
    size = (curve.key_size + 7) // 8
    point = offer.key.public
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(point[1 : 1 + size], "big"), int.from_bytes(point[1 + size :], "big"), curve
    )
    own = ec.derive_private_key(agreed.private, curve)
    secret = own.exchange(ec.ECDH(), numbers.public_key())
    bits = int(cipher.removeprefix("AES-"))
    digest = hashlib.sha1 if bits == 128 else hashlib.sha256  # 9303-11 9.7.1.2
    for use, key in (
        (ENCRYPTION, agreed.session.channel.encryption),
        (AUTHENTICATION, agreed.session.channel.authentication),
    ):
        assert digest(secret + use.to_bytes(4, "big")).digest()[: bits // 8] == key
    sent = tlv.expect(tlv.expect(agreed.commands[-1].data, 0x7C).value, 0x80).value
    public = own.public_key().public_numbers()
    assert sent == b"\x04" + public.x.to_bytes(size, "big") + public.y.to_bytes(size, "big")


def _named() -> dict[int, CurveGroup]:
    groups = {parameter: standardised(parameter) for parameter in CURVE_PARAMETERS}
    return {parameter: group.curve for parameter, group in groups.items() if isinstance(group, CurveGroup)}  # type: ignore[misc]


def test_what_the_commands_of_chip_authentication_look_like() -> None:
    """9303-11 6.2.4: Set KAT carries the key as 91, Set AT the mechanism as 80, both the key's number as 84."""
    document = make_document(specimen(chip_authentication=("ECDH-3DES/13", "ECDH-AES-128/12")))
    by_name = {offer.name: offer for offer in offers(parse_dg14(document.files[DG14]))}
    (kat,) = chip_authentication.commands(by_name["CA-ECDH-3DES"], b"\x04key")
    assert (kat.ins, kat.p1, kat.p2) == (0x22, 0x41, 0xA6)
    assert kat.data == b"\x91\x04\x04key\x84\x01" + bytes((by_name["CA-ECDH-3DES"].key.key_id or 0,))
    at, general = chip_authentication.commands(by_name["CA-ECDH-AES-128"], b"\x04key")
    assert (at.ins, at.p1, at.p2) == (0x22, 0x41, 0xA4)
    assert at.data[:12] == bytes.fromhex("800A04007F00070202030202")
    assert (general.ins, general.data) == (0x86, b"\x7c\x06\x80\x04\x04key")


@pytest.mark.parametrize(
    "element", [b"", b"\0", b"\x01", b"\x04" + bytes(64), b"\x04" + b"\x01" * 64, b"\xff" * 300, b"\x02" + bytes(32)]
)
@pytest.mark.parametrize("parameter", [0, 2, 13])
def test_elements_of_no_group(parameter: int, element: bytes) -> None:
    with pytest.raises(EmrtdError):
        standardised(parameter).check(element)


def test_small_subgroups_are_refused() -> None:
    """RFC 2631 2.1.5: p - 1 is of order two, and no element of the prime-order subgroup."""
    group = standardised(2)
    for value in (1, group.field - 1, group.field, group.field + 3):
        with pytest.raises(EmrtdError):
            group.multiple(5, value.to_bytes(257, "big"))


@pytest.mark.parametrize("spki", [b"", b"\x30\x00", b"\x30\x80", bytes(5000), b"\x30\x03\x02\x01\x01"])
def test_public_keys_that_are_none(spki: bytes) -> None:
    with pytest.raises(EmrtdError):
        load_public(spki)


def test_secrets_do_not_show() -> None:
    secret = ChipSecret(1, b"public", 123456789)
    assert "123456789" not in repr(secret)
    document = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    assert str(document.chip_keys[0].private) not in repr(document)


def test_the_first_command_after_the_agreement_selects_what_every_chip_has() -> None:
    commands: list[bytes] = []
    document = make_document(specimen(chip_authentication=("ECDH-AES-128/13",)))
    chip = SoftChip(document, seeded(b"silicon"))

    def listen(apdu: bytes) -> bytes:
        commands.append(apdu)
        return chip.transmit(apdu)

    run(read_document(document.access, rng=seeded(b"t")), listen)
    agreed = max(index for index, apdu in enumerate(commands) if apdu[1] == 0x86)
    assert parse_command(commands[agreed + 1]).ins == 0xA4


def test_every_group_that_may_be_read() -> None:
    """DG1, 2, 7, 11, 12, 13, 14 and 15, the portrait in a record of the newer standard."""
    description = replace(
        SMALL, portrait_standard="39794-5", signature=JPEG[:400], issued=date(2024, 2, 29),
        issuing_authority="Préfecture du Finistère", national=b"\x04\x03abc", chip_authentication=("ECDH-AES-128/13",),
    )  # fmt: skip
    document = make_document(description)
    chip = SoftChip(document, seeded(b"silicon"))
    reading = read_document(document.access, rng=seeded(b"t"), files=(1, 2, 7, 11, 12, 13, 14, 15))
    found, _ = inspect(run(reading, chip))
    assert found.dg7 is not None
    assert found.dg7.signatures[0].image == JPEG[:400]
    assert found.dg12 is not None
    assert (str(found.dg12.issue_date), found.dg12.issuing_authority) == ("2024-02-29", "Préfecture du Finistère")
    assert found.dg13 is not None
    assert found.dg13.content == b"\x04\x03abc"
    assert (found.portrait.image, found.portrait.standard) == (SMALL.portrait, "39794-5")
    assert found.read_groups == found.signed_groups == {1, 2, 7, 11, 12, 13, 14, 15}


def test_a_signed_group_that_cannot_be_read_is_told_where_nothing_rests_on_it() -> None:
    state = make_state()
    raw = read(make_document(specimen()))
    groups = {**raw.groups, 12: b"\x6c\x05\x00"}
    sod = compose_sod(groups, state.signer, digest="sha256", at=MADE)
    found = passive_authentication(replace(raw, groups=groups, sod=sod), state.trust, at=NOW)
    assert found.dg12 is None
    assert "dg12_unreadable" in found.warnings
    broken = {**raw.groups, 1: b"\x61\x05\x00"}
    with pytest.raises(MalformedFile):
        sod = compose_sod(broken, state.signer, digest="sha256", at=MADE)
        passive_authentication(replace(raw, groups=broken, sod=sod), state.trust, at=NOW)


def test_what_com_says_is_remarked_upon() -> None:
    raw = read(make_document(specimen()))
    for com, warning in ((b"\x60\x01", "com_unreadable"), (compose_com((1, 2)), "com_lists_other_groups")):
        assert warning in passive_authentication(replace(raw, com=com), make_state().trust, at=NOW).warnings


@pytest.mark.parametrize("com", [b"\x60\x02\x5c\x00", b"\x60\x01", compose_com((1,))], ids=["empty", "broken", "short"])
def test_a_careful_reading_does_not_rest_on_com(com: bytes) -> None:
    """A chip that ends its channel at errors, with an EF.COM that leaves groups out: the security object lists them."""
    document = make_document(replace(SMALL, quirks=()), profile=ChipProfile(errors="plain_and_close"))
    files = {**document.files, COM.file_id: com}
    raw = read(replace(document, files=files))
    assert set(raw.groups) == {1, 2, 11, 14, 15}


def test_a_name_that_dg11_does_not_divide() -> None:
    """Some write it with a blank where the zone has two fillers: the zone divides."""
    document = read(make_document(replace(SMALL, surname="Lefèvre Zoë", given_names="", details=True)))
    undivided = passive_authentication(document, make_state().trust, at=NOW)
    assert (undivided.surname, undivided.given_names) == ("Lefèvre Zoë", "")
