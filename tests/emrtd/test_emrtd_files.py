"""Every file of a chip: cut, followed by garbage, altered, arbitrary; and the specimen document of the BSI."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from emrtd_specimens import BSI_2008, NOW, State, make_document
from hypothesis import given
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.errors import DataGroupAltered, Malformed, NotSignedByTrustedAuthority, SignatureWrong
from emrtd.lds.com import parse_com
from emrtd.lds.dg1 import parse_dg1
from emrtd.lds.dg2 import parse_dg2
from emrtd.lds.dg11 import parse_dg11
from emrtd.lds.dg15 import parse_dg15
from emrtd.lds.security_infos import (
    SecurityInfo,
    compose_dg14,
    compose_security_infos,
    parse_dg14,
    parse_security_infos,
)
from emrtd.lds.sod import parse_sod
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki.certificate import load_certificate
from emrtd.pki.keys import EcKey, RsaKey
from emrtd.pki.trust import TrustStore
from emrtd.softchip.document import ChipDocument

PARSERS = {
    0x011E: parse_com, 0x011D: parse_sod, 0x0101: parse_dg1, 0x0102: parse_dg2, 0x010B: parse_dg11,
    0x010E: parse_dg14, 0x010F: parse_dg15,
}  # fmt: skip
bsi = pytest.mark.skipif(not BSI_2008.is_dir(), reason=f"{BSI_2008} is not there")


@pytest.mark.parametrize("file_id", PARSERS, ids=lambda file_id: f"{file_id:04X}")
def test_every_file_truncated_at_each_byte(file_id: int, document: ChipDocument) -> None:
    content = document.files[file_id]
    for size in (*range(min(60, len(content))), *range(60, len(content), 97)):
        with pytest.raises(Malformed):
            PARSERS[file_id](content[:size])


@pytest.mark.parametrize("file_id", PARSERS, ids=lambda file_id: f"{file_id:04X}")
def test_every_file_with_garbage_after(file_id: int, document: ChipDocument) -> None:
    content = document.files[file_id]
    assert PARSERS[file_id](content + b"\0garbage") == PARSERS[file_id](content)


@pytest.mark.parametrize("number", [1, 2, 11, 14, 15])
def test_what_a_parser_forgives_passive_authentication_does_not(number: int, raw: RawDocument, state: State) -> None:
    """Lenient reading changes no byte that is hashed."""
    content = raw.groups[number] + b"\0"
    assert PARSERS[0x0100 + number](content) == PARSERS[0x0100 + number](raw.groups[number])
    with pytest.raises(DataGroupAltered):
        passive_authentication(replace(raw, groups={**raw.groups, number: content}), state.trust, at=NOW)


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=300))
def test_every_file_of_any_bytes(file_id: int, data: bytes) -> None:
    tag = {0x011D: 0x77, 0x011E: 0x60, 0x0101: 0x61, 0x0102: 0x75, 0x010B: 0x6B, 0x010E: 0x6E, 0x010F: 0x6F}
    for content in (data, tlv.encode(tag[file_id], data)):
        try:
            PARSERS[file_id](content)
        except Malformed:
            continue


@given(st.data())
def test_every_file_with_bytes_changed(data: st.DataObject) -> None:
    document = make_document()
    file_id = data.draw(st.sampled_from(sorted(PARSERS)))
    content = bytearray(document.files[file_id])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 1500) - 1))] = data.draw(st.integers(0, 255))
    try:
        PARSERS[file_id](bytes(content))
    except Malformed:
        return


def test_security_infos() -> None:
    infos = (
        SecurityInfo("0.4.0.127.0.7.2.2.4.2.2", b"\x02\x01\x02", b"\x02\x01\x0d"),
        SecurityInfo("2.23.136.1.1.5", b"\x02\x01\x01", bytes.fromhex("060A04007F00070101040103")),
    )
    found = parse_dg14(compose_dg14(infos))
    assert set(found.infos) == set(infos)
    assert found.pace == infos[:1]
    assert found.active_authentication_hash == "sha256"
    trailing = parse_security_infos(compose_security_infos(infos) + b"\x01", "DG14")
    assert trailing.warnings == ("dg14_trailing_bytes",)


# --- the specimen passport of BSI TR-03105-5 --------------------------------------------------------


def bsi_file(name: str) -> bytes:
    return (BSI_2008 / f"{name}.bin").read_bytes()


@bsi
def test_bsi_specimen_files() -> None:
    com = parse_com(bsi_file("EF_COM"))
    assert (com.groups, com.warnings) == ((1, 2, 3, 14), ())
    mrz = parse_dg1(bsi_file("Datagroup1"))
    assert (mrz.issuer, mrz.primary, mrz.secondary, mrz.warnings) == ("D", "MUSTERMANN", "ERIKA", ())
    found = parse_dg2(bsi_file("Datagroup2"))
    assert found.warnings == ()
    portrait = found.portrait
    assert (portrait.format, portrait.width, portrait.height) == ("jp2", 413, 531)
    assert len(portrait.image) == 14_999
    infos = parse_dg14(bsi_file("Datagroup14"))
    assert [info.protocol for info in infos.infos] == [
        "0.4.0.127.0.7.2.2.1.2", "0.4.0.127.0.7.2.2.3.2.1", "0.4.0.127.0.7.2.2.2",
    ]  # fmt: skip
    key = parse_dg15(bsi_file("Datagroup15")).key
    assert isinstance(key, RsaKey)
    assert key.modulus.bit_length() == 1024  # written without the zero byte that keeps it positive


@bsi
def test_bsi_specimen_signature_on_a_curve_of_our_own_arithmetic() -> None:
    sod = parse_sod(bsi_file("EF_SOD"))
    signer = load_certificate(sod.certificates[0])
    assert isinstance(signer.key, EcKey)
    assert signer.key.curve.name == "brainpoolP224r1"
    sod.verify(signer.key)
    with pytest.raises(SignatureWrong):
        parse_sod(bsi_file("EF_SOD").replace(b"\xfb\x1b\xc1\x92", b"\xfb\x1b\xc1\x93")).verify(signer.key)


@bsi
def test_bsi_specimen_is_trusted_by_nobody_here() -> None:
    raw = RawDocument(bsi_file("EF_SOD"), {1: bsi_file("Datagroup1"), 2: bsi_file("Datagroup2")})
    with pytest.raises(NotSignedByTrustedAuthority):
        passive_authentication(raw, TrustStore.of([]), at=datetime(2008, 6, 1, tzinfo=UTC))
