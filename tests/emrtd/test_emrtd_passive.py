"""Passive and active authentication: what is accepted, and every way to be refused."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from emrtd_specimens import DESCRIPTION, JP2, JPEG, MADE, NOW, State, make_document, make_state, read

from emrtd import active_authentication, tlv
from emrtd.dates import PartialDate
from emrtd.errors import (
    AccessDowngraded,
    AuthorityExpired,
    ChipIsCopy,
    DataGroupAltered,
    DataGroupNotSigned,
    EmrtdError,
    GroupNotRead,
    MalformedFile,
    Misuse,
    NoChipKey,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignedByAnotherState,
    SignerExpired,
    SignerNotAllowed,
    SignerRevoked,
)
from emrtd.lds.security_infos import SecurityInfo, compose_dg14
from emrtd.lds.sod import parse_sod
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.specimen import make_authority, make_revocation_list, make_signer
from emrtd.pki.trust import TrustStore
from emrtd.rng import seeded
from emrtd.softchip import personalise
from emrtd.softchip.faults import altered, cloned, forged, mute, with_portrait_of
from emrtd.softchip.signing import answer_challenge, compose_sod

KINDS = [
    ("secp384r1", "secp256r1", False),
    ("secp521r1", "secp384r1", False),
    ("secp256r1", "secp224r1", False),
    ("brainpoolP384r1", "brainpoolP256r1", False),
    ("brainpoolP512r1", "brainpoolP384r1", False),
    ("rsa-2048", "rsa-2048", False),
    ("rsa-2048", "rsa-2048", True),
    ("rsa-2048", "secp256r1", True),
]


def accept(raw: RawDocument, state: State, at: datetime = NOW) -> AuthenticDocument:
    return passive_authentication(raw, state.trust, at=at)


def test_a_genuine_document(raw: RawDocument, state: State) -> None:
    document = accept(raw, state)
    active_authentication.verify(document, raw)
    assert (document.surname, document.given_names) == ("Lefèvre-Dœuil", "Zoë Anaïs")
    assert document.full_name == "Zoë Anaïs Lefèvre-Dœuil"
    assert (document.mrz.primary, document.mrz.secondary) == ("LEFEVRE DOEUIL", "ZOE ANAIS")
    assert document.mrz.number == "24AA12345"
    assert document.birth_date == PartialDate(1990, 5, 17)
    assert document.expiry_date == date(2034, 2, 28)
    assert document.portrait.image == JPEG
    assert document.portrait.format == "jpeg"
    assert document.dg11
    assert document.dg11.birth_place == ("Besançon",)
    assert document.dg11.personal_number == "1990055512345"
    assert document.signer.country == "FR"
    assert document.protocol == "BAC"
    assert document.signed_groups == {1, 2, 11, 14, 15}
    assert document.warnings == ()
    key = document.active_authentication_key
    assert key
    assert document.chip_key == hashlib.sha256(key.spki).digest()


@pytest.mark.parametrize(("authority", "signer", "pss"), KINDS)
def test_every_kind_of_signer(authority: str, signer: str, pss: bool) -> None:
    state = make_state(authority, signer, pss)
    assert accept(read(make_document(state=state)), state).mrz.number == "24AA12345"


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", ["secp256r1", "rsa-2048"])
def test_every_hash(digest: str, kind: str) -> None:
    document = make_document(replace(DESCRIPTION, active_authentication=kind), digest=digest)
    raw = read(document)
    found = accept(raw, make_state())
    active_authentication.verify(found, raw)
    assert found.warnings == (("sha1",) if digest == "sha1" else ())


def test_specimens_are_reproducible() -> None:
    assert make_document().to_bytes() == make_document().to_bytes()
    assert make_state.__wrapped__().authority.certificate == make_state().authority.certificate


def test_personal_values_are_not_shown_by_repr(raw: RawDocument, state: State) -> None:
    shown = repr(accept(raw, state)) + repr(raw)
    assert not any(word in shown for word in ("LEFEVRE", "Lefèvre", "24AA12345", "900517", "Besançon"))


def test_nobody_else_makes_an_authentic_document(raw: RawDocument, state: State) -> None:
    document = accept(raw, state)
    with pytest.raises(Misuse):
        replace(document, _proof=object())


def test_a_foreign_resident_with_a_single_name() -> None:
    permit = replace(
        DESCRIPTION, surname="Suharto", given_names="", kind="TD1", code="IR", nationality="IDN", portrait=JP2,
        birth_date=PartialDate(1921, None, None), number="D23145890734",
    )  # fmt: skip
    document = accept(read(make_document(permit)), make_state())
    assert document.full_name == "Suharto"
    assert document.portrait.format == "jp2"
    assert document.mrz.number == "D23145890734"
    assert str(document.birth_date) == "1921"  # DG11 has the century; the zone alone would say 2021


def test_without_dg11_the_zone_speaks() -> None:
    document = accept(read(make_document(replace(DESCRIPTION, details=False))), make_state())
    assert document.full_name == "ZOE ANAIS LEFEVRE DOEUIL"
    assert document.birth_date == PartialDate(1990, 5, 17)


def test_only_what_was_read(raw: RawDocument, state: State) -> None:
    document = accept(replace(raw, groups={15: raw.groups[15]}), state)
    assert document.chip_key
    for value in ("mrz", "portrait", "surname", "birth_date"):
        with pytest.raises(GroupNotRead):
            getattr(document, value)


# --- refused by passive authentication --------------------------------------------------------------


@pytest.mark.parametrize("group", [1, 2, 11, 14, 15])
def test_an_altered_group_is_named(group: int, state: State) -> None:
    raw = read(altered(make_document(), group))
    with pytest.raises(DataGroupAltered) as refused:
        accept(raw, state)
    assert refused.value.number == group


def test_a_forged_zone(state: State) -> None:
    with pytest.raises(DataGroupAltered) as refused:
        accept(read(forged(make_document(), surname="DUPONT")), state)
    assert refused.value.number == 1


def test_a_portrait_put_in(state: State) -> None:
    impostor = make_document(replace(DESCRIPTION, portrait=JPEG[:9_000]))
    with pytest.raises(DataGroupAltered) as refused:
        accept(read(with_portrait_of(make_document(), impostor)), state)
    assert refused.value.number == 2


def test_a_group_the_state_did_not_sign(raw: RawDocument, state: State) -> None:
    with pytest.raises(DataGroupNotSigned):
        accept(replace(raw, groups={**raw.groups, 12: b"\x6c\0"}), state)


def test_an_unknown_authority(raw: RawDocument) -> None:
    with pytest.raises(NotSignedByTrustedAuthority):
        accept(raw, make_state("secp521r1", "secp384r1"))


def test_another_trusted_state_does_not_sign_for_this_one(state: State) -> None:
    """With a whole master list trusted, any State could else sign a French passport."""
    other = make_authority("DE", at=MADE - timedelta(days=30), rng=seeded(b"other"))
    signer = make_signer(other, at=MADE - timedelta(days=1), rng=seeded(b"other"))
    both = TrustStore.of([other.certificate, state.authority.certificate])
    document = personalise(DESCRIPTION, signer, rng=seeded(b"chip"), at=MADE)
    with pytest.raises(SignedByAnotherState):
        passive_authentication(read(document), both, at=NOW)
    german = personalise(replace(DESCRIPTION, issuer="D"), signer, rng=seeded(b"chip"), at=MADE)
    assert passive_authentication(read(german), both, at=NOW).signer.country == "DE"


def test_an_authority_that_only_borrows_the_name(state: State) -> None:
    """Same country, same name, own key: what a forger can make."""
    forger = make_authority("FR", at=MADE - timedelta(days=30), rng=seeded(b"forger"))
    signer = make_signer(forger, at=MADE - timedelta(days=1), rng=seeded(b"forger"))
    document = personalise(DESCRIPTION, signer, rng=seeded(b"chip"), at=MADE)
    with pytest.raises(NotSignedByTrustedAuthority):
        accept(read(document), state)


def test_a_signer_that_claims_the_key_identifier_of_the_authority(state: State) -> None:
    """AKI points to the true authority, but the signature on the certificate is the forger's."""
    forger = replace(state.authority, key=make_state("secp384r1", "secp384r1").signer.key)
    signer = make_signer(forger, at=MADE - timedelta(days=1), rng=seeded(b"forger"))
    document = personalise(DESCRIPTION, signer, rng=seeded(b"chip"), at=MADE)
    with pytest.raises(NotSignedByTrustedAuthority):
        accept(read(document), state)


