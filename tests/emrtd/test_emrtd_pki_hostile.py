"""Whatever bytes come: a value or an error by name, in bounded time, for every reader of the public key infrastructure."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from emrtd_flawed_pki import (
    INTEGER,
    OCTETS,
    SEQUENCE,
    Recipe,
    Signing,
    explicit_spki,
    key,
    list_signer_under,
    master_list,
    security_object,
    signer_under,
    spki,
    to_indefinite,
)
from emrtd_specimens import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.errors import EmrtdError, Malformed, MalformedTlv
from emrtd.lds.sod import LDS_SECURITY_OBJECT, parse_sod
from emrtd.pki import bundle
from emrtd.pki.ber import to_definite
from emrtd.pki.certificate import load_certificate
from emrtd.pki.cms import read_signed_data
from emrtd.pki.collection import Collection, collect
from emrtd.pki.keys import load_public_key
from emrtd.pki.ldif import parse_ldif
from emrtd.pki.master_list import parse_master_list
from emrtd.pki.revocation import load_revocation_list
from emrtd.pki.signatures import Scheme
from emrtd.pki.sources import read_source
from emrtd.pki.specimen import Authority, make_revocation_list

AUTHORITY = Recipe(key("authority"))
RSA = Recipe(key("rsa", "rsa-2048"), scheme=Scheme("rsa-pss", "sha256", 32), extended=("2.23.136.1.1.3",))
RSA_DER = RSA.der  # PSS is another signature each time
LIST = master_list([AUTHORITY.der, RSA_DER], list_signer_under(AUTHORITY, key("lister")))
SIGNER = signer_under(AUTHORITY, key("signer"))
SOD = tlv.encode(0x77, Signing(security_object({1: b"one"}), LDS_SECURITY_OBJECT, SIGNER, (SIGNER.der,)).der)
CRL = make_revocation_list(Authority(AUTHORITY.der, AUTHORITY.key), [1, 2, 3], at=NOW)
DIRECTORY = b"version: 1\ndn: c=UT\nuserCertificate;binary:: QUJD\n REVG\npkdMasterListContent:: QUJD\n"
PEM = b"-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n"

READERS: list[tuple[Callable[[bytes], object], list[bytes]]] = [
    (load_certificate, [AUTHORITY.der, RSA_DER, to_indefinite(RSA_DER)]),
    (load_public_key, [spki(AUTHORITY.key), explicit_spki(AUTHORITY.key), spki(RSA.key)]),
    (load_revocation_list, [CRL, to_indefinite(CRL)]),
    (read_signed_data, [LIST, to_indefinite(LIST)]),
    (parse_master_list, [LIST, to_indefinite(LIST)]),
    (parse_sod, [SOD, to_indefinite(SOD)]),
    (parse_ldif, [DIRECTORY]),
    (read_source, [AUTHORITY.der, LIST, CRL, DIRECTORY, PEM, to_indefinite(LIST)]),
    (to_definite, [to_indefinite(LIST)]),
]
readers = pytest.mark.parametrize(("read", "good"), READERS, ids=[read.__name__ for read, _ in READERS])
TELLING = [0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x1F, 0x24, 0x30, 0x7F, 0x80, 0x81, 0x84, 0xA0, 0xFF]


def mutated(data: st.DataObject, good: bytes) -> bytes:
    """A few octets changed, cut out, put in or repeated."""
    octets = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        length = data.draw(st.integers(0, 8))
        put = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from([bytes((b,)) for b in TELLING])))
        octets[at : at + length] = put
    return bytes(octets)


@readers
@given(data=st.data())
def test_any_bytes(read: Callable[[bytes], object], good: list[bytes], data: st.DataObject) -> None:
    opening = data.draw(st.sampled_from([b"", *(one[:8] for one in good)]))
    with suppress(Malformed):
        repr(read(opening + data.draw(st.binary(max_size=300))))


@readers
@settings(max_examples=150)
@given(data=st.data())
def test_good_bytes_mutated(read: Callable[[bytes], object], good: list[bytes], data: st.DataObject) -> None:
    with suppress(Malformed):
        repr(read(mutated(data, data.draw(st.sampled_from(good)))))


@readers
def test_good_bytes_cut(read: Callable[[bytes], object], good: list[bytes]) -> None:
    for whole in good:
        for size in range(0, len(whole), max(1, len(whole) // 100)):
            try:
                read(whole[:size])
            except Malformed:
                continue


@settings(max_examples=60)
@given(st.data())
def test_a_mutated_list_is_never_believed(data: st.DataObject) -> None:
    """Under its root: the list as it was, or nothing of it."""
    changed = mutated(data, LIST)
    found = collect([("list", changed)], roots=[AUTHORITY.der], at=NOW)
    assert {held.entry.der for held in found.held if held.entry.voucher == "list"} <= {AUTHORITY.der, RSA_DER}


@settings(max_examples=60)
@given(st.data())
def test_a_mutated_index_is_never_loaded(data: st.DataObject) -> None:
    index, certificates = bundle.dump(collect([("list", LIST)], roots=[AUTHORITY.der], at=NOW))
    changed = mutated(data, index)
    if changed == index:
        return
    with pytest.raises(EmrtdError):
        bundle.load(changed, certificates)


@pytest.mark.parametrize("tree", ["[]", "{}", '"x"', '{"origins":[],"certificates":[{}]}', "{" * 5000])
def test_an_index_of_nonsense_with_the_right_digest(tree: str) -> None:
    _, certificates = bundle.dump(Collection())
    rest = tree.encode()[1:]
    opening = f'{{"format":"emrtd-trust","version":1,"digest":"{bundle.digest_of(rest, certificates)}",'
    with pytest.raises(Malformed):
        bundle.load(opening.encode() + rest, certificates)


# --- large inputs: the bound is on processor time, ten times what it takes --------------------------

MILLION = 1 << 20
LONG_IDENTIFIER = tlv.encode(0x06, b"\x2a" + b"\x81" * 50_000 + b"\x01")
LARGE: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "nested": (to_definite, b"\x30\x80" * (4 * MILLION)),
    "nested, definite": (read_signed_data, b"\x30\x84\x00\xff\xff\xff" * MILLION),
    "empty objects": (read_source, b"\x30\x80" + b"\x30\x80\0\0" * (MILLION // 4)),
    "nulls": (read_signed_data, tlv.encode(SEQUENCE, b"\x05\0" * (4 * MILLION))),
    "objects one after another": (read_source, b"\x30\0" * (2 * MILLION)),
    "pieces of pieces": (to_definite, b"\x24\x80" * 30 + b"\x04\x01A" * 100_000),
    "a long identifier": (
        load_certificate, replace(AUTHORITY, more={"2.5.29.37": (False, tlv.encode(SEQUENCE, LONG_IDENTIFIER))}).der,
    ),
    "a long serial number": (load_certificate, replace(AUTHORITY, serial=tlv.encode(INTEGER, b"\1" * 50_000)).der),
    "many values": (parse_ldif, b"version: 1\n" + b"userCertificate;binary:: AAAA\n" * 75_000),
    "one long line": (parse_ldif, b"version: 1\nuserCertificate" + b";a" * MILLION),
    "PEM without end": (read_source, b"-----BEGIN X-----\n" * MILLION),
    "a large PEM of nothing": (read_source, b"-----BEGIN X-----\nAAAA\n-----END X-----\n" * 300_000),
    "an octet string of octet strings": (read_signed_data, tlv.encode(SEQUENCE, tlv.encode(OCTETS, bytes(17 * MILLION)))),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_inputs(name: str) -> None:
    read, content = LARGE[name]
    start = time.process_time()
    with suppress(Malformed):
        read(content)
    assert time.process_time() - start < 10


def test_an_indefinite_object_within_a_definite_one() -> None:
    inner = b"\x30\x80\x02\x01\x05\x00\x00"
    assert to_definite(tlv.encode(SEQUENCE, inner)) == tlv.encode(SEQUENCE, tlv.encode(SEQUENCE, b"\x02\x01\x05"))
    for flaw in (b"\x30\x06" + inner, b"\x30\x08" + inner):  # one octet too few, one too many
        with pytest.raises(MalformedTlv):
            to_definite(flaw)


@given(st.recursive(st.binary(max_size=20).map(lambda b: tlv.encode(0x04, b)), lambda inside: st.lists(inside, max_size=4).map(lambda objects: tlv.encode(0x30, *objects)), max_leaves=12))  # fmt: skip
def test_der_comes_back_from_ber(der: bytes) -> None:
    assert to_definite(der) is der
    assert to_definite(to_indefinite(der)) == der
