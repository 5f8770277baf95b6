"""npm @sd-jwt/sd-jwt-vc on the other side: it verifies what is issued here, and what it issues or presents is verified here."""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection
from test_credential import EXPECTED, HOLDER, evidence, shown

import node_peers
from alicem import jose, keys
from alicem.credential import CredentialRefused, Expected, issue, status, verify_presentation
from alicem.credential.issue import TYP, VCT
from alicem.credential.status import Status
from alicem.keys import KeyRing, SigningKey
from alicem.store import Store

NOW = datetime.now(UTC)
ORIGIN = "http://localhost:8000"
INDEX = 7


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    file = tmp_path_factory.mktemp("keys") / "keys.bin"
    return keys.create(file, b"m" * 32, now=NOW - timedelta(hours=1), rng=secrets.token_bytes, host="localhost")


@pytest.fixture(scope="module")
def issuer(ring: KeyRing) -> SigningKey:
    return ring.signing_all("issuer")[0]


@pytest.fixture(scope="module")
def credential(issuer: SigningKey) -> str:
    return issue(
        evidence(),
        HOLDER.public_key(),
        issuer,
        status=status.reference(ORIGIN, INDEX),
        origin=ORIGIN,
        now=NOW,
        lifetime=timedelta(days=1825),
        rng=secrets.token_bytes,
    )


def roots(issuer: SigningKey) -> list[str]:
    return [base64.b64encode(issuer.x5c[-1]).decode()]


def list_with(issuer: SigningKey, url: str, value: Status) -> str:
    store = Store(url)
    with store.engine.begin() as connection:
        _take_index(connection)
        status.set_status(connection, INDEX, value)
        token = status.status_list(connection, 0, issuer, ORIGIN, datetime.now(UTC))  # it lives ten minutes
    store.close()
    return token


def _take_index(connection: Connection) -> None:
    assert status.allocate(connection, lambda _: INDEX.to_bytes(4, "big")) == INDEX


def presentation(credential: str) -> str:
    return shown(credential, iat=int(time.time()))


def private_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    return {**jose.public_jwk(key.public_key()), "d": jose.b64(scalar)}


def test_a_stranger_verifies_ours_with_key_binding_chain_and_status(
    credential: str, issuer: SigningKey, sqlite_url: str
) -> None:
    token, valid = presentation(credential), list_with(issuer, sqlite_url, Status.VALID)
    found = node_peers.ask("sdjwt.mjs", "verify", token=token, roots=roots(issuer), nonce=EXPECTED.nonce, list=valid)
    assert found["payload"]["given_name"] == "Zoë Marie" and found["payload"]["birthdate"] == "1988-05-00"
    assert found["payload"]["vct"] == VCT and "family_name" not in found["payload"]
    assert found["kb"]["aud"] == EXPECTED.audience


@pytest.mark.parametrize("value", [Status.REVOKED, Status.SUSPENDED])
def test_a_stranger_refuses_one_that_is_revoked_or_suspended(
    credential: str, issuer: SigningKey, sqlite_url: str, value: Status
) -> None:
    listed = list_with(issuer, sqlite_url, value)
    found = node_peers.ask("sdjwt.mjs", "verify", token=presentation(credential), roots=roots(issuer), list=listed)
    assert "Status is not valid" in found["refused"]


