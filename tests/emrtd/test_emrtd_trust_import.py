"""Importing a trust store: lists believed under a root, directories believed in nothing, one verdict a certificate."""

from __future__ import annotations

import base64
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import ec
from emrtd_flawed_pki import (
    Recipe,
    Signing,
    integer,
    key,
    list_signer_under,
    master_list,
    name,
    security_object,
    signer_under,
    to_indefinite,
)
from emrtd_specimens import MADE, NOW

from emrtd import tlv
from emrtd.errors import (
    MalformedSignedData,
    MalformedTrustFile,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignerExpired,
    SignerNotAllowed,
    SignerRevoked,
)
from emrtd.lds.sod import LDS_SECURITY_OBJECT
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki import bundle
from emrtd.pki.certificate import load_certificate
from emrtd.pki.collection import Collection, collect
from emrtd.pki.ldif import parse_ldif
from emrtd.pki.master_list import ListSigner, parse_master_list, verify_master_list
from emrtd.pki.sources import read_source
from emrtd.pki.specimen import Authority, make_revocation_list
from emrtd.pki.trust import TrustStore

TRUST_LISTS = Path(__file__).parents[2].parent / "shared" / "data" / "trust"
real_lists = pytest.mark.skipif(not TRUST_LISTS.is_dir(), reason="no ../shared/data/trust")
REAL_AT = datetime(2026, 8, 1, tzinfo=UTC)

ROOT = Recipe(key("root", "secp384r1"), subject=name("UT"))
NEW_ROOT = Recipe(key("new root"), issued_by=ROOT, subject=name("UT"), serial=integer(2))
LISTER = list_signer_under(ROOT, key("lister"))
FRANCE = Recipe(key("France"), subject=name("FR", "CSCA-FRANCE"), serial=integer(10))
FRENCH_LINK = replace(FRANCE, key=key("France 2"), issued_by=FRANCE, serial=integer(11))
LIST = master_list([FRANCE.der, FRENCH_LINK.der], LISTER, ROOT.der)
FRENCH_SIGNER = signer_under(FRANCE, key("French signer"), subject=name("FR", "Signer"))


def verify(data: bytes, *roots: Recipe, at: datetime = NOW) -> ListSigner:
    return verify_master_list(parse_master_list(data), [root.der for root in roots], at=at)


def gather(*files: bytes, roots: Iterable[Recipe] = (ROOT,), **options: object) -> Collection:
    named = [(f"file {number}", content) for number, content in enumerate(files)]
    return collect(named, roots=[root.der for root in roots], at=NOW, **options)  # type: ignore[arg-type]


def standings(found: Collection) -> list[str]:
    return [held.verdict.standing for held in found.held]


def crl_of(authority: Recipe, serials: list[int], days_ago: int = 1) -> bytes:
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    holder = Authority(authority.der, authority.key)
    return make_revocation_list(holder, serials, at=NOW - timedelta(days=days_ago))


def french_document(trust: TrustStore, **signing: object) -> AuthenticDocument:
    usual: dict[str, object] = {"certificates": (FRENCH_SIGNER.der,)}
    made = Signing(security_object({1: b"one"}), LDS_SECURITY_OBJECT, FRENCH_SIGNER, **(usual | signing))  # type: ignore[arg-type]
    return passive_authentication(RawDocument(tlv.encode(0x77, made.der), {}), trust, at=NOW)


# --- master lists -----------------------------------------------------------------------------------


def test_a_list_under_its_root() -> None:
    found = parse_master_list(LIST)
    assert found.certificates == (FRANCE.der, FRENCH_LINK.der)
    signer = verify(LIST, ROOT)
    assert signer.signed_at == MADE
    assert signer.root.der == ROOT.der
    assert signer.warnings == ()


def test_a_list_in_indefinite_lengths() -> None:
    assert verify(to_indefinite(LIST), ROOT).root.der == ROOT.der