def test_a_signature_of_another_key(state: State) -> None:
    mixed = replace(state.signer, key=make_state("secp521r1", "secp256r1").signer.key)
    document = personalise(DESCRIPTION, mixed, rng=seeded(b"chip"), at=MADE)
    with pytest.raises(SignatureWrong):
        accept(read(document), state)


def test_hashes_rewritten_after_signing(raw: RawDocument, state: State) -> None:
    """The forger puts the hash of his own DG1 into the security object, without the key."""
    own = raw.groups[1].replace(b"LEFEVRE", b"DUPONT<")
    old = hashlib.sha256(raw.groups[1]).digest()
    sod = raw.sod.replace(old, hashlib.sha256(own).digest())
    assert sod != raw.sod
    with pytest.raises(SignatureWrong):
        accept(replace(raw, sod=sod, groups={**raw.groups, 1: own}), state)


def test_a_revoked_signer(raw: RawDocument, state: State) -> None:
    revocation = make_revocation_list(state.authority, [state.signer.serial], at=NOW)
    trust = TrustStore.of([state.authority.certificate], [revocation])
    with pytest.raises(SignerRevoked):
        passive_authentication(raw, trust, at=NOW)


def test_revocation_lists_missing_stale_or_forged(raw: RawDocument, state: State) -> None:
    authority = state.authority.certificate
    without = TrustStore.of([authority])
    assert passive_authentication(raw, without, at=NOW).warnings == ("no_revocation_list",)
    old = TrustStore.of([authority], [make_revocation_list(state.authority, [], at=MADE)])
    assert passive_authentication(raw, old, at=NOW).warnings == ("revocation_list_stale",)
    forger = replace(state.authority, key=state.signer.key)
    serials = [state.signer.serial]
    forged_list = TrustStore.of([authority], [make_revocation_list(forger, serials, at=NOW)])
    assert passive_authentication(raw, forged_list, at=NOW).warnings == ("no_revocation_list",)
    assert len(forged_list.unusable) == 1


