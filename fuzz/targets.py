"""What is fuzzed: one function a target, which returns or raises a named error; anything else is a finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from emrtd import mrz, tlv
from emrtd.apdu import parse_command, parse_response
from emrtd.channel import SecureChannel
from emrtd.contact import first_contact, read_contact
from emrtd.errors import EmrtdError, Malformed, MalformedTlv, TagLost
from emrtd.exchange import Batch, Command, Traffic, Transmit, check_answers, run
from emrtd.files import group_file
from emrtd.keys import Can
from emrtd.lds.card_security import parse_card_security
from emrtd.lds.com import parse_com
from emrtd.lds.dg1 import compose_dg1, parse_dg1
from emrtd.lds.dg2 import parse_dg2
from emrtd.lds.dg7 import parse_dg7
from emrtd.lds.dg11 import compose_dg11, parse_dg11
from emrtd.lds.dg12 import parse_dg12
from emrtd.lds.dg13 import parse_dg13
from emrtd.lds.dg15 import parse_dg15
from emrtd.lds.security_infos import parse_dg14, parse_security_infos
from emrtd.lds.sod import parse_sod
from emrtd.pki.certificate import load_certificate
from emrtd.pki.master_list import parse_master_list
from emrtd.pki.revocation import load_revocation_list
from emrtd.pki.sources import read_source
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import SoftChip
from emrtd.suites import AES_128, TRIPLE_DES
from emrtd.transports.relay import unpack_answers, unpack_batch
from fuzz import seeds
from fuzz.client import client_seeds, feed_client
from fuzz.credential import credential_seeds, feed_credential

SECONDS_MAX = 5.0
"""Processor time that one input may take."""
COMMANDS_MAX = 5000
COUNTER = 2
CHANNELS = (
    SecureChannel(bytes(range(16)), bytes(range(16, 32)), TRIPLE_DES),
    SecureChannel(bytes(range(16)), bytes(range(16, 32)), AES_128),
)


class TooSlow(Exception):
    """One input took longer than any should."""


class Nonsense(Exception):
    """A parser accepted what contradicts itself."""


@dataclass(frozen=True)
class Target:
    """A name, what it feeds, the inputs to begin from and the function fed."""

    name: str
    about: str
    seeds: Callable[[], tuple[bytes, ...]]
    feed: Callable[[bytes], None]

    def check(self, data: bytes) -> None:
        """Feed `data`. Returns where all is well; raises what was found."""
        begun = time.process_time()
        try:
            self.feed(data)
        except EmrtdError as error:
            _ = str(error), repr(error)
        if time.process_time() - begun > SECONDS_MAX:
            raise TooSlow(f"{time.process_time() - begun:.1f} s for {len(data)} bytes")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Nonsense(what)


def _named_only(parse: Callable[[bytes], object], data: bytes) -> None:
    """What a parser of bytes raises is Malformed and its kind, never another refusal."""
    try:
        _ = repr(parse(data))
    except Malformed:
        return


# --- TLV, zones, files ---------------------------------------------------------------------------------


def feed_tlv(data: bytes) -> None:
    header = tlv.read_header(data)
    objects = tlv.parse(data)
    _require(b"".join(item.raw for item in objects) == data, "objects that are not the bytes they were read from")
    _require(header.total == len(objects[0].raw), "two lengths of one object")
    for item in objects:
        again, end = tlv.read(tlv.encode(item.tag, item.value)) if item.tag else (item, len(item.raw))
        _require(again.value == item.value and end >= len(item.value), "a value that changes when written")
    tlv.descend(data, objects[0].tag, 0x30)


def feed_mrz(data: bytes) -> None:
    text = data.decode("latin-1")
    zone = mrz.parse(text)
    again = mrz.parse("".join(mrz.compose(zone)))
    _require(replace(again, names_full=zone.names_full) == zone, "a zone that changes when written")
    _named_only(parse_dg1, compose_dg1(zone))
    _named_only(parse_dg1, tlv.encode(0x61, tlv.encode(0x5F1F, data)))


def feed_dg1(data: bytes) -> None:
    _named_only(parse_dg1, tlv.encode(0x61, tlv.encode(0x5F1F, data)))
    feed_mrz(data)


def feed_dg2(data: bytes) -> None:
    found = parse_dg2(data)
    for portrait in found.portraits:
        _require(portrait.image in data, "an image that is not in the file")
        _require(portrait.width is None or portrait.width * (portrait.height or 0) <= 1 << 23, "an absurd image")


def feed_details(data: bytes) -> None:
    _named_only(parse_dg12, data)
    found = parse_dg11(data)
    if found.primary and len(found.other_names) < 64 and found.birth_date is None:
        _named_only(parse_dg11, compose_dg11(found))


FILES: dict[int, Callable[[bytes], object]] = {
    0x60: parse_com, 0x61: parse_dg1, 0x67: parse_dg7, 0x6D: parse_dg13, 0x6E: parse_dg14, 0x6F: parse_dg15,
    0x31: parse_security_infos, 0x30: parse_card_security,
}  # fmt: skip


def feed_files(data: bytes) -> None:
    for tag, parse in FILES.items():
        if data[:1] == bytes((tag,)):
            _named_only(parse, data)


def feed_sod(data: bytes) -> None:
    sod = parse_sod(data)
    sod.signed.signed_by()


# --- trust ---------------------------------------------------------------------------------------------


def feed_trust(data: bytes) -> None:
    _named_only(load_certificate, data)
    _named_only(load_revocation_list, data)
    _named_only(parse_master_list, data)
    source = read_source(data)
    for der in source.certificates[:8]:
        _named_only(load_certificate, der)
    for der in source.revocation_lists[:8]:
        _named_only(load_revocation_list, der)
    for der in source.master_lists[:8]:
        listed = parse_master_list(der)
        for inner in listed.certificates[:8]:
            _named_only(load_certificate, inner)


# --- what a far chip answers ---------------------------------------------------------------------------


def feed_relay(data: bytes) -> None:
    """The first byte says which frame the rest is."""
    if data:
        RELAYED[data[0] % len(RELAYED)](data[1:])


def _commands(data: bytes) -> None:
    command = parse_command(data)
    _require(parse_command(command.encode()) == command, "a command that changes when written")
    for channel in CHANNELS:
        channel.open_command(data, COUNTER)


def _answers(data: bytes) -> None:
    parse_response(data)
    for channel in CHANNELS:
        channel.open_response(data, COUNTER)


def _authentic_answers(data: bytes) -> None:
    """Arbitrary objects under a right checksum: what a chip could send that has the keys."""
    try:
        objects = tlv.parse(data)
    except MalformedTlv:
        return
    signed = b"".join(item.raw for item in objects if item.tag in (0x85, 0x87, 0x99))
    for channel in CHANNELS:
        checksum = channel.suite.secure_mac(channel.authentication, COUNTER, signed)
        channel.open_response(data + tlv.encode(0x8E, checksum) + b"\x90\x00", COUNTER)


def _messages(data: bytes) -> None:
    _named_only(unpack_batch, data)
    batch = Batch((Command(bytes(5)),) * 3)
    check_answers(batch, unpack_answers(data))


def _contacts(data: bytes) -> None:
    read_contact(tuple(_pieces(data)))


def _whole_readings(data: bytes) -> None:
    """A chip that answers nonsense to everything, over and over."""
    transmit = _babbling(tuple(_pieces(data)) or (b"\x90\x00",))
    traffic = Traffic()
    try:
        found = run(first_contact(), transmit)
        access = seeds.document().access if len(data) % 2 else Can("123456")
        run(read_document(access, contact=found, rng=seeded(b"terminal")), transmit, traffic)
    finally:
        _require(traffic.commands <= COMMANDS_MAX, f"{traffic.commands} commands to a chip that answers nonsense")


RELAYED: tuple[Callable[[bytes], None], ...] = (
    _commands, _answers, _authentic_answers, _messages, _contacts, _whole_readings,
)  # fmt: skip


def _pieces(data: bytes) -> Iterator[bytes]:
    """Answers out of `data`: a length of one byte, then as much."""
    at = 0
    while at < len(data):
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]


def _babbling(answers: tuple[bytes, ...]) -> Transmit:
    count = 0

    def transmit(_: bytes) -> bytes:
        nonlocal count
        count += 1
        if count > COMMANDS_MAX:
            raise TagLost
        return answers[count % len(answers)]

    return transmit


def feed_reading(data: bytes) -> None:
    """A chip with good keys and bad files: the first byte says which file the rest is."""
    if not data:
        return
    ids = (0x011E, 0x011D, 0x011C, *(group_file(number).file_id for number in (1, 2, 11, 14, 15)))
    good = seeds.document()
    bad = replace(good, files={**good.files, ids[data[0] % len(ids)]: data[1:]})
    chip, traffic = SoftChip(bad, seeded(b"silicon")), Traffic()
    try:
        found = run(first_contact(), chip)
        run(read_document(bad.access, contact=found, rng=seeded(b"terminal")), chip, traffic)
    finally:
        _require(traffic.commands <= COMMANDS_MAX, f"{traffic.commands} commands for a file of {len(data)} bytes")


def _selected(kinds: int, *frames: tuple[int, bytes]) -> tuple[bytes, ...]:
    return tuple(bytes((kind % kinds,)) + frame for kind, frame in frames)


def relay_seeds() -> tuple[bytes, ...]:
    command, answer = bytes.fromhex("00A4040C07A0000002471001"), bytes.fromhex("6A82")
    message = b'{"answers": ["kAA", "AQKQAA"], "lost": false}'
    batch = b'{"commands": [{"apdu": "AKQEDA", "allowed": ["9000"]}], "progress": [0, 1], "note": "contact"}'
    protected = CHANNELS[1].protect_response(parse_response(bytes(20) + b"\x90\x00"), COUNTER)
    objects = bytes.fromhex("871101") + bytes(16) + bytes.fromhex("99029000")
    pieces = b"".join(bytes((len(one),)) + one for one in (b"\x90\x00", answer, bytes(8) + b"\x90\x00"))
    return _selected(
        len(RELAYED), (0, command), (1, protected), (2, objects), (3, message), (3, batch), (4, pieces), (5, pieces)
    )


def reading_seeds() -> tuple[bytes, ...]:
    return tuple(
        bytes((index,)) + content for index, content in enumerate((*seeds.other_files()[1:3], *seeds.groups(1, 2, 11)))
    )


TARGETS = {
    target.name: target
    for target in (
        Target("tlv", "data objects", seeds.other_files, feed_tlv),
        Target("mrz", "zones, bare and in DG1", seeds.zones, feed_dg1),
        Target("sod", "security objects and their signatures", seeds.security_objects, feed_sod),
        Target("dg2", "portraits and their headers", seeds.portraits, feed_dg2),
        Target("dg11", "details of person and document", seeds.details, feed_details),
        Target("files", "every other file", seeds.other_files, feed_files),
        Target("trust", "certificates, revocation lists, master lists, LDIF, PEM", seeds.trust_files, feed_trust),
        Target("relay", "commands, answers, messages, whole readings of nonsense", relay_seeds, feed_relay),
        Target("reading", "a good chip with a bad file", reading_seeds, feed_reading),
        Target(
            "client", "forms, assertions, proofs, published keys, hints, encrypted tokens", client_seeds, feed_client
        ),
        Target("credential", "presentations, payloads, requests, sealed answers", credential_seeds, feed_credential),
    )
}