def test_a_list_signer_under_a_link_embedded_in_the_list() -> None:
    lister = list_signer_under(NEW_ROOT, key("lister"))
    assert verify(master_list([FRANCE.der], lister, NEW_ROOT.der), ROOT).root.der == ROOT.der
    with pytest.raises(NotSignedByTrustedAuthority):
        verify(master_list([FRANCE.der], lister), ROOT)


def test_what_stands_in_a_list_does_not_sign_it() -> None:
    """The list's own content and embedded roots answer for nobody."""
    stranger = Recipe(key("stranger"), subject=name("XX"))
    lister = list_signer_under(stranger, key("lister"))
    data = master_list([stranger.der, ROOT.der], lister, stranger.der, ROOT.der)
    with pytest.raises(NotSignedByTrustedAuthority):
        verify(data, ROOT)
    assert verify(data, stranger)


def test_the_given_certificate_may_be_the_signer_itself() -> None:
    assert verify(LIST, LISTER).root.der == LISTER.der


def test_the_signer_may_be_left_out_where_it_is_given() -> None:
    assert verify(master_list([FRANCE.der], LISTER, certificates=()), ROOT, LISTER)


def test_a_list_changed_after_signing() -> None:
    other = LIST.replace(b"CSCA-FRANCE", b"CSCA-FRENCH")
    assert other != LIST
    with pytest.raises(SignatureWrong):
        verify(other, ROOT)


def test_uses_of_the_signer() -> None:
    plain = list_signer_under(ROOT, key("lister"), extended=())
    assert verify(master_list([FRANCE.der], plain), ROOT).warnings == ("no_extended_key_usage",)
    for wrong in ({"extended": ("2.23.136.1.1.8",)}, {"usage": (6,), "extended": ()}):
        with pytest.raises(SignerNotAllowed):
            verify(master_list([FRANCE.der], list_signer_under(ROOT, key("lister"), **wrong)), ROOT)


def test_validity_of_the_signer() -> None:
    with pytest.raises(SignerExpired):
        verify(LIST, ROOT, at=NOW + timedelta(days=9000))
    with pytest.raises(SignerExpired):
        verify(master_list([FRANCE.der], LISTER, signed_at=MADE - timedelta(days=9)), ROOT)
    assert verify(master_list([FRANCE.der], LISTER, signed_at=None), ROOT).warnings == ("no_signing_time",)


def test_one_of_two_signers_is_enough() -> None:
    assert verify(master_list([FRANCE.der], LISTER, copies=2), ROOT)


def test_a_security_object_is_no_list() -> None:
    signing = Signing(security_object({1: b"one"}), LDS_SECURITY_OBJECT, LISTER, (LISTER.der,))
    with pytest.raises(MalformedSignedData):
        parse_master_list(signing.der)


@pytest.mark.parametrize("content", [b"", b"\x30\x00", b"\x30\x03\x02\x01\x00", b"\x30\x05\x02\x01\x00\x31\x7f"])
def test_a_signed_list_of_nonsense(content: bytes) -> None:
    with pytest.raises(MalformedSignedData):
        parse_master_list(master_list([], LISTER, content=content))


# --- a collection -----------------------------------------------------------------------------------


def test_what_a_list_brings() -> None:
    found = gather(LIST)
    assert standings(found) == ["self_signed", "link"]
    assert found.held[1].verdict.by == FRANCE.own_id
    assert found.left_out == ()
    (origin,) = found.origins
    assert (origin.kind, origin.root, origin.certificates, origin.signed_at) == ("master list", "UT", 2, MADE)
    assert french_document(found.store()).warnings == ("no_revocation_list",)


def test_a_list_that_no_root_answers_for() -> None:
    found = gather(LIST, roots=())
    assert found.held == ()
    assert [left.what for left in found.left_out] == ["master list"]
    taken = gather(LIST, roots=(), unverified=True)
    assert taken.origins[0].kind == "unverified master list"
    assert french_document(taken.store()).warnings == ("no_revocation_list", "authority_not_verified")


def test_an_unverified_list_must_still_be_whole() -> None:
    assert gather(LIST.replace(b"CSCA-FRANCE", b"CSCA-FRENCH"), roots=(), unverified=True).held == ()