def test_validity_of_signer_and_authority(raw: RawDocument, state: State) -> None:
    with pytest.raises(SignerExpired):
        accept(raw, state, at=datetime(2037, 1, 1, tzinfo=UTC))
    with pytest.raises(SignerExpired):
        accept(raw, state, at=MADE - timedelta(days=2))
    short = make_authority("FR", at=MADE - timedelta(days=30), rng=seeded(b"short"), years=1)
    signer = make_signer(short, at=MADE, rng=seeded(b"short"))
    document = read(personalise(DESCRIPTION, signer, rng=seeded(b"chip"), at=MADE))
    with pytest.raises(AuthorityExpired):
        passive_authentication(document, TrustStore.of([short.certificate]), at=NOW)


def test_a_signer_that_signed_too_late(state: State) -> None:
    """After its private key usage period, within its validity (9303-12 7.1.2)."""
    late = personalise(DESCRIPTION, state.signer, rng=seeded(b"chip"), at=MADE + timedelta(days=120))
    with pytest.raises(SignerExpired):
        accept(read(late), state)


def test_a_signer_for_other_documents(state: State) -> None:
    signer = make_signer(state.authority, at=MADE, rng=seeded(b"types"), document_types=("ID", "AR"))
    document = personalise(DESCRIPTION, signer, rng=seeded(b"chip"), at=MADE)
    with pytest.raises(SignerNotAllowed):
        accept(read(document), state)
    permit = replace(DESCRIPTION, kind="TD1", code="AR")
    assert accept(read(personalise(permit, signer, rng=seeded(b"chip"), at=MADE)), state)


def test_an_authority_that_signs_documents_itself(state: State) -> None:
    document = personalise(DESCRIPTION, state.authority, rng=seeded(b"chip"), at=MADE)  # type: ignore[arg-type]
    with pytest.raises(SignerNotAllowed):
        accept(read(document), state)


def test_bac_on_a_document_that_signs_pace(raw: RawDocument, state: State) -> None:
    pace = SecurityInfo("0.4.0.127.0.7.2.2.4.2.2", b"\x02\x01\x02", b"\x02\x01\x0d")
    groups = {**raw.groups, 14: compose_dg14((pace,))}
    sod = compose_sod(groups, state.signer, digest="sha256", at=MADE)
    with pytest.raises(AccessDowngraded):
        accept(replace(raw, sod=sod, groups=groups), state)


def test_a_moment_without_time_zone(raw: RawDocument, state: State) -> None:
    with pytest.raises(Misuse):
        accept(raw, state, at=datetime(2026, 1, 1))


def test_security_object_truncated_at_each_byte(raw: RawDocument, state: State) -> None:
    for size in range(0, len(raw.sod), 7):
        with pytest.raises(MalformedFile):
            accept(replace(raw, sod=raw.sod[:size]), state)


def test_security_object_with_garbage_after(raw: RawDocument, state: State) -> None:
    assert accept(replace(raw, sod=raw.sod + bytes(20)), state)


def test_security_object_nested_without_end(raw: RawDocument, state: State) -> None:
    """Octet strings inside octet strings (BER) exhaust a recursive reader: refused by name."""
    nested = b"\x04\x00"
    for _ in range(5_000):
        nested = tlv.encode(0x24, nested)
    content = tlv.encode(0x30, bytes.fromhex("0606678108010101"), tlv.encode(0xA0, nested))
    signed = tlv.encode(0x30, b"\x02\x01\x03", b"\x31\x00", content, b"\x31\x00")
    info = tlv.encode(0x30, bytes.fromhex("06092A864886F70D010702"), tlv.encode(0xA0, signed))
    with pytest.raises(MalformedFile):
        accept(replace(raw, sod=tlv.encode(0x77, info)), state)


