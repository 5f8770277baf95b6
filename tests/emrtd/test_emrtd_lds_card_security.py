"""EF.CardSecurity: read, verified with the certificate it carries, refused where anything is altered."""

from __future__ import annotations

import pytest
from emrtd_specimens import MADE, make_state
from hypothesis import given
from hypothesis import strategies as st

from emrtd.errors import Malformed, MalformedFile, SignatureWrong
from emrtd.lds.card_security import SECURITY_OBJECT, parse_card_security
from emrtd.lds.security_infos import SecurityInfo, compose_security_infos
from emrtd.softchip.signing import compose_card_security, compose_signed

INFOS = (
    SecurityInfo("0.4.0.127.0.7.2.2.4.6.2", b"\x02\x01\x02", b"\x02\x01\x0d"),
    SecurityInfo("0.4.0.127.0.7.2.2.3.2.2", b"\x02\x01\x02", b"\x02\x01\x48"),
)
SIGNER = make_state().signer
GOOD = compose_card_security(INFOS, SIGNER, at=MADE)


def test_what_was_signed() -> None:
    found = parse_card_security(GOOD)
    signer, certificate = found.signed.signed_by()
    assert set(found.infos.infos) == set(INFOS)
    assert found.signing_time == MADE
    assert signer.names(certificate)
    assert found.infos.warnings == ()


def test_an_altered_info() -> None:
    altered = parse_card_security(GOOD.replace(b"\x02\x01\x48", b"\x02\x01\x49"))
    with pytest.raises(SignatureWrong):
        altered.signed.signed_by()


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("0.4.0.127.0.7.3.2.2", compose_security_infos(INFOS)),
        ("2.23.136.1.1.1", compose_security_infos(INFOS)),
        (SECURITY_OBJECT, b""),
        (SECURITY_OBJECT, b"\x31\x02\x30\x00"),
        (SECURITY_OBJECT, b"\x30\x00"),
        (SECURITY_OBJECT, compose_security_infos(INFOS)[:-1]),
    ],
)
def test_signed_but_no_security_infos(kind: str, content: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_card_security(compose_signed(kind, content, SIGNER, at=MADE))


def test_truncated_and_oversized() -> None:
    for size in range(0, len(GOOD), 7):
        with pytest.raises(Malformed):
            parse_card_security(GOOD[:size])
    with pytest.raises(MalformedFile):
        parse_card_security(GOOD + bytes(1 << 17))


@given(st.data())
def test_bytes_changed(data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_card_security(bytes(changed))
    except Malformed:
        return


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    with pytest.raises(Malformed):
        parse_card_security(content)
