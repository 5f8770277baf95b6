"""Keys take over after they were published, end on their day, and are retired when nothing needs them any more."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from alicem import jose, keys
from alicem.keys import KeyEnded, Keys, KeysError
from alicem.keys.authority import make_authority
from alicem.keys.purposes import CERTIFIED, OVERLAP, PURPOSES, SECRETS, SIGNING, YEAR
from alicem.keys.turning import NEVER, NOTICE, first_ring

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TURNING = tuple(purpose for purpose in PURPOSES if purpose not in NEVER)
BARELY = timedelta(microseconds=1)


def ring(*, specimen: bool = True) -> Keys:
    return first_ring(NOW, secrets.token_bytes, "localhost", specimen=specimen)


def rotated(ring: Keys, purpose: str, now: datetime, *, at_once: bool = False) -> Keys:
    return keys.rotated(ring, (purpose,), now, secrets.token_bytes, "localhost", at_once=at_once)


def used(ring: Keys, purpose: str, now: datetime) -> str:
    return (ring.signing if purpose in SIGNING else ring.secret)(purpose, now).kid


def counting(ring: Keys, purpose: str) -> list[str]:
    return [key.kid for key in (ring.signing_all(purpose) if purpose in SIGNING else ring.secret_all(purpose))]


@pytest.mark.parametrize("purpose", TURNING)
def test_a_new_key_counts_at_once_and_is_used_after_the_overlap(purpose: str) -> None:
    old = ring()
    turned = rotated(old, purpose, NOW + YEAR / 2)
    begins = NOW + YEAR / 2 + OVERLAP
    new, before = turned.living(purpose)
    assert counting(turned, purpose) == [new.kid, before.kid]
    assert used(turned, purpose, begins - BARELY) == before.kid == used(old, purpose, NOW)
    assert used(turned, purpose, begins) == new.kid
    assert new.use_by == begins + (PURPOSES[purpose].life or timedelta())


def test_a_key_about_to_end_is_followed_without_a_gap() -> None:
    ends = NOW + YEAR
    turned = rotated(ring(), "signing", ends - timedelta(minutes=1))
    assert used(turned, "signing", ends - BARELY) == turned.living("signing")[1].kid
    assert used(turned, "signing", ends) == turned.living("signing")[0].kid


def test_a_compromised_key_is_followed_at_once() -> None:
    turned = rotated(ring(), "issuer", NOW + OVERLAP, at_once=True)
    assert used(turned, "issuer", NOW + OVERLAP) == turned.living("issuer")[0].kid


@pytest.mark.parametrize("purpose", TURNING)
def test_past_its_day_a_key_that_strangers_rely_on_makes_nothing(purpose: str) -> None:
    made = ring()
    ends = made.living(purpose)[0].use_by
    assert ends is not None
    used(made, purpose, ends - BARELY)
    if PURPOSES[purpose].ends:
        with pytest.raises(KeyEnded, match="alicem keys rotate"):
            used(made, purpose, ends)
    else:
        assert used(made, purpose, ends) == made.living(purpose)[0].kid
    assert purpose in keys.due(made, ends) and any(purpose in said for said in keys.troubles(made, ends))


def test_keys_are_told_of_a_month_before_their_end() -> None:
    made = ring()
    assert keys.troubles(made, NOW + YEAR - NOTICE - BARELY) == ()
    assert set(keys.due(made, NOW + YEAR - NOTICE)) == {name for name in TURNING if PURPOSES[name].life == YEAR}
    turned = keys.rotated(made, keys.due(made, NOW + YEAR), NOW + YEAR, secrets.token_bytes, "localhost")
    assert keys.troubles(turned, NOW + YEAR) == ()


def test_a_clock_set_back_stops_nobody() -> None:
    made = ring()
    assert used(made, "transaction", NOW - timedelta(days=400)) == made.living("transaction")[0].kid


@pytest.mark.parametrize("purpose", [*NEVER, "unheard_of"])
def test_some_keys_never_turn(purpose: str) -> None:
    with pytest.raises(KeysError, match=r"never turns|there is no purpose"):
        rotated(ring(), purpose, NOW)


def test_a_second_rotation_waits_for_the_first() -> None:
    turned = rotated(ring(), "signing", NOW)
    with pytest.raises(KeysError, match="waits already"):
        rotated(turned, "signing", NOW + OVERLAP - BARELY)
    assert len(rotated(turned, "signing", NOW + OVERLAP).living("signing")) == 3


@given(st.lists(st.tuples(st.sampled_from(TURNING), st.integers(1, 500)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_whatever_is_rotated_when_there_is_one_key_in_use_and_none_is_lost(turns: list[tuple[str, int]]) -> None:
    made, now, rng = ring(), NOW, random.Random(7)  # noqa: S311
    for purpose, days in turns:
        now += timedelta(days=days)
        before = {key.kid for key in made.every}
        made = keys.rotated(made, (purpose,), now, rng.randbytes, "localhost")
        assert before < {key.kid for key in made.every}
        key = keys.ring.in_use(made.living(purpose), purpose, now + OVERLAP)
        assert key.kid == made.living(purpose)[0].kid and not key.over(now + OVERLAP)
        assert used(made, "subject", now) == used(made, "subject", NOW)


@pytest.mark.parametrize("purpose", CERTIFIED)
def test_a_turned_key_chains_to_the_authority_phones_pinned(purpose: str) -> None:
    made = ring()
    turned = rotated(made, purpose, NOW + YEAR / 2)
    leaf, authority = (x509.load_der_x509_certificate(one) for one in turned.living(purpose)[0].x5c)
    leaf.verify_directly_issued_by(authority)
    assert turned.living(purpose)[0].x5c[1] == made.signing("authority", NOW).x5c[0]
    looked_at = PURPOSES[purpose].looked_at
    assert leaf.not_valid_after_utc >= (turned.living(purpose)[0].use_by or NOW) + (looked_at or timedelta())


class Operator:
    """An authority that stays elsewhere."""

    def __init__(self, years: int = 20) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.der = make_authority(self.key, NOW, NOW + years * YEAR, "operator")

    def certify(
        self, csr: bytes, years: int = 7, key: ec.EllipticCurvePublicKey | None = None, *, copied: bool = True
    ) -> bytes:
        """`copied`: with the extensions that were asked for."""
        asked, own = x509.load_pem_x509_csr(csr), x509.load_der_x509_certificate(self.der)
        assert asked.is_signature_valid
        builder = x509.CertificateBuilder().subject_name(asked.subject).issuer_name(own.subject)
        builder = builder.public_key(key or asked.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - YEAR).not_valid_after(NOW + years * YEAR)
        for one in asked.extensions if copied else ():
            builder = builder.add_extension(one.value, one.critical)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM) + own.public_bytes(Encoding.PEM)


def test_an_operators_authority_certifies_by_request() -> None:
    operator, made = Operator(), ring(specimen=False)
    with pytest.raises(KeysError, match="no issuer key in use"):
        made.signing("issuer", NOW)
    for purpose in CERTIFIED:
        (waiting,) = made.living(purpose)
        assert f"{waiting.kid} waits for its certificate" in keys.troubles(made, NOW)
        csr = keys.request(made, waiting.kid, "localhost")
        made = keys.installed(made, waiting.kid, operator.certify(csr), NOW, "localhost")
        assert made.signing(purpose, NOW).x5c[1] == operator.der
    assert keys.troubles(made, NOW) == ()
    turned = rotated(made, "issuer", NOW + YEAR / 2)
    waiting, before = turned.living("issuer")
    assert turned.signing("issuer", NOW + YEAR / 2 + OVERLAP).kid == before.kid
    csr = keys.request(turned, waiting.kid, "localhost")
    urgent = keys.installed(turned, waiting.kid, operator.certify(csr), NOW + YEAR / 2, "localhost", at_once=True)
    assert used(urgent, "issuer", NOW + YEAR / 2) == waiting.kid
    turned = keys.installed(turned, waiting.kid, operator.certify(csr), NOW + YEAR / 2, "localhost")
    assert used(turned, "issuer", NOW + YEAR / 2) == before.kid
    assert used(turned, "issuer", NOW + YEAR / 2 + OVERLAP) == waiting.kid


def test_a_key_that_waits_for_years_holds_up_no_other() -> None:
    turned = rotated(ring(specimen=False), "signing", NOW + YEAR)
    late = NOW + 3 * YEAR
    due = keys.due(turned, late)
    assert "issuer" not in due and {"signing", "journal", "at_rest", "transaction"} <= set(due)
    again = keys.rotated(turned, due, late, secrets.token_bytes, "localhost")
    assert keys.due(again, late) == () and len(keys.troubles(again, late)) == len(CERTIFIED)


def test_chains_that_would_not_do_are_refused_by_name() -> None:
    operator, stranger, made = Operator(), Operator(), ring(specimen=False)
    csrs = {key.purpose: keys.request(made, key.kid, "localhost") for key in made.signing_keys if key.used_from is None}
    kids = {purpose: made.living(purpose)[0].kid for purpose in CERTIFIED}
    made = keys.installed(made, kids["verifier"], operator.certify(csrs["verifier"]), NOW, "localhost")
    own = operator.certify(csrs["issuer"])
    leaf, authority = (one + b"-----END CERTIFICATE-----\n" for one in own.split(b"-----END CERTIFICATE-----\n")[:2])
    for pem, words in (
        (b"", "PEM, in this order"),
        (leaf, "PEM, in this order"),
        (authority + leaf, "PEM, in this order"),
        (operator.certify(csrs["issuer"], key=stranger.key.public_key()), "of another key"),
        (operator.certify(csrs["issuer"], copied=False), "lacks the name that was asked for, DNS:localhost"),
        (Operator(years=5).certify(csrs["issuer"]), "the authority is to be valid"),
        (operator.certify(csrs["issuer"], years=3), "certificate is to be valid from now to"),
        (stranger.certify(csrs["issuer"]), "every phone would have to enrol again"),
    ):
        with pytest.raises(KeysError, match=words):
            keys.installed(made, kids["issuer"], pem, NOW, "localhost")
    with pytest.raises(KeysError, match="waits for a certificate"):
        keys.installed(made, kids["verifier"], own, NOW, "localhost")
    assert keys.installed(made, kids["issuer"], own, NOW, "localhost").signing("issuer", NOW).kid == kids["issuer"]
    meant = keys.installed(made, kids["issuer"], stranger.certify(csrs["issuer"]), NOW, "localhost", new_authority=True)
    assert meant.signing("issuer", NOW).x5c[1] == stranger.der


def refused(ring: Keys, kid: str, now: datetime, rows: int = 0, *, compromised: bool = False) -> str:
    with pytest.raises(KeysError) as refusal:
        keys.retired(ring, kid, now, rows, compromised=compromised)
    return str(refusal.value)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_key_in_use_is_never_retired(purpose: str) -> None:
    made = ring()
    for compromised in (False, True):
        assert "still needed" in refused(made, made.living(purpose)[0].kid, NOW, compromised=compromised)


@pytest.mark.parametrize("purpose", [name for name in TURNING if PURPOSES[name].looked_at is not None])
def test_a_key_is_retired_once_what_it_made_counts_no_more(purpose: str) -> None:
    old = used(ring_ := ring(), purpose, NOW)
    turned = rotated(ring_, purpose, NOW)
    until = NOW + OVERLAP + (PURPOSES[purpose].looked_at or timedelta())
    if PURPOSES[purpose].looked_at:
        assert "counts until" in refused(turned, old, until - BARELY)
    gone = keys.retired(turned, old, until, 0)
    assert [key.kid for key in gone.living(purpose)] == [turned.living(purpose)[0].kid]
    assert "no living key" in refused(gone, old, until)


@pytest.mark.parametrize("purpose", ["at_rest", "fingerprint"])
def test_a_key_under_which_rows_are_is_not_retired(purpose: str) -> None:
    turned = rotated(ring(), purpose, NOW)
    old = turned.living(purpose)[1].kid
    for compromised in (False, True):
        assert "3 rows" in refused(turned, old, NOW + 9 * YEAR, 3, compromised=compromised)
    gone = keys.retired(turned, old, NOW + OVERLAP, 0)
    assert counting(gone, purpose) == [turned.living(purpose)[0].kid]
    assert [key.value for key in gone.secret_keys if key.kid == old] == [b""]


def test_of_a_retired_key_the_public_part_stays_and_verifies() -> None:
    made = ring()
    old = made.signing("journal", NOW)
    token = jose.sign(old.private, "seal", {"n": 1}, kid=old.kid)
    gone = keys.retired(rotated(made, "journal", NOW, at_once=True), old.kid, NOW, 0)
    (left,) = [key for key in gone.signing_all("journal") if key.kid == old.kid]
    assert jose.verify(token, left.private.public_key(), "seal") == {"n": 1}
    with pytest.raises(KeysError):
        jose.sign(left.private, "seal", {"n": 2})


@pytest.mark.parametrize(("purpose", "believed"), [("issuer", False), ("signing", False), ("journal", True)])
def test_what_a_compromised_key_signed_is_believed_no_more(purpose: str, believed: bool) -> None:
    old = used(ring_ := ring(), purpose, NOW)
    gone = keys.retired(rotated(ring_, purpose, NOW, at_once=True), old, NOW, 0, compromised=True)
    assert (old in counting(gone, purpose)) is believed
    assert old not in [key.kid for key in gone.published(purpose)]


def test_neither_a_ring_nor_its_errors_show_a_key() -> None:
    made = ring()
    shown = repr(made) + str(made) + repr(replace(made))
    for secret in made.secret_keys:
        assert secret.value.hex() not in shown and repr(secret.value) not in shown
    for key in made.signing_keys:
        assert str(key.private.private_numbers().private_value) not in shown  # type: ignore[attr-defined]
    assert set(SECRETS) == {key.purpose for key in made.secret_keys}


def test_create_refuses_where_a_ring_is(tmp_path: Path) -> None:
    file = tmp_path / "keys.bin"
    keys.create(file, b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")
    before = file.read_bytes()
    with pytest.raises(KeysError, match="never overwritten"):
        keys.create(file, b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")
    assert file.read_bytes() == before
