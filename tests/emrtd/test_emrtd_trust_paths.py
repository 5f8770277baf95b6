"""From a document signer up to a trusted authority: links, generations, validity, revocation, bounds."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from emrtd_flawed_pki import SIGNER, Recipe, integer, key, key_id, name, signer_under
from emrtd_specimens import MADE, NOW

from emrtd.errors import (
    AuthorityExpired,
    AuthorityRevoked,
    NotSignedByTrustedAuthority,
    SignerNotAllowed,
    SignerRevoked,
)
from emrtd.pki.certificate import Certificate, load_certificate
from emrtd.pki.specimen import Authority, make_revocation_list
from emrtd.pki.trust import ATTEMPTS_MAX, PATH_MAX, TrustStore

OLD = Recipe(key("old", "secp384r1"))
NEW = Recipe(key("new", "secp256r1"), serial=integer(2))
LINK = replace(NEW, issued_by=OLD, serial=integer(3))  # the new key, certified by the old
UNDER_OLD = signer_under(OLD, key("signer"))
UNDER_NEW = signer_under(NEW, key("signer"))


def signer(recipe: Recipe) -> Certificate:
    return load_certificate(recipe.der)


def path(trust: TrustStore, recipe: Recipe) -> list[int]:
    """The serial numbers of the authorities above a signer."""
    return [entry.serial for entry in trust.path_of(signer(recipe), NOW)]


def crl(authority: Recipe, serials: list[int], *, days: int = 90) -> bytes:
    private = authority.key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return make_revocation_list(Authority(authority.der, private), serials, at=NOW - timedelta(days=1), days=days)


# --- links ------------------------------------------------------------------------------------------


def test_a_new_key_under_the_old_one() -> None:
    """The old authority is trusted; a link nobody vouches for leads from the new one to it."""
    trust = TrustStore.of([OLD.der], unvouched=[LINK.der])
    assert path(trust, UNDER_NEW) == [3, OLD_SERIAL]
    assert path(trust, UNDER_OLD) == [OLD_SERIAL]
    assert trust.authority_of(signer(UNDER_NEW)).key_id == key_id(NEW.key)


OLD_SERIAL = 0x1234


def test_an_old_key_under_the_new_one() -> None:
    """The new authority is trusted and certified the old key: old documents stay good."""
    back = replace(OLD, issued_by=NEW, serial=integer(4))
    trust = TrustStore.of([NEW.der], unvouched=[back.der])
    assert path(trust, UNDER_OLD) == [4, 2]


def test_a_new_self_signed_authority_without_its_link_is_not_trusted() -> None:
    trust = TrustStore.of([OLD.der], unvouched=[NEW.der])
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, UNDER_NEW)


def test_a_link_made_by_a_forger() -> None:
    """It bears the old authority's name and key identifier, and another signature."""
    forger = replace(OLD, key=key("forger", "secp384r1"), key_id=key_id(OLD.key))
    trust = TrustStore.of([OLD.der], unvouched=[replace(LINK, issued_by=forger).der])
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, UNDER_NEW)


def test_a_link_with_a_change_of_name() -> None:
    renamed = Recipe(key("new"), issued_by=OLD, subject=name(common="CSCA 2"), serial=integer(5))
    trust = TrustStore.of([OLD.der], unvouched=[renamed.der])
    assert path(trust, signer_under(renamed, key("signer"))) == [5, OLD_SERIAL]


def test_a_link_that_a_list_vouches_for_needs_no_authority_above() -> None:
    """Twelve of the German list: the key that certified them is no longer there."""
    trust = TrustStore.of([LINK.der])
    assert path(trust, UNDER_NEW) == [3]


def test_the_trusted_one_of_several_certificates_of_a_key() -> None:
    trust = TrustStore.of([NEW.der], unvouched=[LINK.der])
    assert path(trust, UNDER_NEW) == [2]