def test_a_trusted_state_vouches_for_no_other_state() -> None:
    """France came in by a list; a list signed under France is believed only if France is given as a root."""
    lister = list_signer_under(FRANCE, key("French lister"))
    second = master_list([Recipe(key("far"), subject=name("XX")).der], lister)
    assert len(gather(LIST, second).held) == 2
    assert len(gather(LIST, second, roots=(ROOT, FRANCE)).held) == 3


def test_one_bad_certificate_never_loses_a_list() -> None:
    bad = [b"\x30\x03\x02\x01\x01", FRANCE.der[:-200] + bytes(200), replace(FRANCE, usage=(0,), ca=None).der]
    forged = replace(FRANCE, serial=integer(12)).der[:-1] + b"\x00"
    found = gather(master_list([*bad, FRANCE.der, FRANCE.der, forged], LISTER))
    verdicts = Counter(standings(found))
    assert verdicts["self_signed"] == 1
    assert found.origins[0].certificates + len(found.left_out) == 6
    reasons = {held.verdict.reason for held in found.held if held.verdict.standing == "unusable"}
    assert reasons <= {"its key may not sign certificates", "its own signature does not verify"}
    assert "its key may not sign certificates" in reasons
    assert french_document(found.store())


def test_a_link_whose_authority_is_nowhere() -> None:
    found = gather(master_list([FRENCH_LINK.der], LISTER))
    assert standings(found) == ["issuer_absent"]
    under_link = signer_under(FRENCH_LINK, key("French signer"))
    assert found.store().authority_of(load_certificate(under_link.der))


def test_the_same_from_two_sources() -> None:
    found = gather(LIST, FRANCE.der)
    assert [held.origins for held in found.held] == [(0, 1), (0,)]
    assert [(origin.certificates, origin.duplicates) for origin in found.origins] == [(2, 0), (1, 1)]


def test_pem_der_and_several_in_a_file() -> None:
    armoured = pem.armor("CERTIFICATE", FRANCE.der) + b"text between\n" + pem.armor("CERTIFICATE", FRENCH_LINK.der)
    for content in (armoured, FRANCE.der + FRENCH_LINK.der, to_indefinite(FRANCE.der) + FRENCH_LINK.der):
        assert standings(gather(content)) == ["self_signed", "link"]
    assert len(gather(pem.armor("CMS", LIST)).held) == 2
    assert len(gather(FRANCE.der, pem.armor("X509 CRL", crl_of(FRANCE, []))).revocations) == 1


@pytest.mark.parametrize("content", [b"", b"0", b"nothing", b"-----BEGIN", b"\x30\x02\x05\x00", b"\x30\x80", b"\xff"])
def test_files_of_something_else(content: bytes) -> None:
    found = gather(content)
    assert (found.held, len(found.left_out)) == ((), 1)


# --- later imports ----------------------------------------------------------------------------------


def test_a_later_list_takes_the_place_of_the_earlier_one() -> None:
    """What a State withdrew does not stay; what another origin holds does."""
    first = gather(LIST)
    later = master_list([FRENCH_LINK.der], LISTER, signed_at=MADE + timedelta(days=1))
    found = gather(later, onto=first)
    assert [held.entry.serial for held in found.held] == [11]
    assert len(found.origins) == 1
    kept = gather(later, onto=gather(LIST, FRANCE.der))
    assert sorted(held.entry.serial for held in kept.held) == [10, 11]


def test_an_earlier_list_never_does() -> None:
    first = gather(LIST)
    for signed_at in (MADE - timedelta(hours=1), None):
        older = master_list([ROOT.der], LISTER, signed_at=signed_at)
        found = gather(older, onto=first)
        assert found.held == first.held
        assert "older than" in found.left_out[0].reason
        assert gather(older, onto=first, unverified=True).held == first.held


def test_the_same_list_again_changes_nothing() -> None:
    first = gather(LIST)
    again = gather(LIST, onto=first)
    assert (again.held, again.origins) == (first.held, first.origins)


