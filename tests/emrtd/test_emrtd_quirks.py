"""What chips do beside the standard: each is a profile of the software chip, and each is read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state

from emrtd.apdu import parse_command
from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact, look_again, read_contact
from emrtd.errors import EmrtdError, Misuse, NoTravelDocument, WrongAccessKey
from emrtd.exchange import Traffic, Transmit, run
from emrtd.files import APPLICATION, CARD_ACCESS, COM
from emrtd.keys import Access, Can
from emrtd.passive import RawDocument, passive_authentication
from emrtd.reading import DEFAULT_FILES, read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, SoftChip
from emrtd.softchip.quirks import CHIPS, FILES

PORTRAIT = JPEG[:17] + seeded(b"large")(17_900)
BAC_ONLY = replace(DESCRIPTION, portrait=PORTRAIT, chip_authentication=("ECDH-AES-128/13",))
WITH_PACE = replace(BAC_ONLY, pace=("ECDH-GM-AES-128/13", "ECDH-IM-AES-256/12"), can="500540")
NEEDS_PACE = ("french-identity-card", "card-access-in-application", "three-tries")
FEW = {"protected": 4, "plain": 4}


def read_from(
    transmit: Transmit, access: Access, traffic: Traffic | None = None, files: tuple[int, ...] = DEFAULT_FILES
) -> RawDocument:
    found = run(first_contact(), transmit)
    return run(read_document(access, contact=found, rng=seeded(b"terminal"), files=files), transmit, traffic)


def check(raw: RawDocument, document: ChipDocument) -> tuple[str, ...]:
    files = {0x0100 + number: content for number, content in raw.groups.items()}
    assert all(document.files[file_id] == content for file_id, content in files.items())
    found = passive_authentication(raw, make_state().trust, at=NOW)
    assert prove_chip(found, raw) == ("CA-ECDH-AES-128", "AA-ECDSA")
    return found.warnings


@pytest.mark.parametrize("with_pace", [False, True], ids=["bac", "pace"])
@pytest.mark.parametrize("name", CHIPS)
def test_every_chip_is_read(name: str, with_pace: bool) -> None:
    if name in NEEDS_PACE and not with_pace:
        pytest.skip("a quirk of chips with PACE")
    description = WITH_PACE if with_pace else BAC_ONLY
    document, traffic = make_document(description, profile=CHIPS[name]), Traffic()
    raw = read_from(SoftChip(document, seeded(b"silicon")), document.access, traffic)
    check(raw, document)
    assert raw.protocol == ("PACE-ECDH-GM-AES-128" if with_pace else "BAC")
    assert traffic.round_trips <= 16


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("profile", [ChipProfile(), CHIPS["reads-112"], CHIPS["plain-error-ends-channel"]], ids=str)
def test_every_file_is_read_and_genuine(name: str, profile: ChipProfile) -> None:
    description = replace(BAC_ONLY, quirks=(name,), other_names=("Née Autrement", "Zweitname"))
    document = make_document(description, profile=profile)
    raw = read_from(SoftChip(document, seeded(b"silicon")), document.access, files=(*DEFAULT_FILES, 13))
    warnings = check(raw, document)
    assert any(warning.startswith(name[: name.index("-")]) for warning in warnings)  # what was forgiven is told
    found = passive_authentication(raw, make_state().trust, at=NOW)
    assert found.dg11 is not None
    assert found.dg11.other_names == ("Née Autrement", "Zweitname")
    assert str(found.dg11.birth_date) == "1990-05-17"


def test_a_quirk_that_nobody_met() -> None:
    with pytest.raises(Misuse):
        make_document(replace(DESCRIPTION, quirks=("colour",)))


def test_a_wrong_access_number_is_counted_and_stops_the_chip() -> None:
    document = make_document(WITH_PACE, profile=CHIPS["three-tries"])
    chip, left = SoftChip(document, seeded(b"silicon")), []
    for _ in range(4):
        chip.reset()  # the count is kept where the field is lost
        with pytest.raises(WrongAccessKey) as refused:
            read_from(chip, Can("000000"))
        left.append(refused.value.tries_left)
    assert left == [2, 1, 0, None]
    chip.reset()
    with pytest.raises(WrongAccessKey):
        read_from(chip, Can("500540"))


def test_a_chip_with_pace_is_asked_for_no_challenge() -> None:
    commands: list[int] = []
    chip = SoftChip(make_document(WITH_PACE), seeded(b"silicon"))

    def listen(apdu: bytes) -> bytes:
        commands.append(parse_command(apdu).ins)
        return chip.transmit(apdu)

    contact = read_contact(run(first_contact(), listen))
    assert contact.card_access is not None
    assert contact.extended
    assert 0x84 not in commands
    assert len(commands) == 5


@pytest.mark.parametrize("size", [64, 80, 111])
@pytest.mark.parametrize("over", ["refuse", "say_length"])
def test_a_long_card_access_that_is_given_in_small_pieces(over: str, size: int) -> None:
    """The first contact learns the size, one more look reads it; BAC is not tried instead."""
    ways = tuple(f"ECDH-GM-{cipher}/{number}" for cipher in ("AES-128", "AES-256") for number in (12, 13, 15))
    profile = ChipProfile(largest_read=size, over=over)  # type: ignore[arg-type]
    document = make_document(replace(WITH_PACE, pace=ways), profile=profile)
    assert len(document.files[CARD_ACCESS.file_id]) > 112
    chip = SoftChip(document, seeded(b"silicon"))
    assert read_from(chip, document.access).protocol == "PACE-ECDH-GM-AES-128"


def test_a_card_access_beyond_the_first_look_in_the_application() -> None:
    ways = tuple(f"ECDH-GM-{cipher}/{number}" for cipher in ("AES-128", "AES-256") for number in (12, 13, 15))
    document = make_document(replace(WITH_PACE, pace=ways), profile=CHIPS["card-access-in-application"])
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(look_again(read_contact(run(first_contact(), chip))), chip)
    assert found.card_access == document.files[CARD_ACCESS.file_id]
    assert found.in_application


def test_a_card_that_is_no_travel_document() -> None:
    for status in (b"\x6a\x82", b"\x6d\x00", b"\x69\x82"):
        with pytest.raises(NoTravelDocument):
            read_from(lambda _, answer=status: answer, Can("123456"))  # type: ignore[misc]


def test_a_contact_that_no_chip_gave() -> None:
    with pytest.raises(EmrtdError):
        read_contact(tuple(b"\x90\0" for _ in range(11)))
    with pytest.raises(EmrtdError):
        read_contact((b"\x90",))


def test_com_lists_what_is_there_and_is_not_believed_beyond_need() -> None:
    """A short list costs nothing where errors do not end the channel."""
    document = make_document(BAC_ONLY)
    short = {**document.files, COM.file_id: bytes.fromhex("60115F0104303130375F36063034303030305C0161")}
    chip = SoftChip(replace(document, files=short), seeded(b"silicon"))
    assert set(read_from(chip, document.access).groups) == {1, 2, 11, 14, 15}


def test_the_application_of_the_french_identity_card() -> None:
    commands: list[bytes] = []
    document = make_document(WITH_PACE, profile=CHIPS["french-identity-card"])
    chip = SoftChip(document, seeded(b"silicon"))

    def listen(apdu: bytes) -> bytes:
        commands.append(apdu)
        return chip.transmit(apdu)

    check(read_from(listen, Can("500540")), document)
    assert APPLICATION in commands[-1] or any(apdu[0] == 0x0C for apdu in commands)
