"""Keys, curves, signatures, certificates and trust."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import keys as asn1_keys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from emrtd_specimens import MADE, NOW, State, make_state
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd.errors import EmrtdError, Malformed, MalformedCertificate, SignatureWrong, UnsupportedAlgorithm
from emrtd.pki import curves, signatures
from emrtd.pki.certificate import load_certificate
from emrtd.pki.keys import EcKey, load_public_key
from emrtd.pki.revocation import load_revocation_list
from emrtd.pki.signatures import NATIVE_CURVES, Scheme
from emrtd.pki.specimen import DocumentSigner, make_authority, make_key, make_revocation_list, make_signer
from emrtd.pki.trust import TrustStore
from emrtd.rng import seeded

DER, SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
all_curves = pytest.mark.parametrize("curve", curves.curves(), ids=lambda curve: curve.name)


@all_curves
def test_base_point_and_order(curve: curves.Curve) -> None:
    base = (curve.x, curve.y)
    assert curve.holds(*base)
    assert curves.multiply(curve, curve.n, base) is None
    assert curves.multiply(curve, curve.n - 1, base) == (curve.x, curve.p - curve.y)
    assert curves.combine(curve, 5, 7, base) == curves.multiply(curve, 12, base)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(NATIVE_CURVES)), st.integers(1, 2**500))
def test_arithmetic_agrees_with_openssl(name: str, scalar: int) -> None:
    curve = curves.by_name(name)
    scalar = scalar % (curve.n - 1) + 1
    numbers = ec.derive_private_key(scalar, NATIVE_CURVES[name]).public_key().public_numbers()
    assert curves.multiply(curve, scalar, (curve.x, curve.y)) == (numbers.x, numbers.y)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("name", sorted(NATIVE_CURVES))
def test_ecdsa_in_integers_agrees_with_openssl(name: str, digest: str) -> None:
    key = make_key(name, seeded(name.encode()))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(b"message", ec.ECDSA(signatures.HASHES[digest]))
    public = load_public_key(key.public_key().public_bytes(DER, SPKI))
    assert isinstance(public, EcKey)
    signatures.verify_in_integers(public, digest, signature, b"message")
    with pytest.raises(SignatureWrong):
        signatures.verify_in_integers(public, digest, signature, b"massage")
    with pytest.raises(MalformedCertificate):
        signatures.verify_in_integers(public, digest, b"\x30\x01", b"message")
    with pytest.raises(SignatureWrong):
        signatures.verify_in_integers(public, digest, bytes.fromhex("3006020100020100"), b"message")


def explicit(curve: curves.Curve, public: tuple[int, int], *, base: bytes | None = None) -> bytes:
    """A SubjectPublicKeyInfo with explicit parameters, as 9303-12 asks."""
    size = curve.size
    field = {"field_type": "prime_field", "parameters": curve.p}
    equation = {"a": curve.a.to_bytes(size, "big"), "b": curve.b.to_bytes(size, "big")}
    point = b"\x04" + curve.x.to_bytes(size, "big") + curve.y.to_bytes(size, "big")
    domain = {
        "version": 1, "field_id": field, "curve": equation, "base": base or point, "order": curve.n, "cofactor": 1,
    }  # fmt: skip
    parameters = asn1_keys.ECDomainParameters("specified", asn1_keys.SpecifiedECDomain(domain))
    key = b"\x04" + public[0].to_bytes(size, "big") + public[1].to_bytes(size, "big")
    return asn1_keys.PublicKeyInfo(
        {"algorithm": {"algorithm": "ec", "parameters": parameters}, "public_key": asn1_keys.ECPointBitString(key)}
    ).dump()


@all_curves
def test_explicit_parameters_become_a_name(curve: curves.Curve) -> None:
    public = curves.multiply(curve, 1234567, (curve.x, curve.y))
    assert public
    assert load_public_key(explicit(curve, public)) == EcKey(curve, *public)
    compressed = bytes((2 + curve.y % 2,)) + curve.x.to_bytes(curve.size, "big")
    assert load_public_key(explicit(curve, public, base=compressed)) == EcKey(curve, *public)


def test_a_base_point_of_somebodys_choosing_is_refused() -> None:
    """With the public key as base point, anyone knows the private key: it is one."""
    curve = curves.by_name("secp256r1")
    public = curves.multiply(curve, 1234567, (curve.x, curve.y))
    assert public
    base = b"\x04" + public[0].to_bytes(32, "big") + public[1].to_bytes(32, "big")
    with pytest.raises(UnsupportedAlgorithm):
        load_public_key(explicit(curve, public, base=base))


def test_a_point_off_the_curve_is_refused() -> None:
    curve = curves.by_name("brainpoolP256r1")
    with pytest.raises(MalformedCertificate):
        load_public_key(explicit(curve, (curve.x, curve.y + 1)))


def test_a_weak_rsa_key_is_refused() -> None:
    info = {"algorithm": {"algorithm": "rsa"}, "public_key": {"modulus": 3 * 5 << 500, "public_exponent": 3}}
    with pytest.raises(UnsupportedAlgorithm):
        load_public_key(asn1_keys.PublicKeyInfo(info).dump())


@given(st.binary(max_size=200))
def test_any_bytes_for_a_key_a_certificate_a_list(data: bytes) -> None:
    for load in (load_public_key, load_certificate, load_revocation_list):
        with pytest.raises(Malformed):
            load(data)


def test_certificate_truncated_at_each_byte(state: State) -> None:
    whole = state.signer.certificate
    for size in range(0, len(whole), 5):
        with pytest.raises(Malformed):
            load_certificate(whole[:size])


@settings(max_examples=200)
@given(st.data())
def test_certificate_with_bytes_changed(data: st.DataObject) -> None:
    state = make_state()
    der = bytearray(state.signer.certificate)
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    authority = load_certificate(state.authority.certificate)
    if bytes(der) == state.signer.certificate:
        return
    try:
        changed = load_certificate(bytes(der))
        changed.verify_issued_by(authority)
    except EmrtdError:
        return
    assert changed.signed == load_certificate(state.signer.certificate).signed  # what is signed is unchanged


def test_certificate_values(state: State) -> None:
    signer, authority = load_certificate(state.signer.certificate), load_certificate(state.authority.certificate)
    assert signer.issuer == authority.subject
    assert signer.issuer_key_id == authority.key_id
    assert authority.key_id == hashlib.sha1(_bits(authority.der), usedforsecurity=False).digest()
    assert (signer.is_authority, authority.is_authority) == (False, True)
    assert signer.country == "FR"
    assert signer.serial == state.signer.serial
    assert signer.may_sign_at(MADE)
    assert not signer.may_sign_at(MADE + timedelta(days=120))


def _bits(der: bytes) -> bytes:
    public = x509.load_der_x509_certificate(der).public_key()
    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)  # type: ignore[union-attr]


def test_names_are_compared_tolerantly(state: State) -> None:
    """Without key identifiers the name finds the candidates, whatever its case and spaces."""
    trust = TrustStore.of([state.authority.certificate])
    signer = replace(load_certificate(state.signer.certificate), issuer_key_id=None)
    assert trust.authority_of(signer).subject == load_certificate(state.authority.certificate).subject
    assert "specimen csca" in signer.issuer


def test_two_generations_under_one_name() -> None:
    """France gives all its authorities the same name; the key identifier tells them apart, or the signature."""
    old, new = (make_authority("FR", at=MADE - timedelta(days=9), rng=seeded(seed)) for seed in (b"1", b"2"))
    trust = TrustStore.of([old.certificate, new.certificate])
    for authority in (old, new):
        signer = load_certificate(make_signer(authority, at=MADE, rng=seeded(b"3")).certificate)
        expected = load_certificate(authority.certificate).key_id
        assert trust.authority_of(signer).key_id == expected
        assert trust.authority_of(replace(signer, issuer_key_id=None)).key_id == expected


def test_one_bad_certificate_never_loses_a_list(state: State) -> None:
    trust = TrustStore.of([b"junk", state.authority.certificate, b""], [b"junk"])
    assert len(trust.authorities) == 1
    assert len(trust.unusable) == 3


def test_trust_from_pem(state: State) -> None:
    other = make_state("secp521r1", "secp384r1").authority
    pem = b"".join(
        x509.load_der_x509_certificate(authority.certificate).public_bytes(serialization.Encoding.PEM)
        for authority in (state.authority, other)
    )
    assert (
        TrustStore.of([pem]).authorities == TrustStore.of([state.authority.certificate, other.certificate]).authorities
    )
    assert len(TrustStore.of([pem[:200]]).unusable) == 1


def test_specimen_holders_are_handed_over(state: State) -> None:
    for holder in (state.signer, make_state("rsa-2048", "rsa-2048").signer):
        again = DocumentSigner.from_pem(holder.to_pem())
        assert again.certificate == holder.certificate
        assert again.key.private_numbers() == holder.key.private_numbers()
    for flaw in (b"", state.signer.to_pem()[:300], b"-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(MalformedCertificate):
            DocumentSigner.from_pem(flaw)


def test_revocation_list(state: State) -> None:
    found = load_revocation_list(make_revocation_list(state.authority, [7, 9], at=NOW))
    assert found.serials == {7, 9}
    assert found.this_update == NOW
    found.verify_issued_by(load_certificate(state.authority.certificate))
    with pytest.raises(SignatureWrong):
        found.verify_issued_by(load_certificate(state.signer.certificate))


def test_a_scheme_must_fit_the_key(state: State) -> None:
    key = load_certificate(state.signer.certificate).key
    with pytest.raises(UnsupportedAlgorithm):
        signatures.verify(key, Scheme("rsa-pkcs1", "sha256"), b"", b"")


def test_specimen_signatures_verify_with_openssl(state: State) -> None:
    signature = state.signer.sign(b"message")
    public = state.signer.key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"message", ec.ECDSA(hashes.SHA256()))
