"""Security objects as States really write them, from bytes to verdict; and what may not be forgiven."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from emrtd_flawed_pki import (
    Recipe,
    Signing,
    algorithm,
    integer,
    key,
    list_signer_under,
    name,
    rsa_key_algorithm,
    security_object,
    signer_under,
    to_indefinite,
)
from emrtd_specimens import MADE, NOW

from emrtd import tlv
from emrtd.errors import (
    DataGroupAltered,
    MalformedFile,
    NotGenuine,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignerExpired,
    SignerNotAllowed,
    UnsupportedAlgorithm,
)
from emrtd.lds.sod import CONTENT_TYPES, LDS_SECURITY_OBJECT, parse_sod
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.ber import to_definite
from emrtd.pki.cms import read_signed_data
from emrtd.pki.signatures import Scheme
from emrtd.pki.specimen import make_authority, make_revocation_list
from emrtd.pki.trust import TrustStore
from emrtd.rng import seeded

GROUPS = {1: b"\x61\x03one", 2: b"\x75\x03two"}
AUTHORITY = Recipe(key("authority", "secp384r1"))
SIGNER = signer_under(AUTHORITY, key("signer"))
RSA_SIGNER = signer_under(AUTHORITY, key("rsa", "rsa-2048"))
TRUST = TrustStore.of([AUTHORITY.der])
USUAL = Signing(security_object(GROUPS), LDS_SECURITY_OBJECT, SIGNER, (SIGNER.der,))
RSA = replace(USUAL, signer=RSA_SIGNER, certificates=(RSA_SIGNER.der,))


def sod_of(signing: Signing) -> bytes:
    return tlv.encode(0x77, signing.der)


def accept(sod: bytes | Signing, trust: TrustStore = TRUST) -> AuthenticDocument:
    """Passive authentication of a document whose data groups are read by nobody: the signature is the matter."""
    content = sod if isinstance(sod, bytes) else sod_of(sod)
    return passive_authentication(RawDocument(content, {}), trust, at=NOW)


def test_without_flaw() -> None:
    document = accept(USUAL)
    assert document.signed_groups == {1, 2}
    assert document.warnings == ("no_revocation_list",)
    with pytest.raises(DataGroupAltered):
        passive_authentication(RawDocument(sod_of(USUAL), {1: b"\x61\x03own"}), TRUST, at=NOW)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types(content_type: str) -> None:
    """That of the standard, that of FR and BE, that of NL, plain data (CN)."""
    assert accept(replace(USUAL, content_type=content_type))


def test_another_content_type() -> None:
    with pytest.raises(MalformedFile):
        accept(replace(USUAL, content_type="2.23.136.1.1.2"))


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_rsa_encryption_with_the_hash_elsewhere(digest: str) -> None:
    """The algorithm names the key, the digest algorithm the hash."""
    document = accept(replace(RSA, algorithm=rsa_key_algorithm(), digest=digest, scheme=Scheme("rsa-pkcs1", digest)))
    assert ("sha1" in document.warnings) == (digest == "sha1")


def test_ec_public_key_with_the_hash_elsewhere() -> None:
    named = tlv.encode(0x30, bytes.fromhex("06072A8648CE3D0201"))
    assert accept(replace(USUAL, algorithm=named, digest="sha384", scheme=Scheme("ecdsa", "sha384")))


def test_pkcs1_under_a_certificate_signed_with_pss() -> None:
    """Turkey: the certificate's own algorithm says nothing about how its key signs."""
    authority = Recipe(key("rsa authority", "rsa-2048"), scheme=Scheme("rsa-pss", "sha256", 32))
    signer = signer_under(authority, key("rsa", "rsa-2048"), scheme=Scheme("rsa-pss", "sha256", 32))
    assert accept(replace(RSA, signer=signer, certificates=(signer.der,)), TrustStore.of([authority.der]))


@pytest.mark.parametrize(
    "scheme",
    [Scheme("rsa-pss", "sha512", 64), Scheme("rsa-pss", "sha256", 20), Scheme("rsa-pss", "sha256", 32, "sha1")],
    ids=str,
)
def test_pss(scheme: Scheme) -> None:
    """Italy signs with SHA-512; others with a salt of 20 octets, or a mask of another hash."""
    assert accept(replace(RSA, scheme=scheme))


