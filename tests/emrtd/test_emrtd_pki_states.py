"""An authority speaks for its own State alone."""

from __future__ import annotations

import pytest
from emrtd_flawed_pki import Recipe, key, name

from emrtd import tlv
from emrtd.errors import SignedByAnotherState
from emrtd.pki.certificate import Certificate, load_certificate
from emrtd.pki.states import check_issuing_state, states, two_letters


def authority(country: str, *codes: str) -> Certificate:
    """With an alternative name (9303-12 7.1.1.2) where `codes` are given."""
    names = [
        tlv.encode(0x31, tlv.encode(0x30, bytes.fromhex("0603550407"), tlv.encode(0x13, code.encode())))
        for code in codes
    ]
    alternative = tlv.encode(0x30, tlv.encode(0xA4, tlv.encode(0x30, *names)))
    more = {"2.5.29.17": (False, alternative)} if codes else {}
    return load_certificate(Recipe(key("state"), subject=name(country), more=more).der)


@pytest.mark.parametrize(
    ("country", "issuer"),
    [
        ("FR", "FRA"), ("fr", "FRA"), ("FRA", "FRA"), ("DE", "D<<"), ("DE", "D"), ("DE", "DEU"), ("UN", "UNO"),
        ("EU", "EUE"), ("KS", "RKS"), ("UT", "UTO"), ("GB", "GBD"), ("XPO", "XPO"),
    ],
)  # fmt: skip
def test_its_own_state(country: str, issuer: str) -> None:
    check_issuing_state(authority(country), issuer)


@pytest.mark.parametrize(
    ("country", "issuer"), [("FR", "D<<"), ("DE", "FRA"), ("UT", "FRA"), ("FR", ""), ("FR", "<<<"), ("FR", "XXX")]
)
def test_another_state(country: str, issuer: str) -> None:
    with pytest.raises(SignedByAnotherState):
        check_issuing_state(authority(country), issuer)


def test_a_state_with_territories() -> None:
    check_issuing_state(authority("CN", "CHN", "HKG"), "HKG")
    with pytest.raises(SignedByAnotherState):
        check_issuing_state(authority("CN", "CHN"), "HKG")


def test_codes_are_those_of_the_standard() -> None:
    """ISO 3166-1 has 249; ICAO 9303-3 5 adds its own."""
    assert len(states()) >= 249 + 10
    assert {len(code) for code in states()} == {1, 3}
    assert two_letters("CHE") == "CH"
    assert two_letters("AUT") == "AT"
    assert two_letters("QQQ") == "QQQ"