def test_a_list_once_unverified_is_verified_later() -> None:
    found = gather(LIST, onto=gather(LIST, roots=(), unverified=True))
    assert [origin.kind for origin in found.origins] == ["master list"]
    assert french_document(found.store()).warnings == ("no_revocation_list",)


def test_the_newest_revocation_list_stays() -> None:
    old, new = crl_of(FRANCE, [0x2222], 9), crl_of(FRANCE, [])
    for found in (gather(FRANCE.der, old, new), gather(new, onto=gather(FRANCE.der, old))):
        assert [held.der for held in found.revocations] == [new]
    back = gather(old, onto=gather(FRANCE.der, new))
    assert [held.der for held in back.revocations] == [new]


def test_a_revocation_list_of_nobody_known() -> None:
    found = gather(crl_of(FRANCE, []))
    assert found.revocations == ()
    assert [left.what for left in found.left_out] == ["revocation list"]


# --- directories ------------------------------------------------------------------------------------


def ldif(**values: bytes) -> bytes:
    """Entries as the public key directory gives them out, lines folded at 76."""
    entries = [b"version: 1\n# a comment\n  that goes on\n"]
    for number, (attribute, value) in enumerate(values.items()):
        described = attribute.replace("__", ";")
        line = f"{described}:: {base64.b64encode(value).decode()}"
        folded = "\n ".join(textwrap.wrap(line, 76, break_on_hyphens=False, break_long_words=True))
        entries.append(f"dn: cn={number},o=dsc,c=FR,dc=data\nobjectClass: top\n{folded}\nsn: 1\n".encode())
    return b"\n".join(entries)


DIRECTORY = ldif(
    pkdMasterListContent=LIST,
    userCertificate__binary=FRENCH_SIGNER.der,
    certificateRevocationList__binary=crl_of(FRANCE, [1]),
)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_values_of_a_directory(newline: bytes) -> None:
    found = parse_ldif(DIRECTORY.replace(b"\n", newline))
    assert found.master_lists == (LIST,)
    assert found.certificates == (FRENCH_SIGNER.der,)
    assert len(found.revocation_lists) == 1
    assert found.unreadable == 0


def test_attributes_in_capitals_and_of_other_kinds() -> None:
    text = DIRECTORY.replace(b"pkdMasterListContent", b"PKDMASTERLISTCONTENT") + b"\ndn: x\njpegPhoto:: AAAA\n"
    assert parse_ldif(text).master_lists == (LIST,)


def test_addresses_are_not_fetched_and_bad_values_counted() -> None:
    text = b"version: 1\ndn: cn=1\nuserCertificate;binary:< file:///etc/passwd\nuserCertificate;binary:: AAA*\n"
    found = parse_ldif(text)
    assert (found.certificates, found.unreadable) == ((), 1)


def test_a_directory_is_believed_in_nothing() -> None:
    """A self-signed authority in a directory is no authority; its document signers are known, not trusted."""
    found = gather(ldif(cACertificate__binary=FRANCE.der, userCertificate__binary=FRENCH_SIGNER.der), roots=())
    assert sorted(standings(found)) == ["issued", "self_signed"]
    with pytest.raises(NotSignedByTrustedAuthority):
        french_document(found.store())


def test_a_directory_beside_its_root() -> None:
    """The list inside under its root, the signer known under the list, the revocation list under the authority."""
    found = gather(DIRECTORY)
    assert sorted(standings(found)) == ["issued", "link", "self_signed"]
    assert {origin.kind for origin in found.origins} == {"master list", "directory"}
    assert french_document(found.store(), certificates=()).warnings == ()
    revoked = gather(ldif(l=b"", certificateRevocationList__binary=crl_of(FRANCE, [0x2222], 0)), onto=found)
    with pytest.raises(SignerRevoked):
        french_document(revoked.store())


# --- the bundle -------------------------------------------------------------------------------------


