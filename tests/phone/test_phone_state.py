"""What the Python phone keeps, and what opens it."""

import json
import secrets
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alicem.jose import b64
from alicem.phone.code import is_trivial, pin_key
from alicem.phone.state import (
    Phone,
    PhoneHasForgotten,
    Storage,
    UnknownVersion,
    new_phone,
    open_vault,
    seal_vault,
)

VECTOR = Path(__file__).parents[2] / "docs" / "protocols" / "pin-key-vector.json"
CONTENT = {"credential": "a.b.c~", "access_key": {"can": "123456"}, "receipt": "r", "history": []}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "phone")


def enrolled(storage: Storage, share: bytes) -> Phone:
    phone = new_phone("http://localhost:8000", "fr", secrets.token_bytes)
    storage.save(phone)
    storage.save_vault(seal_vault(phone, share, CONTENT, secrets.token_bytes))
    return phone


def test_what_is_kept_is_found_again(storage: Storage) -> None:
    share = secrets.token_bytes(32)
    phone = enrolled(storage, share)
    assert storage.load() == phone
    assert open_vault(storage.load(), share, storage.load_vault()) == CONTENT | {"version": 1}


def test_files_are_for_the_owner_alone(storage: Storage, tmp_path: Path) -> None:
    enrolled(storage, secrets.token_bytes(32))
    files = list((tmp_path / "phone").iterdir())
    assert sorted(file.name for file in files) == ["phone.json", "vault.bin"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_another_share_another_phone_or_a_changed_vault_opens_nothing(storage: Storage) -> None:
    share = secrets.token_bytes(32)
    phone = enrolled(storage, share)
    vault = storage.load_vault()
    other = new_phone("http://localhost:8000", "fr", secrets.token_bytes)
    changed = vault[:-1] + bytes([vault[-1] ^ 1])
    for attempt in (
        (phone, secrets.token_bytes(32), vault),
        (other, share, vault),
        (phone, share, changed),
        (phone, share, vault[:9]),
    ):
        with pytest.raises(PhoneHasForgotten):
            open_vault(*attempt)


def test_another_version_is_refused_and_left_alone(storage: Storage, tmp_path: Path) -> None:
    share = secrets.token_bytes(32)
    phone = enrolled(storage, share)
    file = tmp_path / "phone" / "phone.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 2}))
    before = file.read_bytes()
    with pytest.raises(UnknownVersion):
        storage.load()
    assert file.read_bytes() == before
    with pytest.raises(UnknownVersion):
        open_vault(phone, share, b"\x02" + storage.load_vault()[1:])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}'])
def test_a_damaged_record_is_a_phone_that_has_forgotten(storage: Storage, tmp_path: Path, text: str) -> None:
    (tmp_path / "phone" / "phone.json").write_text(text)
    with pytest.raises((PhoneHasForgotten, UnknownVersion)):
        storage.load()


def test_a_sequence_number_is_on_disk_before_it_is_used(storage: Storage) -> None:
    phone = enrolled(storage, secrets.token_bytes(32))
    following = storage.next_sequence(phone)
    assert storage.load().sequence == following.sequence == phone.sequence + 1


def test_wiping_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    enrolled(storage, secrets.token_bytes(32))
    storage.wipe()
    assert list((tmp_path / "phone").iterdir()) == []
    with pytest.raises(PhoneHasForgotten):
        storage.load()


def test_the_record_names_no_one_and_tests_no_code(storage: Storage, tmp_path: Path) -> None:
    phone = enrolled(storage, secrets.token_bytes(32))
    record = json.loads((tmp_path / "phone" / "phone.json").read_text())
    assert set(record) == {
        "version",
        "origin",
        "account",
        "sequence",
        "salt",
        "kdf",
        "device_key",
        "anchor",
        "language",
        "pending",
        "next_salt",
    }
    assert b64(pin_key("482915", phone.salt).private_numbers().private_value.to_bytes(32, "big")) not in json.dumps(
        record
    )


@pytest.mark.parametrize("vector", json.loads(VECTOR.read_text())["vectors"], ids=lambda vector: vector["code"])
def test_the_pin_key_vectors(vector: dict[str, str]) -> None:
    """The vectors the page is held to as well."""
    key = pin_key(vector["code"], bytes.fromhex(vector["salt"]))
    numbers = key.private_numbers()
    found = (numbers.private_value, numbers.public_numbers.x, numbers.public_numbers.y)
    assert found == tuple(int(vector[name], 16) for name in ("d", "x", "y"))


@pytest.mark.parametrize(
    "code",
    [
        "000000",
        "123456",
        "987654",
        "890123",
        "121212",
        "123123",
        "170588",
        "880517",
        "051788",
        "12345",
        "1234567",
        "12a456",
        "１２３４５６",
    ],
)
def test_codes_anyone_would_try_are_trivial(code: str) -> None:
    assert is_trivial(code, "880517")


@pytest.mark.parametrize("code", ["482915", "270431", "100200"])
def test_other_codes_are_not(code: str) -> None:
    assert not is_trivial(code, "880517")


@given(st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_few_codes_are_trivial_whatever_the_birth_date(code: str) -> None:
    if is_trivial(code):
        assert is_trivial(code, "880517")
