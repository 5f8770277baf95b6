"""Reading whole documents from software chips of many characters."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, make_document, read
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.apdu import CommandApdu, parse_command
from emrtd.channel import SECURE
from emrtd.contact import FIRST_CONTACT, first_contact, read_contact
from emrtd.errors import (
    AccessNumberNeedsPace,
    ChannelBroken,
    EmrtdError,
    MalformedFile,
    Misuse,
    NoTravelDocument,
    PaceNotSupported,
    ReadRefused,
    TagLost,
    WrongAccessKey,
)
from emrtd.exchange import Batch, Traffic, run
from emrtd.files import CARD_ACCESS, COM, SOD, group_file
from emrtd.keys import Can, MrzKey
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, SoftChip
from emrtd.softchip.faults import lost_after, slow

FRENCH_SIZE = replace(DESCRIPTION, portrait=JPEG[:17] + seeded(b"large")(17_900))
NO_ANSWERS = (*(b"\x6a\x82",) * 5, b"\x90\0")  # no EF.CardAccess, the application, no challenge
PACE_OF_ITS_OWN = bytes.fromhex("31143012060A04007F00070202040102020102020120")


def same_files(raw, document: ChipDocument) -> bool:  # type: ignore[no-untyped-def]
    groups = {group_file(number).file_id: content for number, content in raw.groups.items()}
    read = {SOD.file_id: raw.sod, COM.file_id: raw.com, **groups}
    return read == dict(document.files)


@pytest.mark.parametrize("extended", [True, False], ids=["extended", "short"])
def test_three_round_trips_for_a_french_size_document(extended: bool) -> None:
    document = make_document(FRENCH_SIZE)
    traffic = Traffic()
    raw = read(document, traffic=traffic, extended=extended)
    assert same_files(raw, document)
    assert raw.protocol == "BAC"
    assert len(raw.challenge) == 8
    assert raw.response
    assert traffic.round_trips == 3
    assert traffic.commands <= (40 if extended else 120)


PROFILES = [
    ChipProfile(),
    ChipProfile(answers_master_file=0x6A86),
    ChipProfile(extended=False),
    *(ChipProfile(largest_read=size) for size in (112, 128, 160, 192, 223, 256, 700)),
    *(ChipProfile(largest_read=size, extended=False, over="refuse") for size in (112, 128, 160, 192, 223)),
    *(ChipProfile(largest_read=size, over="say_length") for size in (112, 192)),
    *(
        ChipProfile(extended=False, largest_read=size, errors=errors)
        for size in (160, 65536)
        for errors in ("plain", "plain_uncounted", "plain_and_close")
    ),
    *(ChipProfile(largest_read=size, over=over) for size in (112, 223) for over in ("end_of_file", "wrong_offset")),
    ChipProfile(largest_read=112, over="wrong_offset", errors="plain_and_close"),
    ChipProfile(largest_answer=200),
    ChipProfile(errors="plain_and_close"),
    ChipProfile(largest_read=128, over="refuse", errors="plain_and_close"),
    ChipProfile(largest_read=128, over="say_length", errors="plain_uncounted"),
]


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_every_profile_is_read_whole(profile: ChipProfile) -> None:
    document = make_document(profile=profile)
    traffic = Traffic()
    raw = read(document, traffic=traffic)
    assert same_files(raw, document)
    assert raw.response
    assert traffic.round_trips <= 22


@pytest.mark.parametrize("errors", ["protected", "plain", "plain_uncounted", "plain_and_close"])
@pytest.mark.parametrize("kind", ["none", "rsa-1024", "rsa-2048", "brainpoolP256r1"])
def test_every_kind_of_active_authentication(kind: str, errors: str) -> None:
    profile = ChipProfile(extended=False, errors=errors)  # type: ignore[arg-type]
    document = make_document(replace(DESCRIPTION, active_authentication=kind, details=False), profile=profile)
    raw = read(document)
    assert same_files(raw, document)
    assert bool(raw.response) == (kind != "none")


def test_a_portrait_beyond_the_offsets_of_read_binary() -> None:
    document = make_document(replace(DESCRIPTION, portrait=JPEG[:17] + seeded(b"huge")(80_000)))
    traffic = Traffic()
    for extended in (True, False):
        assert same_files(read(document, traffic=traffic, extended=extended), document)


def test_without_portrait_for_a_returning_holder(document: ChipDocument) -> None:
    chip = SoftChip(document, seeded(b"silicon"))
    traffic = Traffic()
    protocol = read_document(document.access, contact=NO_ANSWERS, rng=seeded(b"t"), files=(14, 15), extended=False)
    raw = run(protocol, chip, traffic)
    assert set(raw.groups) == {14, 15}
    assert raw.response
    assert traffic.round_trips == 4


@pytest.mark.parametrize(
    "key",
    [
        MrzKey("24AA12346", "900517", "340228"),
        MrzKey("24AA12345", "900518", "340228"),
        MrzKey("24AA12345", "900517", "350228"),
    ],
)
def test_a_wrong_key_is_told(document: ChipDocument, key: MrzKey) -> None:
    protocol = read_document(key, contact=NO_ANSWERS, rng=seeded(b"t"))
    with pytest.raises(WrongAccessKey):
        run(protocol, SoftChip(document, seeded(b"silicon")))


def test_a_long_document_number_opens_with_all_its_characters() -> None:
    long_number = replace(DESCRIPTION, kind="TD1", code="I", number="D23145890734")
    document = make_document(long_number)
    assert document.access.document_number == "D23145890734"
    assert read(document).groups[1]


def test_pace_advertised_never_falls_back(document: ChipDocument) -> None:
    """A way of PACE that is no standardised one: refused, though BAC would open this chip."""
    with_pace = replace(document, files={**document.files, CARD_ACCESS.file_id: PACE_OF_ITS_OWN})
    found = run(first_contact(), SoftChip(with_pace, seeded(b"silicon")))
    assert read_contact(found).card_access == PACE_OF_ITS_OWN
    with pytest.raises(PaceNotSupported):
        next(read_document(document.access, contact=found, rng=seeded(b"t")))


def test_a_card_access_that_cannot_be_read_does_not_fall_back(document: ChipDocument) -> None:
    garbled = (b"\x90\0", b"\x90\0", b"\x90\0", PACE_OF_ITS_OWN[:-3] + b"\x90\0")
    with pytest.raises(MalformedFile):
        next(read_document(document.access, contact=garbled, rng=seeded(b"t")))


def test_a_card_access_number_needs_pace() -> None:
    with pytest.raises(AccessNumberNeedsPace):
        next(read_document(Can("123456"), contact=NO_ANSWERS, rng=seeded(b"t")))


def test_fingerprints_are_never_asked(document: ChipDocument) -> None:
    for number in (3, 4):
        with pytest.raises(Misuse):
            next(read_document(document.access, contact=(), rng=seeded(b"t"), files=(1, number)))
    # no file beside those asked is selected: the chip would have shown them
    tempting = {0x0103: b"\x63\x01\x00", 0x0104: b"\x76\x01\x00"}
    raw = read(replace(document, files={**document.files, **tempting}))
    assert set(raw.groups) == {1, 2, 11, 14, 15}


def test_no_travel_document() -> None:
    protocol = read_document(MrzKey("1", "900517", "340228"), contact=NO_ANSWERS, rng=seeded(b"t"))
    with pytest.raises(NoTravelDocument):
        run(protocol, lambda _: b"\x6a\x82")


@pytest.mark.parametrize("extended", [True, False])
def test_a_lost_tag_is_resumed_where_it_was(document: ChipDocument, extended: bool) -> None:
    losses, read_so_far, raw, fewest = 0, None, None, []
    for _ in range(30):
        chip = SoftChip(document, seeded(b"silicon"))
        traffic = Traffic()
        protocol = read_document(document.access, contact=(), rng=seeded(b"t"), extended=extended, resume=read_so_far)
        try:
            raw = run(protocol, lost_after(chip, 3_000), traffic)
            break
        except TagLost as lost:
            losses += 1
            fewest.append(sum(len(piece) for pieces in lost.read.values() for piece in pieces.values()))
            read_so_far = lost.read
    assert raw is not None
    assert same_files(raw, document)
    assert losses >= 4
    assert fewest == sorted(set(fewest))  # each try went further


def test_a_slow_chip_waits_once_a_command(document: ChipDocument) -> None:
    waits: list[float] = []
    chip = slow(SoftChip(document, seeded(b"silicon")), waits.append, seconds=0.015)
    traffic = Traffic()
    run(read_document(document.access, contact=(), rng=seeded(b"t")), chip, traffic)
    assert len(waits) == traffic.commands


def test_an_altered_answer_breaks_the_channel(document: ChipDocument) -> None:
    chip, seen = SoftChip(document, seeded(b"silicon")), 0

    def meddler(apdu: bytes) -> bytes:
        nonlocal seen
        answer = bytearray(chip.transmit(apdu))
        seen += apdu[0] & SECURE == SECURE
        if seen == 5:
            answer[8] ^= 1
        return bytes(answer)

    with pytest.raises(ChannelBroken):
        run(read_document(document.access, contact=(), rng=seeded(b"t")), meddler)


def test_a_chip_that_claims_a_file_without_end(document: ChipDocument) -> None:
    endless = tlv.encode(0x6F, bytes(300_000))[:400]
    with pytest.raises(MalformedFile):
        read(replace(document, files={**document.files, 0x010F: endless}))


def test_a_chip_without_security_object(document: ChipDocument) -> None:
    without = {file_id: content for file_id, content in document.files.items() if file_id != SOD.file_id}
    with pytest.raises(MalformedFile):
        read(replace(document, files=without))


def test_a_chip_that_takes_no_read_size(document: ChipDocument) -> None:
    with pytest.raises(ReadRefused):
        read(replace(document, profile=ChipProfile(largest_read=4, over="refuse")))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_chip_that_answers_nonsense(data: st.DataObject) -> None:
    """Every end is a result or a named error, in bounded time, whatever a chip says at any point."""
    document = make_document(replace(DESCRIPTION, portrait=JPEG[:300], active_authentication="none"))
    chip = SoftChip(document, seeded(b"silicon"))
    from_command = data.draw(st.integers(0, 30))
    nonsense = st.sampled_from(
        (b"\x90\0", b"\x69\x82", b"\x6b\0", b"\x67\0", b"\x6c\x10", b"\x6f\0", b"\x62\x82")
    ) | st.binary(min_size=2, max_size=40)
    count = 0

    def transmit(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        return data.draw(nonsense) if count > from_command else chip.transmit(apdu)

    with contextlib.suppress(EmrtdError):
        run(read_document(document.access, contact=(), rng=seeded(b"t")), transmit)
    assert count < 5_000


def test_progress_is_told_with_the_batches(document: ChipDocument) -> None:
    chip, batches = SoftChip(document, seeded(b"silicon")), []
    protocol = read_document(document.access, contact=(), rng=seeded(b"t"), extended=False)
    batch = next(protocol)
    with contextlib.suppress(StopIteration):
        while True:
            batches.append(batch)
            batch = protocol.send(_run(batch, chip))
    assert [batch.note for batch in batches] == ["contact", "access", "reading", "reading"]
    ends = [batch.progress for batch in batches]
    assert ends == sorted(ends)
    assert ends[-1][1] == 1.0


def _run(batch: Batch, chip: SoftChip) -> tuple[bytes, ...]:
    answers = []
    for command in batch.commands:
        answers.append(chip.transmit(command.apdu))
        if int.from_bytes(answers[-1][-2:], "big") not in command.allowed:
            break
    return tuple(answers)


def test_commands_reach_the_chip_in_short_form_when_asked(document: ChipDocument) -> None:
    chip, commands = SoftChip(document, seeded(b"silicon")), []

    def listen(apdu: bytes) -> bytes:
        commands.append(parse_command(apdu))
        return chip.transmit(apdu)

    run(read_document(document.access, contact=(), rng=seeded(b"t"), extended=False), listen)
    asked = len(FIRST_CONTACT.commands)  # which finds out what the chip takes
    assert not any(command.extended for command in commands[asked:])
    assert isinstance(commands[0], CommandApdu)