def test_a_bundle_is_what_was_dumped() -> None:
    found = gather(DIRECTORY, b"junk")
    index, certificates = bundle.dump(found)
    assert bundle.load_collection(index, certificates) == found
    assert bundle.dump(bundle.load_collection(index, certificates)) == (index, certificates)
    assert french_document(bundle.load(index, certificates)).warnings == ()
    assert read_source(certificates).certificates  # readable without the index


def test_an_empty_bundle() -> None:
    assert bundle.load_collection(*bundle.dump(Collection())) == Collection()


def test_a_bundle_that_is_damaged() -> None:
    index, certificates = bundle.dump(gather(LIST))
    other, _ = bundle.dump(gather(FRANCE.der))
    at = len(index) // 2
    for wrong, beside in [
        (index, certificates[:-1]),
        (index, certificates + b"\0"),
        (index, b""),
        (other, certificates),
        (index[:at] + bytes((index[at] ^ 1,)) + index[at + 1 :], certificates),
        (index[:-1], certificates),
        (b"", certificates),
        (index.replace(b'"version":1', b'"version":2'), certificates),
    ]:
        with pytest.raises(MalformedTrustFile):
            bundle.load(wrong, beside)


def test_each_index_names_its_own_bundle() -> None:
    one, two = (bundle.dump(gather(content))[0] for content in (LIST, FRANCE.der))
    assert bundle.bundle_name(one) != bundle.bundle_name(two)


# --- real lists -------------------------------------------------------------------------------------


def real(*names: str) -> list[tuple[str, bytes]]:
    return [(each, (TRUST_LISTS / each).read_bytes()) for each in names]


@real_lists
@pytest.mark.parametrize(
    ("file", "root", "count", "absent"),
    [
        ("DE_ML_2026-05-28.ml", "DE_ROOT_CA_CSCA07.cer", 588, 12),
        ("NL_ML_2026-07-22.ml", "NL_ROOT_CA.cer", 411, 0),
    ],
)
def test_every_key_of_the_real_lists_is_usable(file: str, root: str, count: int, absent: int) -> None:
    """The twelve are links from keys that have expired and left the list; the keys they certify stand in it
    a second time, self-signed."""
    found = collect(real(file), roots=[content for _, content in real(root)], at=REAL_AT)
    verdicts = Counter(standings(found))
    assert found.left_out == ()
    assert len(found.held) == count
    assert (verdicts["unusable"], verdicts["issuer_absent"]) == (0, absent)
    keys = Counter(held.entry.certificate.key for held in found.held if held.verdict.standing == "self_signed")
    for held in found.held:
        if held.verdict.standing == "issuer_absent":
            assert keys[held.entry.certificate.key] >= 1
    assert {held.entry.voucher for held in found.held} == {"list"}
    assert bundle.load_collection(*bundle.dump(found)) == found


@real_lists
def test_the_real_lists_under_each_others_root() -> None:
    crossed = collect(real("NL_ML_2026-07-22.ml"), roots=[c for _, c in real("DE_ROOT_CA_CSCA07.cer")], at=REAL_AT)
    assert crossed.held == ()
    assert [left.what for left in crossed.left_out] == ["master list"]


@real_lists
def test_the_german_list_with_an_octet_changed() -> None:
    ((name_, content),) = real("DE_ML_2026-05-28.ml")
    for at in range(100, len(content), len(content) // 20):
        changed = content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]
        found = collect([(name_, changed)], roots=[c for _, c in real("DE_ROOT_CA_CSCA07.cer")], at=REAL_AT)
        assert found.held == ()
        assert len(found.left_out) == 1


@real_lists
def test_each_french_generation_is_found_by_its_key() -> None:
    files = real("DE_ML_2026-05-28.ml", "DE_ROOT_CA_CSCA07.cer")
    found = collect(files[:1], roots=[files[1][1]], at=REAL_AT)
    french = [held for held in found.held if held.entry.certificate.country == "FR"]
    assert len({held.entry.subject for held in french}) == 1
    assert len({held.entry.key_id for held in french}) == 3
    assert all(held.verdict.standing in ("self_signed", "link") for held in french)
