"""Each way of showing a credential wrongly, and the name it is refused by; the table is as long as the code's own."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_credential import EXPECTED, HOLDER, NOW, issued, shown

from alicem import jose, keys, reasons
from alicem.credential import CredentialRefused, sdjwt, verify_presentation
from alicem.credential.present import REASONS
from alicem.keys import KeyRing


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    file = tmp_path_factory.mktemp("keys") / "keys.bin"
    return keys.create(file, b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")


def again(ring: KeyRing, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A presentation of a credential whose payload our issuer signed with these changes; None: without the member."""
    whole = sdjwt.parse(issued(ring))
    payload = jose.unpack(whole.issuer_jwt, "dc+sd-jwt").json() | changes
    key = ring.signing("issuer", NOW)
    kept = {name: value for name, value in payload.items() if value is not None}
    token = jose.sign(key.private, "dc+sd-jwt", kept, kid=key.kid, **(header or {}))
    return shown("~".join([token, *(one.text for one in whole.disclosures), ""]))


def headed(ring: KeyRing, **changes: Any) -> str:
    """Ours, its header altered and its signature left."""
    head, rest = shown(issued(ring)).split(".", 1)
    header = json.loads(jose.unb64(head)) | changes
    return f"{jose.b64(json.dumps(header).encode())}.{rest}"


def with_disclosures(ring: KeyRing, *texts: str, drop: bool = False) -> str:
    token, *disclosures, binding = shown(issued(ring)).split("~")
    return "~".join([token, *([] if drop else disclosures), *texts, binding])


def repeated(ring: KeyRing) -> str:
    token, first, *rest = shown(issued(ring)).split("~")
    return "~".join([token, first, first, *rest])


def stranger_of_the_same_name(ring: KeyRing) -> str:
    key = replace(ring.signing("issuer", NOW), private=ec.generate_private_key(ec.SECP256R1()))
    payload = jose.unpack(sdjwt.parse(issued(ring)).issuer_jwt, "dc+sd-jwt").json()
    return shown(jose.sign(key.private, "dc+sd-jwt", payload, kid=key.kid) + "~")


