"""The key ring: never plain on disk, never overwritten, opened by its master key alone."""

import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from alicem.keys import Keys, KeysError, create, open_ring
from alicem.keys.purposes import SECRETS, SIGNING

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MASTER = b"m" * 32


def ring(tmp_path: Path) -> Keys:
    return create(tmp_path / "keys.bin", MASTER, now=NOW, rng=secrets.token_bytes, host="localhost")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made, read = ring(tmp_path), open_ring(tmp_path / "keys.bin", MASTER)
    assert [key.kid for key in made.signing_keys] == [key.kid for key in read.signing_keys]
    assert [key.value for key in made.secret_keys] == [key.value for key in read.secret_keys]
    assert {key.purpose for key in read.signing_keys} == set(SIGNING)
    assert {key.purpose for key in read.secret_keys} == set(SECRETS)


def test_no_key_lies_plain_on_disk(tmp_path: Path) -> None:
    made = ring(tmp_path)
    data = (tmp_path / "keys.bin").read_bytes()
    assert stat.S_IMODE((tmp_path / "keys.bin").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keys.bin"]
    for key in made.signing_keys:
        scalar = key.private.private_numbers().private_value.to_bytes(32, "big")
        der = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        assert scalar not in data and der not in data
    assert all(key.value not in data for key in made.secret_keys)


def test_a_ring_is_never_overwritten(tmp_path: Path) -> None:
    ring(tmp_path)
    with pytest.raises(KeysError, match="rotated, never overwritten"):
        ring(tmp_path)


@pytest.mark.parametrize("master", [b"n" * 32, b"short"])
def test_another_master_key_does_not_open_it(tmp_path: Path, master: bytes) -> None:
    ring(tmp_path)
    with pytest.raises(KeysError):
        open_ring(tmp_path / "keys.bin", master)


@pytest.mark.parametrize("position", [0, 5, 20, -1])
def test_a_damaged_file_is_said_to_be(tmp_path: Path, position: int) -> None:
    ring(tmp_path)
    file = tmp_path / "keys.bin"
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    with pytest.raises(KeysError, match=r"does not open|not a key file"):
        open_ring(file, MASTER)


def test_certified_keys_chain_to_one_authority(tmp_path: Path) -> None:
    made = ring(tmp_path)
    chains = [
        [x509.load_der_x509_certificate(one) for one in made.signing(name, NOW).x5c] for name in ("issuer", "verifier")
    ]
    for leaf, authority in chains:
        leaf.verify_directly_issued_by(authority)
    assert chains[0][1] == chains[1][1]