def test_a_stranger_refuses_another_chain_and_a_bent_signature(
    credential: str, issuer: SigningKey, sqlite_url: str, tmp_path: Path
) -> None:
    token, valid = presentation(credential), list_with(issuer, sqlite_url, Status.VALID)
    other = keys.create(tmp_path / "k", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")
    foreign = roots(other.signing_all("issuer")[0])
    assert "authority" in node_peers.ask("sdjwt.mjs", "verify", token=token, roots=foreign, list=valid)["refused"]
    head, rest = token.split(".", 1)
    body, rest = rest.split(".", 1)
    bent = f"{head}.{body}.{'A' if rest[0] != 'A' else 'B'}{rest[1:]}"
    assert "refused" in node_peers.ask("sdjwt.mjs", "verify", token=bent, roots=roots(issuer), list=valid)


def test_the_chain_is_one_that_openssl_believes(credential: str, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    header = jose.unpack(credential.split("~", maxsplit=1)[0], TYP).header
    for name, der in zip(("leaf", "root"), header["x5c"], strict=True):
        pem = x509.load_der_x509_certificate(base64.b64decode(der)).public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.pem").write_bytes(pem)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "root.pem"), str(tmp_path / "leaf.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_stranger_presents_of_ours_is_verified(credential: str, issuer: SigningKey) -> None:
    binding = {
        "nonce": EXPECTED.nonce,
        "aud": EXPECTED.audience,
        "iat": int(time.time()),
        "transaction_data_hashes": [jose.b64(hashlib.sha256(b"ZGF0YQ").digest())],
    }
    made = node_peers.ask(
        "sdjwt.mjs",
        "present",
        token=credential,
        show=["given_name", "birthdate"],
        jwk=private_jwk(HOLDER),
        binding=binding,
    )
    proven = verify_presentation(made["token"], EXPECTED, (issuer,), datetime.now(UTC))
    assert dict(proven.claims) == {"given_name": "Zoë Marie", "birthdate": "1988-05-00"}
    assert proven.status_index == INDEX


def issued_there(**changes: Any) -> str:
    """A credential like ours, composed and signed by the stranger, decoys and all, with the holder's key in it."""
    at = int(time.time())
    payload = {
        "iss": ORIGIN,
        "iat": at,
        "exp": at + 3600,
        "vct": VCT,
        "cnf": {"jwk": jose.public_jwk(HOLDER.public_key())},
        "status": status.reference(ORIGIN, INDEX),
        "level": "substantial",
        "given_name": "Zoë Marie",
        "birthdate": "1988-05-00",
        **changes,
    }
    header = {"kid": "their-key"}
    hidden = ["given_name", "birthdate"]
    made = node_peers.ask("sdjwt.mjs", "issue", payload=payload, hide=hidden, jwk=private_jwk(THEIR_KEY), header=header)
    return str(made["token"])


THEIR_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def theirs(issuer: SigningKey) -> tuple[SigningKey, ...]:
    return (replace(issuer, kid="their-key", private=THEIR_KEY),)


def test_what_a_stranger_issues_is_verified(theirs: tuple[SigningKey, ...]) -> None:
    token = presentation(issued_there())
    proven = verify_presentation(token, EXPECTED, theirs, datetime.now(UTC))
    assert dict(proven.claims) == {"given_name": "Zoë Marie", "birthdate": "1988-05-00"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"vct": "urn:other"}, "vct"),
        ({"exp": int(time.time()) - 10}, "expired"),
        ({"nbf": int(time.time()) + 3600}, "not_yet_valid"),
        ({"cnf": {"kid": "x"}}, "holder_key"),
        ({"status": {"status_list": {"idx": -1, "uri": f"{ORIGIN}/status/0"}}}, "status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_stranger_issues_wrongly_is_refused_by_name(
    theirs: tuple[SigningKey, ...], changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(CredentialRefused) as caught:
        verify_presentation(presentation(issued_there(**changes)), EXPECTED, theirs, datetime.now(UTC))
    assert caught.value.name == name


def test_a_disclosure_of_one_credential_is_none_of_another(theirs: tuple[SigningKey, ...]) -> None:
    expected = Expected(EXPECTED.nonce, EXPECTED.audience, frozenset({"given_name"}), EXPECTED.transaction_data)
    one, other = shown(issued_there(), {"given_name"}), shown(issued_there(given_name="Ada"), {"given_name"})
    head, _, binding = one.split("~")
    mixed = "~".join([head, other.split("~")[1], binding])
    with pytest.raises(CredentialRefused) as caught:
        verify_presentation(mixed, expected, theirs, datetime.now(UTC))
    assert caught.value.name == "disclosure"