def test_an_expired_link_beside_a_valid_one() -> None:
    short = replace(LINK, end=NOW - timedelta(days=9), serial=integer(6))
    trust = TrustStore.of([OLD.der], unvouched=[short.der, LINK.der])
    assert path(trust, UNDER_NEW) == [3, OLD_SERIAL]
    with pytest.raises(AuthorityExpired):
        path(TrustStore.of([OLD.der], unvouched=[short.der]), UNDER_NEW)


def test_a_document_signer_is_no_link() -> None:
    between = signer_under(OLD, key("between"))
    below = signer_under(replace(between, key_id=b""), key("below"))
    trust = TrustStore.of([OLD.der], unvouched=[between.der])
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, below)


def test_an_authority_whose_key_may_not_issue() -> None:
    """Marked as an authority by its constraints, not by its key usage."""
    weak = replace(OLD, usage=SIGNER)
    with pytest.raises(NotSignedByTrustedAuthority):
        path(TrustStore.of([weak.der]), UNDER_OLD)


def test_an_authority_with_a_critical_extension_nobody_knows() -> None:
    odd = replace(OLD, more={"1.2.3": (True, b"\x05\x00")})
    with pytest.raises(SignerNotAllowed):
        path(TrustStore.of([odd.der]), UNDER_OLD)


# --- generations ------------------------------------------------------------------------------------


def test_six_generations_under_one_name() -> None:
    """France: one name for all; the key identifiers tell them apart, or the signature."""
    france = name("FR", "CSCA-FRANCE")
    generations = [Recipe(key(f"FR {n}"), subject=france, serial=integer(n + 1)) for n in range(6)]
    trust = TrustStore.of([recipe.der for recipe in generations])
    for number, recipe in enumerate(generations):
        assert path(trust, signer_under(recipe, key("signer"))) == [number + 1]
        assert path(trust, signer_under(recipe, key("signer"), above=None)) == [number + 1]


def test_an_identifier_that_points_to_another_key_of_the_name() -> None:
    """The identifier misleads, the name still leads on."""
    trust = TrustStore.of([OLD.der, NEW.der])
    assert path(trust, signer_under(NEW, key("signer"), above=key_id(OLD.key))) == [2]


# --- bounds -----------------------------------------------------------------------------------------


def chain(length: int) -> list[Recipe]:
    found = [OLD]
    for number in range(length - 1):
        found.append(Recipe(key(f"chain {number}"), issued_by=found[-1], serial=integer(100 + number)))
    return found


def test_a_path_may_not_be_too_long() -> None:
    links = chain(PATH_MAX + 1)
    trust = TrustStore.of([OLD.der], unvouched=[link.der for link in links[1:]])
    assert len(path(trust, signer_under(links[PATH_MAX - 1], key("signer")))) == PATH_MAX
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, signer_under(links[PATH_MAX], key("signer")))


def test_links_in_a_circle() -> None:
    one, two = Recipe(key("one")), Recipe(key("two"))
    trust = TrustStore.of([], unvouched=[replace(one, issued_by=two).der, replace(two, issued_by=one).der])
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, signer_under(one, key("signer")))


def test_a_directory_full_of_links_to_itself() -> None:
    """Hundreds of certificates that certify each other: the search gives up, and soon."""
    keys = [Recipe(key(f"crowd {n}"), key_id=bytes(20)) for n in range(4)]
    crowd = [
        replace(mine, issued_by=above, serial=integer(n), above=bytes(20)).der
        for n in range(8)
        for mine in keys
        for above in keys
    ]
    trust = TrustStore.of([], unvouched=crowd)
    start = time.process_time()
    with pytest.raises(NotSignedByTrustedAuthority):
        path(trust, signer_under(keys[0], key("signer")))
    assert time.process_time() - start < 1
    assert len(crowd) > ATTEMPTS_MAX


# --- validity ---------------------------------------------------------------------------------------


def test_an_authority_that_was_not_valid_when_it_issued() -> None:
    later = replace(OLD, start=MADE)
    with pytest.raises(AuthorityExpired):
        path(TrustStore.of([later.der]), UNDER_OLD)


