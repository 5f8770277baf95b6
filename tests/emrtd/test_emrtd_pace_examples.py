"""The worked examples of PACE of ICAO 9303-11, appendices G to I, on both sides."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emrtd import chip_authentication, pace
from emrtd.apdu import CommandApdu, parse_command, parse_response
from emrtd.channel import SecureChannel
from emrtd.errors import ChannelBroken, ChipIsCopy
from emrtd.keys import PASSWORD, MrzKey, password
from emrtd.lds.security_infos import SecurityInfos, compose_security_infos, parse_security_infos
from emrtd.pace import ChipMapping, PaceInfo
from emrtd.softchip.pace import ChipPace
from emrtd.suites import AES_128

VECTORS = Path(__file__).parent / "vectors"
G1, G2, H, I1 = (
    tomllib.loads((VECTORS / f"icao_9303_11_{name}.toml").read_text("utf-8")) for name in ("g1", "g2", "h", "i")
)
EXCHANGES = {"G.1": G1, "G.2": G2, "I.1": I1}
Example = dict[str, Any]


def value(example: Example, name: str) -> bytes:
    return bytes.fromhex(example[name])


def info_of(example: Example) -> PaceInfo:
    info = pace.supported(parse_security_infos(b"\x31\x14" + value(example, "pace_info")))
    assert info is not None
    return info


def key_of(example: Example) -> MrzKey:
    return MrzKey(example["document_number"], example["birth_date"], example["expiry_date"])


def numbers(example: Example, *names: str) -> Callable[[int], bytes]:
    """Randomness that gives the printed private keys: a scalar is drawn as 1 + (x mod order - 1)."""
    order = info_of(example).group.order
    waiting = [(int.from_bytes(value(example, name), "big") - 1) % order for name in names]
    return lambda count: waiting.pop(0).to_bytes(count, "big")


def exchanges(example: Example) -> list[tuple[CommandApdu, bytes]]:
    return [(parse_command(value(item, "command")), value(item, "answer")) for item in example["exchange"]]


@pytest.mark.parametrize("example", EXCHANGES.values(), ids=EXCHANGES)
def test_terminal(example: Example) -> None:
    info, printed = info_of(example), exchanges(example)
    answers = [parse_response(answer).data for _, answer in printed]
    flight, mapping = pace.begin(info, key_of(example), numbers(example, "terminal_mapping"))
    assert info.name == example.get("name", "PACE-ECDH-GM-AES-128")
    assert flight[0].data == printed[0][0].data + bytes((0x84, 1, info.parameter))
    assert [command.encode() for command in flight[1:]] == [command.encode() for command, _ in printed[1:3]]
    command, agreement = pace.agree(mapping, answers[1], answers[2], numbers(example, "terminal_key"))
    assert command.encode() == printed[3][0].encode()
    opening, session = pace.complete(agreement, answers[3])
    assert opening.command.encode() == printed[4][0].encode()
    opening.check(answers[4])
    expected = SecureChannel(value(example, "encryption"), value(example, "authentication"), AES_128)
    assert (session.counter, session.channel) == (0, expected)


@pytest.mark.parametrize("example", EXCHANGES.values(), ids=EXCHANGES)
def test_chip(example: Example) -> None:
    """As far as the printed keys go: the chip of I.1 keeps its static key for itself."""
    keys = numbers(example, "chip_mapping", "chip_key")
    chip = ChipPace(
        info_of(example),
        key_of(example),
        lambda count: value(example, "nonce") if count == 16 else keys(count),
        static=1,
    )
    *before, last = exchanges(example)[1:]
    for command, answer in before:
        assert chip.answer(command).encode() == answer
    token = parse_response(last[1]).data[2:12]  # object 86, whatever follows it
    assert chip.answer(last[0]).data[2:12] == token
    assert chip.generator.removeprefix(b"\x04") == value(example, "generator").removeprefix(b"\x04")
    assert chip.session is not None
    assert chip.session.channel.encryption == value(example, "encryption")


def test_i_password() -> None:
    assert password(key_of(I1)) == value(I1, "password")
    assert AES_128.derive(password(key_of(I1)), PASSWORD) == value(I1, "password_key")


@pytest.mark.parametrize("example", H["example"], ids=lambda example: example["name"])
def test_integrated_mapping(example: Example) -> None:
    info = info_of(example)
    nonce, random = value(example, "nonce"), value(example, "random")
    assert info.name == example["name"]
    assert info.suite.decrypt_nonce(value(example, "password_key"), value(example, "encrypted_nonce")) == nonce
    number = pace.pseudo_random(info.suite, nonce, random, info.group.field)
    assert number == int.from_bytes(value(example, "pseudo_random"), "big")
    assert info.group.integrated_mapping(number) == value(example, "generator")


@pytest.mark.parametrize("example", H["example"], ids=lambda example: example["name"])
def test_agreement_on_the_integrated_generator(example: Example) -> None:
    info, generator = info_of(example), value(example, "generator")
    terminal, chip = (int.from_bytes(value(example, f"{side}_key"), "big") for side in ("terminal", "chip"))
    assert info.group.multiple(terminal, generator) == value(example, "terminal_public")
    assert info.group.multiple(chip, generator) == value(example, "chip_public")
    shared = info.group.multiple(terminal, value(example, "chip_public"))
    channel = pace.session_keys(info.suite, info.group.secret(shared))
    expected = value(example, "encryption"), value(example, "authentication")
    assert (channel.encryption, channel.authentication) == expected
    assert pace.token(info, channel, value(example, "chip_public")) == value(example, "terminal_token")
    assert pace.token(info, channel, value(example, "terminal_public")) == value(example, "chip_token")


@pytest.mark.parametrize("example", H["example"], ids=lambda example: example["name"])
def test_both_sides_of_integrated_mapping(example: Example) -> None:
    """The terminal and the chip of this library, run with the printed numbers against each other."""
    info, key = info_of(example), MrzKey("T22000129", "640812", "101031")
    drawn = value(example, "random"), numbers(example, "terminal_key")(info.group.order.bit_length() // 8 + 17)
    flight, mapping = pace.begin(info, key, lambda _: drawn[0])
    assert mapping.random == value(example, "random")
    keys = numbers(example, "chip_key")
    chip = ChipPace(info, key, lambda count: value(example, "nonce") if count == 16 else keys(count))
    answers = [chip.answer(command).data for command in flight[1:]]
    command, agreement = pace.agree(mapping, answers[0], answers[1], lambda count: drawn[1][-count:])
    assert answers[1] == bytes.fromhex("7C028200")
    assert command.data.endswith(value(example, "terminal_public"))
    opening, session = pace.complete(agreement, chip.answer(command).data)
    assert session.channel.encryption == value(example, "encryption")
    assert opening.check(chip.answer(opening.command).data) is None


def signed(example: Example) -> SecurityInfos:
    found = parse_security_infos(b"\x31\x64" + value(example, "chip_key_info"))
    assert parse_security_infos(compose_security_infos(found.infos)) == found
    return found


def test_i_chip_authentication_by_the_mapping() -> None:
    printed = [parse_response(answer).data for _, answer in exchanges(I1)]
    _, mapping = pace.begin(info_of(I1), key_of(I1), numbers(I1, "terminal_mapping"))
    _, agreement = pace.agree(mapping, printed[1], printed[2], numbers(I1, "terminal_key"))
    opening, _ = pace.complete(agreement, printed[3])
    shown = opening.check(printed[4])
    assert shown == ChipMapping(13, printed[2][4:], value(I1, "chip_authentication_data"))
    assert chip_authentication.verify_mapping(shown, signed(I1)) == "PACE-CAM"
    for wrong in (ChipMapping(13, shown.key, bytes(32)), ChipMapping(12, shown.key, shown.data)):
        with pytest.raises(ChipIsCopy):
            chip_authentication.verify_mapping(wrong, signed(I1))
    without = printed[4][:1] + b"\x0a" + printed[4][2:12]  # the token alone
    with pytest.raises(ChannelBroken):
        opening.check(without)