def test_one_hash_for_the_content_another_for_the_signature() -> None:
    assert accept(replace(USUAL, digest="sha1", scheme=Scheme("ecdsa", "sha256"))).warnings[0] == "sha1"


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha384", "sha512"])
def test_hashes_of_the_groups(digest: str) -> None:
    signing = replace(USUAL, content=security_object(GROUPS, digest))
    raw = RawDocument(sod_of(signing), {})
    assert passive_authentication(raw, TRUST, at=NOW).signed_groups == {1, 2}


def test_signature_with_a_digest_info_without_null() -> None:
    assert accept(replace(RSA, signature_without_null=True))


# --- which certificate ------------------------------------------------------------------------------


def test_named_by_issuer_and_serial() -> None:
    assert accept(replace(USUAL, named_by="serial"))


def test_named_by_an_issuer_written_otherwise() -> None:
    """Ukraine: another type of string, another order; compared tolerantly."""
    assert accept(replace(USUAL, named_by="serial", issuer=name(string=0x13, backwards=True)))


@pytest.mark.parametrize(
    "wrong", [{"issuer": name(common="Somebody")}, {"serial": integer(99)}], ids=["issuer", "serial"]
)
def test_named_by_what_no_certificate_has(wrong: dict[str, bytes]) -> None:
    """Then every embedded certificate is tried: the signature decides."""
    assert accept(replace(USUAL, named_by="serial", **wrong))  # type: ignore[arg-type]


def test_among_several_certificates() -> None:
    """The signer among strangers, one of which cannot be read at all."""
    stranger = Recipe(key("stranger"))
    assert accept(replace(USUAL, certificates=(stranger.der, b"\x30\x03\x02\x01\x01", SIGNER.der, AUTHORITY.der)))


def test_no_certificate_embedded_but_known() -> None:
    """From a public key directory: known, not trusted by itself."""
    bare = replace(USUAL, certificates=())
    with pytest.raises(NotSignedByTrustedAuthority):
        accept(bare)
    assert accept(bare, TrustStore.of([AUTHORITY.der], unvouched=[SIGNER.der]))
    by_serial = replace(bare, named_by="serial")
    assert accept(by_serial, TrustStore.of([AUTHORITY.der], unvouched=[SIGNER.der]))


def test_a_known_signer_is_not_trusted_for_being_known() -> None:
    for store in (TrustStore.of([], unvouched=[SIGNER.der]), TrustStore.of([SIGNER.der])):
        with pytest.raises(NotSignedByTrustedAuthority):
            accept(USUAL, store)


def test_a_signer_without_key_identifier() -> None:
    plain = signer_under(AUTHORITY, key("signer"), key_id=None)
    assert accept(replace(USUAL, signer=plain, certificates=(plain.der,), named_by="serial"))


# --- how it is written ------------------------------------------------------------------------------


def test_indefinite_lengths() -> None:
    """New Zealand: the whole in BER, hashes and signature over the octets meant."""
    assert accept(replace(USUAL, indefinite=True))
    assert accept(to_indefinite(sod_of(USUAL)))
    assert accept(replace(USUAL, certificates=(to_indefinite(SIGNER.der),)))


@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_content_in_pieces(pieces: int, indefinite: bool) -> None:
    """RFC 5652 5.4: the octets are hashed, not the tags and lengths between them."""
    document = accept(replace(USUAL, pieces=pieces, indefinite=indefinite))
    assert document.signed_groups == {1, 2}


def test_attributes_out_of_order() -> None:
    """RFC 5652 5.4: signed in DER, written in another order."""
    assert accept(replace(USUAL, backwards=True))


def test_without_signed_attributes() -> None:
    assert accept(replace(USUAL, attributes=False))


def test_without_signing_time() -> None:
    assert accept(replace(USUAL, signed_at=None))


def test_octets_after_it() -> None:
    assert accept(sod_of(USUAL) + bytes(100))


def test_what_is_definite_is_left_alone() -> None:
    whole = sod_of(USUAL)
    assert to_definite(whole) is whole
    assert to_definite(to_indefinite(whole)) == whole


# --- what is not forgiven ---------------------------------------------------------------------------