def test_a_renewed_certificate_of_the_same_key() -> None:
    expired, renewed = replace(OLD, end=NOW - timedelta(days=1), serial=integer(7)), replace(OLD, serial=integer(8))
    assert path(TrustStore.of([expired.der, renewed.der]), UNDER_OLD) == [8]
    with pytest.raises(AuthorityExpired):
        path(TrustStore.of([expired.der]), UNDER_OLD)


# --- revocation -------------------------------------------------------------------------------------


def warnings(trust: TrustStore, recipe: Recipe) -> tuple[str, ...]:
    return trust.check_path(signer(recipe), NOW)[1]


def test_a_list_of_the_newest_key_covers_the_older_ones() -> None:
    """9303-12 4.1.5: signed with the newest key, for certificates of all."""
    trust = TrustStore.of([OLD.der, NEW.der], [crl(NEW, [0x2222])])
    with pytest.raises(SignerRevoked):
        warnings(trust, UNDER_OLD)
    assert warnings(TrustStore.of([OLD.der, NEW.der], [crl(NEW, [0x2223])]), UNDER_OLD) == ()


def test_a_revoked_link() -> None:
    trust = TrustStore.of([OLD.der], [crl(OLD, [3])], unvouched=[LINK.der])
    with pytest.raises(AuthorityRevoked):
        warnings(trust, UNDER_NEW)
    assert warnings(trust, UNDER_OLD) == ()


def test_an_authority_that_revokes_itself() -> None:
    """9303-12 4.1.5.1: the list may be signed with the very key it revokes."""
    with pytest.raises(AuthorityRevoked):
        warnings(TrustStore.of([OLD.der], [crl(OLD, [OLD_SERIAL])]), UNDER_OLD)


def test_no_list_stale_list_fresh_list() -> None:
    assert warnings(TrustStore.of([OLD.der]), UNDER_OLD) == ("no_revocation_list",)
    stale = make_revocation_list(Authority(OLD.der, OLD.key), [], at=NOW - timedelta(days=91))
    assert warnings(TrustStore.of([OLD.der], [stale]), UNDER_OLD) == ("revocation_list_stale",)
    assert warnings(TrustStore.of([OLD.der], [stale, crl(OLD, [])]), UNDER_OLD) == ()


def test_a_stale_list_still_revokes() -> None:
    stale = make_revocation_list(Authority(OLD.der, OLD.key), [0x2222], at=NOW - timedelta(days=400))
    with pytest.raises(SignerRevoked):
        warnings(TrustStore.of([OLD.der], [stale, crl(OLD, [])]), UNDER_OLD)


def test_one_state_revokes_nothing_of_another() -> None:
    """A list under a neighbour's key that bears this State's name, and one that bears its own."""
    neighbour = Recipe(key("neighbour"), subject=name("XX"))
    posing = replace(neighbour, subject=OLD.subject)
    mixed = make_revocation_list(Authority(posing.der, neighbour.key), [0x2222], at=NOW - timedelta(days=1))
    trust = TrustStore.of([OLD.der, neighbour.der], [mixed])
    assert len(trust.unusable) == 1
    assert warnings(trust, UNDER_OLD) == ("no_revocation_list",)
    own = TrustStore.of([OLD.der, neighbour.der], [crl(neighbour, [0x2222])])
    assert warnings(own, UNDER_OLD) == ("no_revocation_list",)


def test_a_list_of_an_authority_that_may_sign_none() -> None:
    silent = replace(OLD, usage=(5,))
    assert len(TrustStore.of([silent.der], [crl(silent, [])]).unusable) == 1


def test_a_list_under_a_link() -> None:
    trust = TrustStore.of([OLD.der], [crl(LINK, [0x2222])], unvouched=[LINK.der])
    with pytest.raises(SignerRevoked):
        warnings(trust, UNDER_NEW)


def test_a_list_under_a_link_to_nobody() -> None:
    trust = TrustStore.of([OLD.der], [crl(NEW, [0x2222])], unvouched=[NEW.der])
    assert len(trust.unusable) == 1
    assert warnings(trust, UNDER_OLD) == ("no_revocation_list",)
