"""The credential from outside: issued, shown claim by claim, and every way of showing it wrongly refused by name."""

import hashlib
import json
import secrets
import zlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from alicem import jose, keys
from alicem.credential import CredentialRefused, Expected, issue, sdjwt, status, verify_presentation
from alicem.evidence import CivilIdentity, DocumentFacts, Evidence, Gender, Level, PartialDate
from alicem.evidence import Path as EnrolmentPath
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.store import Store

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOLDER = ec.generate_private_key(ec.SECP256R1())
EXPECTED = Expected("nonce", "x509_hash:abc", frozenset({"given_name", "birthdate"}), ("ZGF0YQ",))


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    file = tmp_path_factory.mktemp("keys") / "keys.bin"
    return keys.create(file, b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")


def evidence(**changes: object) -> Evidence:
    identity = {
        "family_name": "Nguyễn",
        "given_names": "Zoë Marie",
        "preferred_username": None,
        "birthdate": PartialDate(1988, 5),
        "gender": Gender.FEMALE,
        "birthplace_cog": "",
        "birthcountry_cog": "99243",
        "nationality": "VNM",
    } | changes
    facts = DocumentFacts("passport", "FRA", date(2034, 11, 2), b"k" * 32, "BAC", "f:1")
    return Evidence(
        EnrolmentPath.FACE, Level.HIGH, CivilIdentity(**identity), facts, "z@a.example", (), "1", None, (), NOW, True
    )  # type: ignore[arg-type]


def issued(ring: KeyRing, now: datetime = NOW, **changes: object) -> str:
    return issue(
        evidence(**changes),
        HOLDER.public_key(),
        ring.signing("issuer", NOW),
        status=status.reference("http://localhost:8000", 7),
        origin="http://localhost:8000",
        now=now,
        lifetime=timedelta(days=1825),
        rng=secrets.token_bytes,
    )


def shown(
    credential: str,
    names: set[str] | None = None,
    key: ec.EllipticCurvePrivateKey = HOLDER,
    **changes: object,
) -> str:
    if names is None:
        names = {"given_name", "birthdate"}
    whole = sdjwt.parse(credential)
    part = sdjwt.SdJwt(whole.issuer_jwt, tuple(one for one in whole.disclosures if one.name in names), "")
    binding = {
        "nonce": EXPECTED.nonce,
        "aud": EXPECTED.audience,
        "iat": int(NOW.timestamp()),
        "sd_hash": part.sd_hash,
        "transaction_data_hashes": [jose.b64(hashlib.sha256(b"ZGF0YQ").digest())],
    } | changes
    return "~".join([part.issuer_jwt, *(one.text for one in part.disclosures), jose.sign(key, "kb+jwt", binding)])


def refusal(token: str, ring: KeyRing, now: datetime = NOW, expected: Expected = EXPECTED) -> str:
    with pytest.raises(CredentialRefused) as caught:
        verify_presentation(token, expected, ring.signing_all("issuer"), now)
    return caught.value.reason


def test_only_what_is_shown_is_learned(ring: KeyRing) -> None:
    presentation = verify_presentation(shown(issued(ring)), EXPECTED, ring.signing_all("issuer"), NOW)
    assert dict(presentation.claims) == {"given_name": "Zoë Marie", "birthdate": "1988-05-00"}
    assert presentation.level is Level.HIGH and presentation.specimen
    assert presentation.thumbprint == jose.thumbprint(HOLDER.public_key())


def test_no_claim_is_in_clear_and_their_number_does_not_tell_them(ring: KeyRing) -> None:
    with_usage_name = sdjwt.parse(issued(ring, preferred_username="Trần"))
    payload = jose.unpack(with_usage_name.issuer_jwt, "dc+sd-jwt").json()
    text = json.dumps(payload, ensure_ascii=False)
    assert all(datum not in text for datum in ("Nguyễn", "Zoë", "1988", "z@a.example", "99243"))
    assert len(payload["_sd"]) > len(with_usage_name.disclosures)


def test_claims_a_person_does_not_have_are_absent(ring: KeyRing) -> None:
    said = {one.name: one.value for one in sdjwt.parse(issued(ring, given_names="")).disclosures}
    assert not said.keys() & {"preferred_username", "birthplace_cog"}
    assert said["given_name"] == ""  # told, so that nobody who has some can keep them back


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": "another"}, "key_binding_wrong"),
        ({"aud": "x509_hash:other"}, "key_binding_wrong"),
        ({"iat": int(NOW.timestamp()) - 121}, "key_binding_wrong"),
        ({"iat": int(NOW.timestamp()) + 121}, "key_binding_wrong"),
        ({"iat": "now"}, "key_binding_wrong"),
        ({"sd_hash": "AAAA"}, "key_binding_wrong"),
        ({"transaction_data_hashes": []}, "key_binding_wrong"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "key_binding_wrong"),
        ({"names": {"given_name", "email"}}, "credential_claims"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_flawed_presentation_is_refused_by_name(ring: KeyRing, change: dict[str, object], reason: str) -> None:
    assert refusal(shown(issued(ring), **change), ring) == reason  # type: ignore[arg-type]


def test_a_stripped_key_binding_is_refused(ring: KeyRing) -> None:
    assert refusal(shown(issued(ring)).rpartition("~")[0] + "~", ring) == "key_binding_wrong"


def test_dates_hold(ring: KeyRing) -> None:
    credential = issued(ring)
    assert refusal(shown(credential), ring, NOW + timedelta(days=1826)) == "credential_expired"
    assert refusal(shown(issued(ring, NOW + timedelta(days=1))), ring) == "credential_expired"


def test_a_credential_ends_with_its_document(ring: KeyRing) -> None:
    payload = jose.unpack(sdjwt.parse(issued(ring, NOW + timedelta(days=2500))).issuer_jwt, "dc+sd-jwt").json()
    assert datetime.fromtimestamp(payload["exp"], UTC).date() == date(2034, 11, 2)


def test_another_issuer_is_not_trusted(ring: KeyRing, tmp_path: Path) -> None:
    stranger = keys.create(tmp_path / "k", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="x")
    assert refusal(shown(issued(stranger)), ring) == "credential_untrusted"
    forged = jose.sign(HOLDER, "dc+sd-jwt", {"vct": "x"}, kid=ring.signing("issuer", NOW).kid)
    assert refusal(f"{forged}~", ring) == "credential_untrusted"


def test_forged_and_repeated_disclosures_are_refused(ring: KeyRing) -> None:
    token, *disclosures, binding = shown(issued(ring)).split("~")
    invented = sdjwt.disclose("given_name", "Somebody", secrets.token_bytes).text
    for flawed in (
        [*disclosures, disclosures[0]],
        [invented, *disclosures[1:]],
        [*disclosures, jose.b64(b'["s","exp",1]')],
    ):
        assert refusal("~".join([token, *flawed, binding]), ring) == "credential_malformed"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", None])
def test_the_algorithm_is_never_the_messages_choice(ring: KeyRing, algorithm: str | None) -> None:
    token, rest = shown(issued(ring)).split("~", 1)
    _head, body, signature = token.split(".")
    head = jose.b64(json.dumps({"alg": algorithm, "typ": "dc+sd-jwt", "kid": ring.signing("issuer", NOW).kid}).encode())
    assert refusal(f"{head}.{body}.{signature}~{rest}", ring) == "credential_malformed"


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_.~-]{0,200}", fullmatch=True))
def test_any_text_is_refused_by_name(ring: KeyRing, text: str) -> None:
    assert refusal(text, ring) in ("credential_malformed", "credential_untrusted")


@given(
    st.text(min_size=1, max_size=30).filter(lambda name: name not in sdjwt.RESERVED),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
)
def test_a_disclosure_is_read_as_it_was_written(name: str, value: object) -> None:
    one = sdjwt.disclose(name, value, secrets.token_bytes)
    (read,) = sdjwt.parse(f"a.b.c~{one.text}~").disclosures
    assert (read.name, read.value, read.digest) == (name, value, one.digest)


def test_the_example_digest_of_rfc_9901() -> None:
    """RFC 9901 §4.2.3: the disclosure and digest of the family name."""
    text = "WyI2cU1RdlJMNWhhaiIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    (read,) = sdjwt.parse(f"a.b.c~{text}~").disclosures
    assert (read.name, read.value) == ("family_name", "Möbius")
    assert read.digest == "uutlBuYeMDyjLLTpf6Jxi7yNkEF35jdyWMn9U7b_RYY"


def test_the_status_list_tells_two_bits(ring: KeyRing, database_url: str) -> None:
    store = Store(database_url)
    with store.engine.begin() as connection:
        indices = [status.allocate(connection, secrets.token_bytes) for _ in range(40)]
        free = min(set(range(41)) - set(indices))
        drawn = iter([indices[0].to_bytes(4, "big"), free.to_bytes(4, "big")])
        assert status.allocate(connection, lambda _: next(drawn)) == free  # an index that is taken is drawn again
        status.set_status(connection, indices[0], status.Status.SUSPENDED)
        status.set_status(connection, indices[1], status.Status.REVOKED)
        token = status.status_list(connection, 0, ring.signing("issuer", NOW), "http://localhost:8000", NOW)
    store.close()
    payload = jose.verify(token, ring.signing("issuer", NOW).private.public_key(), "statuslist+jwt")
    bits = zlib.decompress(jose.unb64(payload["status_list"]["lst"]))
    read = [bits[index // 4] >> 2 * (index % 4) & 3 for index in indices]
    assert read == [2, 1, *[0] * 38]
    assert len(set(indices)) == 40 and len(bits) == 1 << 18 and payload["status_list"]["bits"] == 2


@given(st.binary(max_size=200))
def test_base64url_has_one_form(data: bytes) -> None:
    assert jose.unb64(jose.b64(data)) == data
    with pytest.raises(BadToken):
        jose.unb64(jose.b64(data) + "=")


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        {},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
        {**jose.public_jwk(HOLDER.public_key()), "d": "AA"},
        {**jose.public_jwk(HOLDER.public_key()), "y": jose.b64(bytes(32))},
    ],
)
def test_only_points_of_p256_are_keys(jwk: object) -> None:
    with pytest.raises(BadToken):
        jose.public_key(jwk)


def test_encryption_opens_only_with_its_key_and_never_unzips() -> None:
    token = jose.encrypt_to(HOLDER.public_key(), b"hello")
    assert jose.decrypt(token, HOLDER) == b"hello"
    with pytest.raises(BadToken):
        jose.decrypt(token, ec.generate_private_key(ec.SECP256R1()))
    head, rest = token.split(".", 1)
    header = json.loads(jose.unb64(head)) | {"zip": "DEF"}
    with pytest.raises(BadToken):
        jose.decrypt(f"{jose.b64(json.dumps(header).encode())}.{rest}", HOLDER)