INVENTED = jose.b64(b'["salt", "given_name", "Somebody"]')
DAY = 86_400
FLAWS: dict[str, tuple[str, Any]] = {
    "nothing": ("form", lambda r: ""),
    "a JWS alone": ("form", lambda r: issued(r).split("~")[0]),
    "an issuer's part that is no JWS": ("form", lambda r: "a.b~"),
    "no algorithm": ("algorithm_or_type", lambda r: headed(r, alg="none")),
    "a symmetric algorithm, the public key its secret": ("algorithm_or_type", lambda r: headed(r, alg="HS256")),
    "another curve's algorithm": ("algorithm_or_type", lambda r: headed(r, alg="ES384")),
    "the type of a status list": ("algorithm_or_type", lambda r: headed(r, typ="statuslist+jwt")),
    "the type of drafts": ("algorithm_or_type", lambda r: headed(r, typ="vc+sd-jwt")),
    "a critical extension": ("algorithm_or_type", lambda r: headed(r, crit=["b64"])),
    "a key of its own": ("issuer_unknown", lambda r: headed(r, kid="x", jwk=jose.public_jwk(HOLDER.public_key()))),
    "no key": ("issuer_unknown", lambda r: headed(r, kid=None)),
    "a stranger's signature": ("issuer_signature", stranger_of_the_same_name),
    "an altered header": ("issuer_signature", lambda r: headed(r, x5c=[])),
    "a disclosure twice": ("disclosure", repeated),
    "a forged disclosure": ("disclosure", lambda r: with_disclosures(r, INVENTED)),
    "a forged disclosure in place of the true": ("disclosure", lambda r: with_disclosures(r, INVENTED, drop=True)),
    "a disclosure that is none": ("disclosure", lambda r: with_disclosures(r, "AAAA")),
    "another type of credential": ("vct", lambda r: again(r, vct="urn:eudi:pid:de:1")),
    "no type of credential": ("vct", lambda r: again(r, vct=None)),
    "past its end": ("expired", lambda r: again(r, exp=int(NOW.timestamp()))),
    "no end": ("expired", lambda r: again(r, exp=None)),
    "an end that is no time": ("expired", lambda r: again(r, exp="2034")),
    "of tomorrow": ("not_yet_valid", lambda r: again(r, iat=int(NOW.timestamp()) + DAY)),
    "not before tomorrow": ("not_yet_valid", lambda r: again(r, nbf=int(NOW.timestamp()) + DAY)),
    "no holder": ("holder_key", lambda r: again(r, cnf=None)),
    "a holder's key of another kind": ("holder_key", lambda r: again(r, cnf={"jwk": {"kty": "RSA"}})),
    "no status": ("status", lambda r: again(r, status=None)),
    "a status that is nowhere": ("status", lambda r: again(r, status={"status_list": {"idx": 1, "uri": "x"}})),
    "a status of another kind": ("status", lambda r: again(r, status={"status_list": {"idx": 1, "uri": 7}})),
    "no level": ("level", lambda r: again(r, level=None)),
    "a level nobody knows": ("level", lambda r: again(r, level="highest")),
    "a level that is no text": ("level", lambda r: again(r, level=["high"])),
    "key binding stripped": ("key_binding_missing", lambda r: shown(issued(r)).rpartition("~")[0] + "~"),
    "key binding by another key": (
        "key_binding_signature",
        lambda r: shown(issued(r), key=ec.generate_private_key(ec.SECP256R1())),
    ),
    "key binding of another type": (
        "key_binding_signature",
        lambda r: shown(issued(r)).rpartition("~")[0] + "~" + jose.sign(HOLDER, "JWT", {}),
    ),
    "replayed from another request": ("nonce", lambda r: shown(issued(r), nonce="of yesterday")),
    "made for another verifier": ("aud", lambda r: shown(issued(r), aud="x509_hash:other")),
    "for several verifiers": ("aud", lambda r: shown(issued(r), aud=[EXPECTED.audience, "x509_hash:other"])),
    "over other disclosures": ("sd_hash", lambda r: shown(issued(r), sd_hash=jose.b64(hashlib.sha256(b"").digest()))),
    "disclosures taken away after": ("sd_hash", lambda r: with_disclosures(r, drop=True)),
    "for another transaction": ("transaction_data_hashes", lambda r: shown(issued(r), transaction_data_hashes=["x"])),
    "a stale key binding": ("iat", lambda r: shown(issued(r), iat=int(NOW.timestamp()) - 121)),
    "a key binding of the future": ("iat", lambda r: shown(issued(r), iat=int(NOW.timestamp()) + 121)),
    "more than was asked": ("claims", lambda r: shown(issued(r), {"given_name", "email"})),
}


@pytest.mark.parametrize(("name", "make"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_refused_by_its_name(ring: KeyRing, name: str, make: Any) -> None:
    with pytest.raises(CredentialRefused) as caught:
        verify_presentation(make(ring), EXPECTED, ring.signing_all("issuer"), NOW)
    assert caught.value.name == name
    assert caught.value.reason == REASONS[name]


def test_every_name_is_tried_and_has_words_for_people() -> None:
    assert {name for name, _ in FLAWS.values()} == REASONS.keys()
    assert set(REASONS.values()) <= reasons.load().keys()


def test_the_unaltered_goes_through(ring: KeyRing) -> None:
    """So that each of the above is refused for its flaw alone."""
    verify_presentation(again(ring), EXPECTED, ring.signing_all("issuer"), NOW)
    verify_presentation(shown(issued(ring)), EXPECTED, ring.signing_all("issuer"), NOW + timedelta(seconds=60))


def test_no_refusal_tells_a_claim(ring: KeyRing) -> None:
    for _, make in FLAWS.values():
        with pytest.raises(CredentialRefused) as caught:
            verify_presentation(make(ring), EXPECTED, ring.signing_all("issuer"), NOW)
        told = f"{caught.value} {caught.value.__cause__}"
        assert all(datum not in told for datum in ("Zoë", "1988", "z@a.example", "Somebody"))


def test_a_compromised_issuer_is_believed_no_more(ring: KeyRing, tmp_path: Path) -> None:
    key = replace(ring.signing("issuer", NOW), compromised=True)
    held = keys.Keys((key,), ())
    with pytest.raises(CredentialRefused) as caught:
        verify_presentation(shown(issued(ring)), EXPECTED, held.signing_all("issuer"), NOW)
    assert caught.value.name == "issuer_unknown"
