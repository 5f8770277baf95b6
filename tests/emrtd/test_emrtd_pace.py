"""PACE with generic mapping over elliptic curves, both sides, and reading through it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state, read
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd import active_authentication, pace
from emrtd.apdu import CommandApdu, parse_command, parse_response
from emrtd.channel import SecureChannel
from emrtd.contact import first_contact
from emrtd.errors import AccessDowngraded, ChannelBroken, TagLost, WrongAccessKey
from emrtd.exchange import Traffic, run
from emrtd.files import CARD_ACCESS
from emrtd.groups import CURVE_PARAMETERS
from emrtd.keys import PASSWORD, Can, MrzKey, password
from emrtd.lds.security_infos import parse_security_infos
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki.curves import by_name
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, SoftChip
from emrtd.softchip.faults import lost_after
from emrtd.softchip.pace import ChipPace
from emrtd.suites import AES_128, AES_192, AES_256

G1 = tomllib.loads((Path(__file__).parent / "vectors" / "icao_9303_11_g1.toml").read_text("utf-8"))
KEY = MrzKey(G1["document_number"], G1["birth_date"], G1["expiry_date"])
WITH_PACE = replace(
    DESCRIPTION, pace=("ECDH-GM-AES-128/13",), can="500540", portrait=JPEG[:17] + seeded(b"large")(17_900)
)


def vector(name: str) -> bytes:
    return bytes.fromhex(G1[name])


def scalars(*names: str):  # type: ignore[no-untyped-def]
    """A source of randomness that gives the printed private keys, so that scalar 1 + (x mod n-1) meets them."""
    order = by_name("brainpoolP256r1").n
    waiting = [int.from_bytes(vector(name), "big") - 1 for name in names]
    assert all(0 <= value < order - 1 for value in waiting)
    return lambda count: waiting.pop(0).to_bytes(count, "big")


def exchanges() -> list[tuple[CommandApdu, bytes]]:
    found = [(bytes.fromhex(item["command"]), bytes.fromhex(item["answer"])) for item in G1["exchange"]]
    return [(parse_command(command), answer) for command, answer in found]


def test_g1_password() -> None:
    assert password(KEY) == vector("password")
    assert AES_128.derive(password(KEY), PASSWORD) == vector("password_key")


def test_g1_terminal() -> None:
    info = pace.supported(parse_security_infos(b"\x31\x14" + vector("pace_info")))
    assert info
    assert (info.group.name, info.name) == ("brainpoolP256r1", "PACE-ECDH-GM-AES-128")
    printed = exchanges()
    answers = [parse_response(answer).data for _, answer in printed]
    flight, mapping = pace.begin(info, KEY, scalars("terminal_mapping"))
    assert flight[0].data == printed[0][0].data + b"\x84\x01\x0d"
    assert [command.encode() for command in flight[1:]] == [command.encode() for command, _ in printed[1:3]]
    command, agreement = pace.agree(mapping, answers[1], answers[2], scalars("terminal_key"))
    assert command.encode() == printed[3][0].encode()
    opening, session = pace.complete(agreement, answers[3])
    assert opening.command.encode() == printed[4][0].encode()
    opening.check(answers[4])
    assert session.counter == 0
    assert session.channel == SecureChannel(vector("encryption"), vector("authentication"), AES_128)


def test_g1_chip() -> None:
    info = pace.supported(parse_security_infos(b"\x31\x14" + vector("pace_info")))
    assert info
    keys = scalars("chip_mapping", "chip_key")
    chip = ChipPace(info, KEY, lambda count: vector("nonce") if count == 16 else keys(count))
    for command, answer in exchanges()[1:]:
        assert chip.answer(command).encode() == answer
    assert chip.generator
    assert chip.generator[1:] == vector("generator")
    assert chip.session
    assert chip.session.channel.encryption == vector("encryption")


def read_with(document: ChipDocument, access: MrzKey | Can, traffic: Traffic | None = None) -> RawDocument:
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)
    return run(read_document(access, contact=found, rng=seeded(b"t")), chip, traffic)


@pytest.mark.parametrize("extended", [True, False], ids=["extended", "short"])
@pytest.mark.parametrize("errors", ["protected", "plain", "plain_uncounted", "plain_and_close"])
def test_four_round_trips(extended: bool, errors: str) -> None:
    profile = ChipProfile(bac=False, errors=errors)  # type: ignore[arg-type]
    traffic = Traffic()
    raw = read(make_document(WITH_PACE, profile=profile), traffic=traffic, extended=extended)
    document = passive_authentication(raw, make_state().trust, at=NOW)
    active_authentication.verify(document, raw)
    assert document.protocol == "PACE-ECDH-GM-AES-128"
    assert traffic.round_trips == 4 if errors in ("protected", "plain") else traffic.round_trips <= 12


@pytest.mark.parametrize("cipher", ["3DES", "AES-128", "AES-192", "AES-256"])
@pytest.mark.parametrize("parameter", sorted(CURVE_PARAMETERS))
def test_every_cipher_and_curve(cipher: str, parameter: int) -> None:
    small = replace(
        WITH_PACE, pace=(f"ECDH-GM-{cipher}/{parameter}",), portrait=JPEG[:900], active_authentication="none"
    )
    document = make_document(small)
    for access in (document.access, Can("500540")):
        raw = read_with(document, access)
        assert raw.protocol == f"PACE-ECDH-GM-{cipher}"
        assert raw.groups[1] == document.files[0x0101]


@pytest.mark.parametrize("access", [Can("500541"), MrzKey("24AA12345", "900517", "340301")])
def test_a_wrong_password_is_told_and_bac_not_tried(access: MrzKey | Can) -> None:
    commands: list[int] = []
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)

    def listen(apdu: bytes) -> bytes:
        commands.append(apdu[1])
        return chip.transmit(apdu)

    with pytest.raises(WrongAccessKey):
        run(read_document(access, contact=found, rng=seeded(b"t")), listen)
    assert 0x84 not in commands
    assert 0x82 not in commands


def test_tries_left_are_told() -> None:
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)

    def counting(apdu: bytes) -> bytes:
        answer = chip.transmit(apdu)
        return b"\x63\xc2" if answer == b"\x63\0" else answer

    with pytest.raises(WrongAccessKey) as refused:
        run(read_document(Can("000000"), contact=found, rng=seeded(b"t")), counting)
    assert refused.value.tries_left == 2


def test_a_lost_tag_is_resumed_through_pace() -> None:
    document, so_far, losses = make_document(WITH_PACE), None, 0
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
    assert raw.groups[2] == document.files[0x0102]


def test_a_phone_that_hides_card_access_is_found_out() -> None:
    """The chip also speaks BAC; the signed DG14 tells that PACE was to be used."""
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    hidden = (*(b"\x6a\x82",) * 5, b"\x90\0")
    raw = run(read_document(document.access, contact=hidden, rng=seeded(b"t")), chip)
    with pytest.raises(AccessDowngraded):
        passive_authentication(raw, make_state().trust, at=NOW)


def test_card_access_that_the_state_did_not_sign_is_a_warning() -> None:
    raw = read(make_document(WITH_PACE))
    other = replace(
        raw, card_access=make_document(replace(WITH_PACE, pace=("ECDH-GM-3DES/12",))).files[CARD_ACCESS.file_id]
    )
    assert passive_authentication(raw, make_state().trust, at=NOW).warnings == ()
    found = passive_authentication(other, make_state().trust, at=NOW)
    assert found.warnings == ("card_access_differs_from_dg14",)


def test_a_reflected_key_is_refused() -> None:
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)

    def mirror(apdu: bytes) -> bytes:
        command = parse_command(apdu)
        if command.ins == 0x86 and command.data[2:3] == b"\x83":
            return command.data[:2] + b"\x84" + command.data[3:] + b"\x90\0"
        return chip.transmit(apdu)

    with pytest.raises(ChannelBroken, match="own key"):
        run(read_document(document.access, contact=found, rng=seeded(b"t")), mirror)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_altered_answers_of_pace_are_refused(data: st.DataObject) -> None:
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    found = run(first_contact(), chip)
    which, mask, seen = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 255)), 0

    def meddler(apdu: bytes) -> bytes:
        nonlocal seen
        answer = bytearray(chip.transmit(apdu))
        if apdu[1] == 0x86 and len(answer) > 6:
            if seen == which:
                answer[data.draw(st.integers(2, len(answer) - 3))] ^= mask
            seen += 1
        return bytes(answer)

    with pytest.raises((ChannelBroken, WrongAccessKey)):
        run(read_document(document.access, contact=found, rng=seeded(b"t")), meddler)


@given(
    st.sampled_from((AES_128, AES_192, AES_256)),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=200),
    st.integers(0, 2**70),
)
def test_aes_channel_round_trip(suite, key: bytes, data: bytes, counter: int) -> None:  # type: ignore[no-untyped-def]
    channel = SecureChannel(key[: suite.key_size], key[: suite.key_size], suite)
    command = CommandApdu(0, 0xD6, 0, 0, data, 256)
    protected = channel.protect_command(command, counter)
    assert channel.open_command(protected, counter) == command
    with pytest.raises(ChannelBroken):
        channel.open_command(protected, counter + 1)


def test_the_chip_keeps_the_order_of_messages() -> None:
    document = make_document(WITH_PACE)
    chip = SoftChip(document, seeded(b"silicon"))
    assert chip.transmit(pace.general_authenticate(b"").encode()) == b"\x69\x85"
    info = pace.supported(parse_security_infos(document.files[CARD_ACCESS.file_id]))
    assert info
    choose = pace.set_authentication_template(info, pace.PASSWORD_MRZ)
    assert chip.transmit(choose.encode()) == b"\x90\0"
    assert chip.transmit(pace.general_authenticate(b"\x85\x08" + bytes(8)).encode()) == b"\x69\x85"
    unknown = replace(choose, data=choose.data[:-1] + b"\x0c")
    assert chip.transmit(unknown.encode()) == b"\x6a\x88"
    assert chip.transmit(replace(choose, data=b"\x80\x01\x00").encode()) == b"\x6a\x80"