def test_security_object_altered_at_each_byte(raw: RawDocument, state: State) -> None:
    """Whatever byte is changed: refused by name, or the change was outside what anything relies on."""
    accepted = 0
    for place in range(0, len(raw.sod), 3):
        sod = bytearray(raw.sod)
        sod[place] ^= 0x41
        try:
            document = accept(replace(raw, sod=bytes(sod)), state)
        except EmrtdError:
            continue
        accepted += 1
        assert document.mrz.primary == "LEFEVRE DOEUIL"
    assert accepted < 40  # version numbers, digest lists, the name of the signer in its SignerInfo


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program")
@pytest.mark.parametrize(("authority", "signer", "pss"), KINDS)
def test_openssl_accepts_our_security_objects(authority: str, signer: str, pss: bool, tmp_path: Path) -> None:
    state = make_state(authority, signer, pss)
    (tmp_path / "sod").write_bytes(tlv.expect(make_document(state=state).files[0x011D], 0x77).value)
    root = x509.load_der_x509_certificate(state.authority.certificate).public_bytes(Encoding.PEM)
    (tmp_path / "root").write_bytes(root)
    options = [
        "-purpose",
        "any",
        "-no_check_time",
        "-inform",
        "DER",
        "-in",
        "sod",
        "-CAfile",
        "root",
        "-out",
        "content",
    ]
    subprocess.run(["openssl", "cms", "-verify", *options], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "content").read_bytes().startswith(b"\x30")


def test_hashes_of_the_security_object(raw: RawDocument) -> None:
    sod = parse_sod(raw.sod)
    assert sod.hash == "sha256"
    assert sod.signing_time == MADE
    assert sod.hashes == {number: hashlib.sha256(group).digest() for number, group in raw.groups.items()}


# --- refused by active authentication ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["secp256r1", "rsa-2048"])
def test_a_copy_is_told(kind: str, state: State) -> None:
    document = make_document(replace(DESCRIPTION, active_authentication=kind))
    for copy in (cloned(document, seeded(b"other")), mute(document)):
        raw = read(copy)
        with pytest.raises(ChipIsCopy):
            active_authentication.verify(accept(raw, state), raw)


def test_a_copy_that_hides_its_key(raw: RawDocument, state: State) -> None:
    hidden = replace(raw, groups={number: group for number, group in raw.groups.items() if number != 15})
    with pytest.raises(ChipIsCopy):
        active_authentication.verify(accept(hidden, state), hidden)


def test_a_document_without_key(state: State) -> None:
    raw = read(make_document(replace(DESCRIPTION, active_authentication="none")))
    with pytest.raises(NoChipKey):
        active_authentication.verify(accept(raw, state), raw)


def test_an_answer_to_another_challenge(raw: RawDocument, state: State) -> None:
    document = accept(raw, state)
    with pytest.raises(ChipIsCopy):
        active_authentication.verify(document, replace(raw, challenge=bytes(8)))


@pytest.mark.parametrize("kind", ["secp256r1", "secp521r1", "brainpoolP384r1", "rsa-1024"])
def test_answers_altered_at_each_byte(kind: str, state: State) -> None:
    raw = read(make_document(replace(DESCRIPTION, active_authentication=kind)))
    key = accept(raw, state).active_authentication_key
    assert key
    active_authentication.verify_response(key, raw.challenge, raw.response)
    for place in range(0, len(raw.response), 5):
        wrong = bytearray(raw.response)
        wrong[place] ^= 0x10
        with pytest.raises(ChipIsCopy):
            active_authentication.verify_response(key, raw.challenge, bytes(wrong))
    for wrong_size in (raw.response[:-1], raw.response + b"\0", b""):
        with pytest.raises(ChipIsCopy):
            active_authentication.verify_response(key, raw.challenge, wrong_size)


def test_ecdsa_in_der_form(state: State) -> None:
    raw = read(make_document())
    key = accept(raw, state).active_authentication_key
    assert key
    r, s = (int.from_bytes(half, "big") for half in (raw.response[:32], raw.response[32:]))
    active_authentication.verify_response(key, raw.challenge, encode_dss_signature(r, s), digest="sha256")


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_every_trailer(digest: str, state: State) -> None:
    document = make_document(replace(DESCRIPTION, active_authentication="rsa-2048"))
    key = accept(read(document), state).active_authentication_key
    assert key
    response = answer_challenge(document.private_key, b"12345678", seeded(b"m1"), digest=digest)
    active_authentication.verify_response(key, b"12345678", response)
    modulus = key.key.modulus  # type: ignore[union-attr]
    other_form = (modulus - int.from_bytes(response, "big")).to_bytes(256, "big")
    active_authentication.verify_response(key, b"12345678", other_form)
