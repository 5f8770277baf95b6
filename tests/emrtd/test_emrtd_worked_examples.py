"""The worked examples of ICAO 9303-11, byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from emrtd import bac
from emrtd.active_authentication import recovers
from emrtd.apdu import OK, ResponseApdu, parse_command
from emrtd.channel import SecureChannel
from emrtd.ciphers import pad, retail_mac
from emrtd.keys import AUTHENTICATION, ENCRYPTION, MrzKey, derive_3des
from emrtd.mrz import parse
from emrtd.softchip.signing import representative

VECTORS = Path(__file__).parent / "vectors"
BAC = tomllib.loads((VECTORS / "icao_9303_11_d.toml").read_text("utf-8"))
AA = tomllib.loads((VECTORS / "icao_9303_11_f.toml").read_text("utf-8"))


def data(section: dict[str, str], name: str) -> bytes:
    return bytes.fromhex(section[name])


def test_d1_keys_from_seed() -> None:
    keys = BAC["keys"]
    assert derive_3des(data(keys, "seed"), ENCRYPTION) == data(keys, "encryption")
    assert derive_3des(data(keys, "seed"), AUTHENTICATION) == data(keys, "authentication")


@pytest.mark.parametrize("zone", BAC["zone"], ids=lambda zone: zone["text"][:12])
def test_d2_information_from_zone(zone: dict[str, str]) -> None:
    mrz = parse(zone["text"])
    key = MrzKey(mrz.number, mrz.birth_date, mrz.expiry_date)
    assert key.information == zone["information"]


def test_d2_seed() -> None:
    assert MrzKey("L898902C", "690806", "940623").seed == data(BAC["keys"], "seed")


def test_d3_both_sides() -> None:
    example, seed = BAC["authentication"], data(BAC["keys"], "seed")
    nonce, material = data(example, "chip_nonce"), data(example, "chip_material")
    random = data(example, "terminal_nonce") + data(example, "terminal_material")
    command, begun = bac.begin(seed, nonce, random)
    answer, chip = bac.answer_terminal(seed, nonce, command.data, material)
    terminal = bac.complete(begun, answer)
    assert bac.GET_CHALLENGE.encode() == data(example, "get_challenge")
    assert command.encode() == data(example, "command")
    assert answer == data(example, "answer")
    assert terminal == chip
    assert terminal.channel.encryption == data(example, "encryption")
    assert terminal.channel.authentication == data(example, "authentication")
    assert terminal.counter == int(example["counter"], 16)


def test_d4_secure_messaging_both_sides() -> None:
    example = BAC["authentication"]
    channel = SecureChannel(data(example, "encryption"), data(example, "authentication"))
    counter = int(example["counter"], 16)
    for message in BAC["message"]:
        plain, answer = parse_command(data(message, "command")), ResponseApdu(data(message, "data"), OK)
        assert channel.protect_command(plain, counter + 1) == data(message, "protected")
        assert channel.open_command(data(message, "protected"), counter + 1) == plain
        assert channel.open_response(data(message, "answer"), counter + 2) == answer
        assert channel.protect_response(answer, counter + 2) == data(message, "answer")
        counter += 2


def test_d4_checksum_of_one_block() -> None:
    """A message of one block is MACed by 3DES alone; the chain of single DES is empty."""
    key = data(BAC["keys"], "authentication")
    assert len(retail_mac(key, pad(b"1234567"))) == 8


def test_f_active_authentication() -> None:
    challenge, message = data(AA, "challenge"), data(AA, "representative")
    made = representative(AA["key_size"], challenge, lambda _: data(AA, "recoverable"), digest=AA["hash"])
    assert made == message
    assert recovers(message, challenge)
    assert not recovers(message, bytes(8))
