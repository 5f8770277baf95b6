"""APDUs, TLV, secure messaging: one example many ways, then properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.apdu import CommandApdu, ResponseApdu, parse_command, parse_response
from emrtd.channel import SecureChannel
from emrtd.ciphers import pad, unpad
from emrtd.errors import ChannelBroken, MalformedApdu, MalformedTlv

bytes_of_one = st.integers(0, 255)
commands = st.builds(
    CommandApdu,
    cla=st.sampled_from((0x00, 0x10)),
    ins=bytes_of_one,
    p1=bytes_of_one,
    p2=bytes_of_one,
    data=st.binary(max_size=255),
    le=st.none() | st.integers(1, 256),
)
long_commands = st.builds(
    CommandApdu,
    cla=st.just(0x00),
    ins=bytes_of_one,
    p1=bytes_of_one,
    p2=bytes_of_one,
    data=st.binary(min_size=1, max_size=600),
    le=st.none() | st.integers(1, 65536),
    extended=st.just(True),
)
responses = st.builds(ResponseApdu, data=st.binary(max_size=300), status=st.integers(0, 0xFFFF))
channels = st.builds(SecureChannel, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
counters = st.integers(0, 2**64 - 1)


@given(commands | long_commands)
def test_command_round_trip(command: CommandApdu) -> None:
    assert parse_command(command.encode()) == command


@given(responses)
def test_response_round_trip(response: ResponseApdu) -> None:
    assert parse_response(response.encode()) == response


@given(st.binary(max_size=400))
def test_any_command_bytes(data: bytes) -> None:
    try:
        command = parse_command(data)
    except MalformedApdu:
        return
    assert parse_command(command.encode()) == command


@pytest.mark.parametrize("apdu", [b"", b"\0", b"\0\xb0\0", bytes(70_000)])
def test_no_command(apdu: bytes) -> None:
    with pytest.raises(MalformedApdu):
        parse_command(apdu)


def test_truncated_command() -> None:
    whole = CommandApdu(0, 0x82, 0, 0, bytes(range(40)), 40).encode()
    for size in range(5 + 1, 5 + 40):  # 4 bytes are a command, and so are 5
        with pytest.raises(MalformedApdu):
            parse_command(whole[:size])


@given(st.sampled_from((0x04, 0x30, 0x61, 0x5F1F, 0x7F61, 0x7F8101)), st.binary(max_size=70_000))
def test_tlv_round_trip(tag: int, value: bytes) -> None:
    encoded = tlv.encode(tag, value)
    item, end = tlv.read(encoded + b"garbage")
    assert (item.tag, item.value, item.raw, end) == (tag, value, encoded, len(encoded))


def test_tlv_truncated_at_each_byte() -> None:
    whole = tlv.encode(0x7F61, tlv.encode(0x02, b"\x01"), bytes(200))
    for size in range(len(whole)):
        with pytest.raises(MalformedTlv):
            tlv.read(whole[:size])


@given(st.binary(max_size=200))
def test_tlv_any_bytes(data: bytes) -> None:
    try:
        objects = tlv.parse(data)
    except MalformedTlv:
        return
    assert b"".join(item.raw for item in objects) == data


@pytest.mark.parametrize("flaw", ["30800000", "3085000000000100", "1F", "1F8182", "1F818283", "30", "3082", "308201"])
def test_tlv_flaws(flaw: str) -> None:
    with pytest.raises(MalformedTlv):
        tlv.parse(bytes.fromhex(flaw))


def test_tlv_too_many_objects() -> None:
    with pytest.raises(MalformedTlv):
        tlv.parse(b"\x04\x00" * 5000)


def test_tlv_inside_one_another() -> None:
    whole = tlv.encode(0x75, tlv.encode(0x02, b"\1"), tlv.encode(0x7F61, tlv.encode(0x04, b"deep")))
    assert tlv.descend(whole, 0x75, 0x7F61, 0x04).value == b"deep"
    for path in ((0x75, 0x04), (0x61,), (0x75, 0x7F61, 0x04, 0x04)):
        with pytest.raises(MalformedTlv):
            tlv.descend(whole, *path)


def test_tlv_with_a_tag_of_given_size() -> None:
    item, end = tlv.read(bytes.fromhex("5F850361626300"), tag_size=2)
    assert (item.tag, item.value, end) == (0x5F85, b"abc", 6)
    for flaw in ("5F", "5F85", "5F8504616263"):
        with pytest.raises(MalformedTlv):
            tlv.read(bytes.fromhex(flaw), tag_size=2)


@given(st.binary(max_size=100))
def test_padding(data: bytes) -> None:
    assert len(pad(data)) % 8 == 0
    assert unpad(pad(data)) == data


@given(channels, counters, commands | long_commands)
def test_channel_command_round_trip(channel: SecureChannel, counter: int, command: CommandApdu) -> None:
    if command.extended and len(command.data) > 500:
        return
    assert channel.open_command(channel.protect_command(command, counter), counter).data == command.data


@given(channels, counters, responses, st.booleans())
def test_channel_response_round_trip(channel: SecureChannel, counter: int, response: ResponseApdu, odd: bool) -> None:
    protected = channel.protect_response(response, counter, odd=odd)
    assert channel.open_response(protected, counter) == response


@given(st.data(), channels, counters)
def test_channel_refuses_what_was_altered(data: st.DataObject, channel: SecureChannel, counter: int) -> None:
    protected = bytearray(channel.protect_response(ResponseApdu(b"passport", 0x9000), counter))
    place = data.draw(st.integers(0, len(protected) - 3))  # the outer status word is not protected
    protected[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ChannelBroken):
        channel.open_response(bytes(protected), counter)


def test_channel_refuses_a_repeated_answer() -> None:
    channel = SecureChannel(bytes(range(16)), bytes(range(16, 32)))
    protected = channel.protect_response(ResponseApdu(b"once", 0x9000), 7)
    with pytest.raises(ChannelBroken):
        channel.open_response(protected, 9)


@given(channels, st.binary(min_size=2, max_size=120))
def test_channel_any_answer(channel: SecureChannel, answer: bytes) -> None:
    with pytest.raises(ChannelBroken):
        channel.open_response(answer, 2)
