"""What strangers send to accounts, in every shape: read as it was meant, or refused by name, never anything else."""

import json
import secrets
from contextlib import suppress
from typing import Any

import pytest
from account_world import ORIGIN, pin_key
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from alicem import jose
from alicem.accounts import challenges, passkey, suspension
from alicem.accounts.effects import PURPOSES
from alicem.accounts.instruction import parse
from alicem.jose import BadToken

SECRET, OLD = b"s" * 32, b"o" * 32
KEY = ec.derive_private_key(7, ec.SECP256R1())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("aud", "challenge", "sequence", "purpose", "request", "reply_key", "iat", "pin_key")


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "aud": ORIGIN,
        "challenge": challenges.draw(SECRET, 1_800_000_000, secrets.token_bytes),
        "sequence": 1,
        "purpose": "approve",
        "request": jose.b64(b"r" * 32),
        "reply_key": jose.public_jwk(KEY.public_key()),
        "iat": 1_800_000_000,
    } | changes


def instruction(inner: dict[str, Any]) -> str:
    token = jose.sign(pin_key("482915", b"s" * 32), "alicem-pin+jwt", inner)
    return jose.sign(KEY, "alicem-instruction+jwt", token, kid=jose.thumbprint(KEY.public_key()))


@given(st.integers(0, (1 << 40) - 1))
def test_a_challenge_of_ours_tells_its_end(now: int) -> None:
    drawn = challenges.draw(SECRET, now, secrets.token_bytes)
    assert challenges.end_of(drawn, (SECRET,)) == now + challenges.SECONDS
    assert challenges.end_of(drawn, (OLD, SECRET)) == now + challenges.SECONDS
    assert challenges.end_of(drawn, (OLD,)) == 0


@given(st.text(max_size=80) | st.binary(max_size=60).map(jose.b64))
def test_no_other_text_is_a_challenge(text: str) -> None:
    assert challenges.end_of(text, (SECRET, OLD)) == 0


@given(st.integers(0, 39), st.integers(1, 255))
def test_a_challenge_with_one_byte_changed_is_nobodys(at: int, by: int) -> None:
    data = bytearray(jose.unb64(challenges.draw(SECRET, 1_800_000_000, secrets.token_bytes)))
    data[at] ^= by
    assert challenges.end_of(jose.b64(bytes(data)), (SECRET,)) == 0


@given(st.sampled_from(NAMES), JSON)
def test_an_instruction_with_a_member_of_any_shape_is_read_or_refused(name: str, value: Any) -> None:
    with suppress(BadToken):
        read = parse(instruction(statement(**{name: value})), ORIGIN, (SECRET,))
        assert read.purpose in PURPOSES
        assert 0 < read.sequence < 1 << 53
        assert len(read.request) == 32


@given(st.sampled_from(NAMES[:6]))
def test_an_instruction_that_lacks_a_member_is_refused(name: str) -> None:
    inner = statement()
    del inner[name]
    with pytest.raises(BadToken):
        parse(instruction(inner), ORIGIN, (SECRET,))


@given(st.data())
def test_an_instruction_cut_or_changed_anywhere_is_refused_or_fails_its_signature(data: st.DataObject) -> None:
    token = instruction(statement())
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.sampled_from(["", "A", "_", ".", "é", "\x00"])) + token[at + 1 :]
    with suppress(BadToken):
        read = parse(changed, ORIGIN, (SECRET,))
        if changed != token:
            with pytest.raises(BadToken):
                jose.check(read.outer, KEY.public_key())


@given(st.dictionaries(st.sampled_from(["authenticator_data", "client_data", "signature"]), JSON, max_size=3) | JSON)
def test_an_assertion_of_any_shape_is_read_or_refused(given_: Any) -> None:
    with suppress(BadToken):
        assert len(passkey.parse(given_).authenticator_data) >= 37


@given(st.binary(min_size=37, max_size=80), st.binary(max_size=200) | JSON.map(lambda tree: json.dumps(tree).encode()))
def test_an_assertion_of_any_content_is_refused(data: bytes, client_data: bytes) -> None:
    parts = {"authenticator_data": data, "client_data": client_data, "signature": b"\x30\x00"}
    shown = passkey.parse({name: jose.b64(part) for name, part in parts.items()})
    with pytest.raises(BadToken):
        passkey.check(shown, KEY.public_key(), b"", ORIGIN)


@given(st.binary(min_size=20, max_size=20), st.data())
def test_a_suspension_code_is_found_however_it_is_written(raw: bytes, data: st.DataObject) -> None:
    code = suspension.draw(lambda _: raw)
    typed = "".join(
        data.draw(st.sampled_from(["", " ", "-"]))
        + data.draw(st.sampled_from({"0": "0oO", "1": "1iIlL"}.get(one, one + one.lower())))
        for one in code
    )
    assert suspension.digest(typed) == suspension.digest(code) == suspension.digest(suspension.shown(code))


@given(st.text(max_size=200))
def test_any_text_typed_for_a_suspension_code_has_a_digest(typed: str) -> None:
    assert len(suspension.digest(typed)) == 32