def test_attributes_of_another_content() -> None:
    with pytest.raises(SignatureWrong):
        accept(replace(USUAL, message_digest=bytes(32)))
    with pytest.raises(SignatureWrong):
        accept(replace(USUAL, signed_content_type="1.2.840.113549.1.7.1"))


def test_an_algorithm_that_does_not_fit_the_key() -> None:
    with pytest.raises(SignatureWrong):
        accept(replace(USUAL, algorithm=algorithm(Scheme("rsa-pkcs1", "sha256"))))
    with pytest.raises(SignatureWrong):
        accept(replace(RSA, algorithm=algorithm(Scheme("rsa-pss", "sha256", 32))))


def test_an_algorithm_nobody_knows() -> None:
    with pytest.raises(UnsupportedAlgorithm):
        accept(replace(USUAL, algorithm=tlv.encode(0x30, bytes.fromhex("06032A0304"))))


def test_two_signers() -> None:
    with pytest.raises(MalformedFile):
        accept(replace(USUAL, copies=2))
    assert len(read_signed_data(replace(USUAL, copies=2).der).signers) == 2


def test_no_signer() -> None:
    with pytest.raises(MalformedFile):
        accept(replace(USUAL, copies=0))


def test_a_list_signer_signs_no_document() -> None:
    signer = list_signer_under(AUTHORITY, key("signer"))
    with pytest.raises(SignerNotAllowed):
        accept(replace(USUAL, signer=signer, certificates=(signer.der,)))


def test_a_signer_with_a_critical_extension_nobody_knows() -> None:
    signer = signer_under(AUTHORITY, key("signer"), more={"1.2.3": (True, b"\x05\x00")})
    with pytest.raises(SignerNotAllowed):
        accept(replace(USUAL, signer=signer, certificates=(signer.der,)))


def test_signed_before_the_signer_was_valid() -> None:
    with pytest.raises(SignerExpired):
        accept(replace(USUAL, signed_at=MADE - timedelta(days=2)))


def test_an_authority_that_signs_a_document() -> None:
    with pytest.raises(SignerNotAllowed):
        accept(replace(USUAL, signer=AUTHORITY, certificates=(AUTHORITY.der,)))


def test_a_signer_that_signed_itself() -> None:
    forged = Recipe(key("forger"), usage=(0,), ca=None)
    with pytest.raises(NotSignedByTrustedAuthority):
        accept(replace(USUAL, signer=forged, certificates=(forged.der,)))


def test_a_trusted_signer_beside_a_foreign_signature() -> None:
    """The certificate of a true signer embedded, the signature of another key: told as a wrong signature."""
    forged = signer_under(AUTHORITY, key("forger"))
    with pytest.raises(NotGenuine):
        accept(replace(USUAL, signer=replace(forged, issued_by=None), certificates=(SIGNER.der,)))


@pytest.mark.parametrize("number", [0, 17, -1])
def test_hashes_of_groups_that_do_not_exist(number: int) -> None:
    with pytest.raises(MalformedFile):
        parse_sod(sod_of(replace(USUAL, content=security_object({number: b""}))))


def test_no_hashes() -> None:
    with pytest.raises(MalformedFile):
        parse_sod(sod_of(replace(USUAL, content=security_object({}))))


def test_more_certificates_than_anyone_needs() -> None:
    with pytest.raises(MalformedFile):
        parse_sod(sod_of(replace(USUAL, certificates=(SIGNER.der,) * 65)))


def test_a_security_object_of_absurd_size() -> None:
    with pytest.raises(MalformedFile):
        parse_sod(sod_of(USUAL) + bytes(1 << 17))


def test_revoked_under_another_name_of_the_state() -> None:
    """9303-12 D.1.2.3: a State has one list, whatever it was called when it issued the signer."""
    renamed = make_authority("UT", at=MADE - timedelta(days=9), rng=seeded(b"renamed"), name="CSCA after the vote")
    revocation = make_revocation_list(renamed, [0x2222], at=NOW)
    trust = TrustStore.of([AUTHORITY.der, renamed.certificate], [revocation])
    assert trust.unusable == ()
    with pytest.raises(NotGenuine, match="revoked"):
        accept(USUAL, trust)
