"""Bytes from strangers on the way to a chip: every end is a result or a named error, in bounded time."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from emrtd_specimens import DESCRIPTION, JPEG, NOW, make_document, make_state
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd.apdu import CHAINED, CommandApdu, chain, parse_command
from emrtd.authenticity import prove_chip
from emrtd.chip_authentication import offers
from emrtd.contact import read_contact
from emrtd.errors import EmrtdError, Malformed
from emrtd.exchange import run
from emrtd.groups import field_group, standardised
from emrtd.key_agreement import load_public
from emrtd.keys import Can
from emrtd.lds.card_security import parse_card_security
from emrtd.lds.security_infos import parse_dg14, parse_security_infos
from emrtd.pace import supported
from emrtd.passive import passive_authentication
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import SoftChip

SMALL = replace(DESCRIPTION, portrait=JPEG[:300], can="500540")
CHIPS = {
    "bac": SMALL,
    "agreement": replace(SMALL, chip_authentication=("ECDH-AES-128/13",)),
    "mapping": replace(SMALL, pace=("ECDH-CAM-AES-128/13",), active_authentication="none"),
    "integrated": replace(SMALL, pace=("DH-IM-AES-128/0",), chip_authentication=("DH-3DES/0",)),
}
NONSENSE = st.sampled_from(
    (b"\x90\0", b"\x69\x82", b"\x6b\0", b"\x67\0", b"\x6c\x10", b"\x6f\0", b"\x62\x82", b"\x61\x10", b"\x7c\0\x90\0")
) | st.binary(min_size=2, max_size=60)


@pytest.mark.parametrize("name", CHIPS)
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_chip_that_begins_to_answer_nonsense(name: str, data: st.DataObject) -> None:
    document = make_document(CHIPS[name])
    chip, count = SoftChip(document, seeded(b"silicon")), 0
    from_command = data.draw(st.integers(0, 60))

    def transmit(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        return data.draw(NONSENSE) if count > from_command else chip.transmit(apdu)

    with contextlib.suppress(EmrtdError):
        raw = run(read_document(document.access, rng=seeded(b"t")), transmit)
        prove_chip(passive_authentication(raw, make_state().trust, at=NOW), raw)
    assert count < 6_000


@pytest.mark.parametrize("name", CHIPS)
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_one_altered_answer_never_makes_another_document(name: str, data: st.DataObject) -> None:
    document = make_document(CHIPS[name])
    chip, count = SoftChip(document, seeded(b"silicon")), 0
    which, mask = data.draw(st.integers(0, 45)), data.draw(st.integers(1, 255))

    def transmit(apdu: bytes) -> bytes:
        nonlocal count
        answer = bytearray(chip.transmit(apdu))
        if count == which:
            answer[data.draw(st.integers(0, len(answer) - 1))] ^= mask
        count += 1
        return bytes(answer)

    with contextlib.suppress(EmrtdError):
        raw = run(read_document(document.access, rng=seeded(b"t")), transmit)
        found = passive_authentication(raw, make_state().trust, at=NOW)
        assert all(document.files[0x0100 + number] == content for number, content in raw.groups.items())
        assert prove_chip(found, raw)


def test_a_chip_that_promises_more_for_ever() -> None:
    document = make_document(SMALL)
    with pytest.raises(EmrtdError):
        run(read_document(document.access, rng=seeded(b"t")), lambda _: bytes(256) + b"\x61\0")


@pytest.mark.parametrize("status", ["9000", "6282", "6B00", "6982", "6A82", "6C10", "6700", "6300", "63C2"])
@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_that_says_the_same_to_everything(name: str, status: str) -> None:
    document = make_document(CHIPS[name])
    for access in (document.access, Can("500540")):
        with pytest.raises(EmrtdError):
            run(read_document(access, rng=seeded(b"t")), lambda _: bytes.fromhex(status))


@given(st.lists(st.binary(max_size=130), max_size=12))
def test_contacts_of_any_bytes(answers: list[bytes]) -> None:
    with contextlib.suppress(Malformed):
        found = read_contact(tuple(answers))
        assert len(found.challenge) in (0, 8)


@given(st.binary(max_size=200))
def test_security_infos_of_any_bytes(content: bytes) -> None:
    for read in (parse_security_infos, parse_dg14, parse_card_security):
        with contextlib.suppress(Malformed):
            read(content)


@pytest.mark.parametrize("name", ["agreement", "integrated"])
@settings(deadline=None)
@given(st.data())
def test_altered_infos_name_no_way_that_breaks(name: str, data: st.DataObject) -> None:
    content = bytearray(make_document(CHIPS[name]).files[0x010E])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        infos = parse_dg14(bytes(content))
        supported(infos)
        for offer in offers(infos):
            offer.key.group.check(offer.key.public)


@given(st.binary(max_size=600))
def test_public_keys_of_any_bytes(spki: bytes) -> None:
    with contextlib.suppress(Malformed):
        load_public(spki)


@pytest.mark.parametrize(
    ("p", "g", "q"),
    [
        (23, 5, None), ((1 << 5000) + 1, 2, None), (1 << 2048, 2, None), ((1 << 2048) + 1, 1, None),
        ((1 << 2048) + 1, 2, 7), ((1 << 2048) + 1, (1 << 2048), None),
    ],
)  # fmt: skip
def test_fields_that_are_not_used(p: int, g: int, q: int | None) -> None:
    with pytest.raises(Malformed):
        field_group(p, g, q)


def test_a_standardised_field_is_known_by_its_numbers() -> None:
    for parameter in (0, 1, 2):
        group = standardised(parameter)
        assert field_group(group.field, int.from_bytes(group.generator, "big")) == group


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 255))
def test_a_chain_is_the_command_in_parts(data: bytes, size: int) -> None:
    command = CommandApdu(0x00, 0x86, 0, 0, data, 256, extended=len(data) > 255)
    parts = [parse_command(part.encode()) for part in chain(command, size)]
    assert b"".join(part.data for part in parts) == data
    assert all(len(part.data) <= size for part in parts)
    assert all(part.cla & CHAINED and part.le is None for part in parts[:-1])
    assert (parts[-1].cla, parts[-1].le) == (0x00, 256)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x00, 0x10, 0x0C, 0x1C]),
            st.sampled_from([0x22, 0x86, 0x88, 0xA4, 0xB0, 0xC0]),
            st.binary(max_size=60),
        ),
        max_size=10,
    )
)
def test_the_chip_survives_any_commands(commands: list[tuple[int, int, bytes]]) -> None:
    chip = SoftChip(make_document(CHIPS["agreement"]), seeded(b"silicon"))
    for cla, ins, data in commands:
        answer = chip.transmit(CommandApdu(cla, ins, 0x41, 0xA4, data, 256).encode())
        assert len(answer) >= 2
