"""Certificates as States really write them: each flaw is read, forgiven by name, and still verified."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import gcd

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from emrtd_flawed_pki import (
    SIGNER,
    Recipe,
    explicit_point,
    explicit_spki,
    key,
    key_id,
    name,
    sign_without_null,
    signer_under,
    spki,
    to_indefinite,
)
from emrtd_specimens import MADE

from emrtd import tlv
from emrtd.errors import Malformed, MalformedCertificate, SignatureWrong, UnsupportedAlgorithm
from emrtd.pki import curves, signatures
from emrtd.pki.certificate import Certificate, load_certificate
from emrtd.pki.keys import EcKey, RsaKey, load_public_key
from emrtd.pki.signatures import Scheme
from emrtd.pki.trust import TrustStore
from emrtd.rng import seeded

AUTHORITY = Recipe(key("authority", "secp384r1"))


def read(recipe: Recipe) -> Certificate:
    """The certificate, verified by the one above it."""
    found = load_certificate(recipe.der)
    found.verify_issued_by(load_certificate((recipe.issued_by or recipe).der))
    return found


def test_a_certificate_without_flaw() -> None:
    found = read(signer_under(AUTHORITY, key("signer")))
    assert found.warnings == ()
    assert (found.country, found.issuer_country) == ("UT", "UT")
    assert found.key_usage == frozenset(SIGNER)
    assert not found.may_issue
    assert read(AUTHORITY).may_issue


def test_no_authority_key_identifier() -> None:
    """98 of the German list; the name leads to the authority, the signature decides."""
    found = read(signer_under(AUTHORITY, key("signer"), above=None))
    assert found.warnings == ("no_authority_key_identifier",)
    trust = TrustStore.of([Recipe(key("other")).der, AUTHORITY.der])
    assert trust.authority_of(found).key_id == AUTHORITY.own_id


def test_no_key_identifier_at_all() -> None:
    authority = replace(AUTHORITY, key_id=None, above=None)
    assert "no_key_identifier" in read(authority).warnings
    signer = read(signer_under(authority, key("signer"), above=None))
    assert TrustStore.of([authority.der]).authority_of(signer).key_id is None


def test_an_authority_marked_as_none() -> None:
    """Basic constraints that say no (BE, CM, IT, TR, PT, LU); the key usage says yes."""
    authority = replace(AUTHORITY, ca=False)
    assert read(authority).warnings == ("not_marked_as_authority",)
    assert TrustStore.of([authority.der]).authority_of(read(signer_under(authority, key("signer"))))


def test_neither_usage_nor_constraints() -> None:
    found = read(replace(AUTHORITY, usage=None, ca=None))
    assert found.warnings == ("no_key_usage",)
    assert not found.may_issue
    assert read(replace(AUTHORITY, usage=None)).may_issue


@pytest.mark.parametrize(
    ("serial", "number"), [(b"\x02\x01\x00", 0), (b"\x02\x02\x80\x01", -32767), (b"\x02\x02\x00\x07", 7)]
)
def test_serial_numbers_that_are_zero_negative_or_padded(serial: bytes, number: int) -> None:
    found = read(replace(AUTHORITY, serial=serial))
    assert found.serial == number
    assert ("serial_not_positive" in found.warnings) == (number <= 0)


@pytest.mark.parametrize("country", ["ut", "UTO", "Ut"])
def test_country_codes_in_small_letters_or_of_three(country: str) -> None:
    found = read(replace(AUTHORITY, subject=name(country)))
    assert found.country == country.upper()
    assert found.warnings == ("country_not_two_capitals",)


def test_a_key_identifier_without_its_octet_string() -> None:
    """Lithuania."""
    authority = replace(AUTHORITY, wrapped=False)
    assert read(authority).warnings == ("key_identifier_not_wrapped",)
    assert read(authority).key_id == key_id(AUTHORITY.key)
    assert read(signer_under(authority, key("signer"))).issuer_key_id == read(authority).key_id


def test_curve_parameters_in_the_signature_algorithm() -> None:
    """Japan, Austria, Emirates: the parameters of the curve beside ecdsa-with-SHA256."""
    algorithm = tlv.parse(tlv.expect(explicit_spki(AUTHORITY.key), 0x30).value)[0]
    domain = tlv.parse(algorithm.value)[1].raw
    found = read(replace(AUTHORITY, parameters=domain))
    assert found.warnings == ("parameters_in_ecdsa_algorithm",)


@pytest.mark.parametrize("seed", [b"", bytes(20)], ids=["plain", "seed"])
@pytest.mark.parametrize("kind", ["secp256r1", "secp521r1", "brainpoolP384r1"])
def test_explicit_curve_parameters(kind: str, seed: bytes) -> None:
    """As 9303-12 asks, and `cryptography` cannot use."""
    private = key("explicit", kind)
    found = read(Recipe(private, spki=explicit_spki(private, seed=seed)))
    assert found.key == load_public_key(spki(private))


def test_a_coefficient_one_octet_too_short() -> None:
    """b of P-521 begins with a zero octet, which some leave out: 65 octets where 66 belong."""
    private = key("short b", "secp521r1")
    assert read(Recipe(private, spki=explicit_spki(private, b_size=65))).key == load_public_key(spki(private))


@pytest.mark.parametrize("kind", ["secp192r1", "brainpoolP192r1", "brainpoolP224r1", "brainpoolP320r1"])
def test_curves_nobody_else_has(kind: str) -> None:
    curve = curves.by_name(kind)
    public = curves.multiply(curve, 4711, (curve.x, curve.y))
    assert public
    recipe = signer_under(AUTHORITY, key("signer"), spki=explicit_point(curve, public))
    assert read(recipe).key == EcKey(curve, *public)


def test_an_odd_exponent() -> None:
    """e = 38129 (one of the German list)."""
    exponent = 38129
    while True:
        numbers = rsa.generate_private_key(65537, 2048).private_numbers()
        totient = (numbers.p - 1) * (numbers.q - 1)
        if gcd(exponent, totient) == 1:
            break
    d = pow(exponent, -1, totient)
    public = rsa.RSAPublicNumbers(exponent, numbers.public_numbers.n)
    odd = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, d, d % (numbers.p - 1), d % (numbers.q - 1), numbers.iqmp, public
    ).private_key()
    found = read(Recipe(odd))
    assert found.warnings == ("unusual_exponent",)
    assert isinstance(found.key, RsaKey)
    assert found.key.exponent == exponent


@pytest.mark.parametrize(
    ("scheme", "warnings"),
    [
        (Scheme("rsa-pss", "sha256", 20), ("salt_not_as_long_as_hash",)),
        (Scheme("rsa-pss", "sha512", 64), ()),
        (Scheme("rsa-pss", "sha256", 32, "sha1"), ()),
        (Scheme("rsa-pss", "sha256", 0), ("salt_not_as_long_as_hash",)),
        (Scheme("rsa-pkcs1", "sha1"), ("sha1",)),
    ],
    ids=str,
)
def test_schemes_of_rsa(scheme: Scheme, warnings: tuple[str, ...]) -> None:
    found = read(Recipe(key("rsa", "rsa-2048"), scheme=scheme))
    assert (found.scheme, found.warnings) == (scheme, warnings)


def test_an_rsa_algorithm_without_its_null() -> None:
    assert read(Recipe(key("rsa", "rsa-2048"), parameters=b"")).warnings == ()


def test_a_digest_info_without_null() -> None:
    """The master list of the United Nations; OpenSSL since 1.1 refuses it (openssl/openssl#22093)."""
    private = key("rsa", "rsa-2048")
    public, scheme = load_public_key(spki(private)), Scheme("rsa-pkcs1", "sha256")
    signature = sign_without_null(private, "sha256", b"message")
    signatures.verify(public, scheme, signature, b"message")
    for wrong in (signature[:-1], b"\0" + signature, bytes(256), signature[:-1] + bytes((signature[-1] ^ 1,))):
        with pytest.raises(SignatureWrong):
            signatures.verify(public, scheme, wrong, b"message")
    with pytest.raises(SignatureWrong):
        signatures.verify(public, scheme, signature, b"massage")
    with pytest.raises(SignatureWrong):
        signatures.verify(public, Scheme("rsa-pkcs1", "sha512"), signature, b"message")


def test_a_link_from_rsa_to_an_elliptic_curve() -> None:
    old = Recipe(key("old", "rsa-2048"))
    link = Recipe(key("new", "brainpoolP256r1"), issued_by=old, serial=b"\x02\x01\x09")
    found = read(link)
    assert isinstance(found.key, EcKey)
    assert found.scheme.kind == "rsa-pkcs1"
    assert not found.names_itself


def test_indefinite_lengths() -> None:
    """New Zealand. What was signed is the DER of it."""
    found = read(replace(AUTHORITY, indefinite=True))
    assert found.warnings == ("indefinite_lengths",)
    assert found.der == AUTHORITY.der
    assert found.key_id == AUTHORITY.own_id


def test_octets_after_the_certificate() -> None:
    found = load_certificate(AUTHORITY.der + b"\0\0 and more")
    assert found.der == AUTHORITY.der


def test_names_written_in_two_ways() -> None:
    """UTF8String here, PrintableString there, the attributes in another order."""
    authority = replace(AUTHORITY, subject=name(string=0x13, backwards=True), issuer=name(), key_id=None, above=None)
    signer = signer_under(authority, key("signer"), issuer=name(common="Csca"), above=None)
    assert TrustStore.of([authority.der]).authority_of(read(signer))


def test_two_signature_algorithms() -> None:
    """The one inside and the one outside differ: the one beside the signature counts, and it is told."""
    inner, outer = bytes.fromhex("06082A8648CE3D040302"), bytes.fromhex("06082A8648CE3D040303")
    der = AUTHORITY.der
    at = der.rindex(inner)
    other = der[:at] + outer + der[at + len(outer) :]
    assert load_certificate(other).warnings == ("two_signature_algorithms",)
    with pytest.raises(SignatureWrong):
        load_certificate(other).verify_issued_by(load_certificate(AUTHORITY.der))


def test_codes_of_the_issuing_state() -> None:
    """9303-12 7.1.1.2: the State as its machine-readable zones write it."""
    alternative = bytes.fromhex("3012A410300E310C300A060355040713") + b"\x03UTO"
    found = read(replace(AUTHORITY, more={"2.5.29.17": (False, alternative)}))
    assert found.issuing_codes == ("UTO",)


def test_a_critical_extension_nobody_knows() -> None:
    found = read(replace(AUTHORITY, more={"1.2.3.4": (True, b"\x05\x00")}))
    assert found.unknown_critical == ("1.2.3.4",)
    assert read(replace(AUTHORITY, more={"1.2.3.4": (False, b"\x05\x00")})).unknown_critical == ()


def test_times_before_and_after() -> None:
    found = read(replace(AUTHORITY, start=MADE, end=MADE + timedelta(days=1)))
    assert found.valid_at(MADE)
    assert not found.valid_at(MADE - timedelta(seconds=1))
    assert not found.valid_at(MADE + timedelta(days=1, seconds=1))


def test_a_certificate_of_absurd_size() -> None:
    with pytest.raises(MalformedCertificate):
        load_certificate(replace(AUTHORITY, more={"1.2.3": (False, bytes(70_000))}).der)


@pytest.mark.parametrize(
    "flaw", [b"\x30\x80" * 60, b"\x30\x80" * 20_000, b"\x24\x80" * 50, b"\x30\x80\x04\x80\0\0\0\0", b"\x30\x80\x02\x01"]
)
def test_indefinite_lengths_without_end(flaw: bytes) -> None:
    with pytest.raises(Malformed):
        load_certificate(flaw)


def test_an_indefinite_copy_of_a_damaged_certificate() -> None:
    whole = to_indefinite(AUTHORITY.der)
    for size in range(0, len(whole) - 1, 7):
        with pytest.raises(Malformed):
            load_certificate(whole[:size])


def test_a_key_of_an_unknown_kind() -> None:
    other = spki(key("signer")).replace(bytes.fromhex("2A8648CE3D0201"), bytes.fromhex("2A8648CE3D0207"))
    with pytest.raises(UnsupportedAlgorithm):
        load_certificate(replace(AUTHORITY, spki=other).der)


def test_keys_are_reproducible() -> None:
    assert seeded(b"a")(4) == seeded(b"a")(4)
    assert key("signer") is key("signer")
