"""Keys that clients publish: read within bounds, asked rarely and once at a time, and good for a while when nobody answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from client_profiles import ALGS, Keys, Published, client_keys, published
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from alicem import jose
from alicem.jose import BadToken
from alicem.provider.client_keys import CACHED, MOST, PAUSE, SECONDS, STALE, ClientKeys, KeySet, KeysUnavailable, parse


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture(scope="module")
def keys() -> Keys:
    return client_keys()


@pytest.fixture
def at() -> Iterator[Published]:
    with published() as place:
        yield place


@pytest.fixture
def clock() -> Clock:
    return Clock()


def signing(kid: str) -> dict[str, Any]:
    jwk = jose.public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
    return {**jwk, "use": "sig", "alg": "ES256", "kid": kid}


def lacks_nothing(_: KeySet) -> bool:
    return False


def ask(held: ClientKeys, at: Published, kid: str | None = None) -> KeySet:
    return asyncio.run(held.at(at.address, lambda found: kid is not None and not found.verifying(kid)))


def test_asked_once_in_ten_minutes(at: Published, clock: Clock) -> None:
    held = ClientKeys(clock)
    for _ in range(5):
        ask(held, at)
    assert at.hits == 1
    clock.at += CACHED
    ask(held, at)
    assert at.hits == 2 and timedelta(seconds=600) == CACHED


def test_many_at_once_ask_once(at: Published, clock: Clock) -> None:
    held = ClientKeys(clock)

    async def many() -> None:
        at.free.clear()
        waiting = [asyncio.create_task(held.at(at.address, lacks_nothing)) for _ in range(20)]
        while at.hits == 0:
            await asyncio.sleep(0.01)
        waiting[0].cancel()  # who goes away takes the keys from nobody
        at.free.set()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in told].count(KeySet) == 19

    asyncio.run(many())
    assert at.hits == 1


def test_a_rotated_key_is_fetched_and_unknown_names_are_not_a_way_to_fetch(at: Published, clock: Clock) -> None:
    held = ClientKeys(clock)
    at.show(signing("old"))
    assert ask(held, at, "old").verifying("old")
    at.show(signing("new"), signing("old"))
    clock.at += PAUSE
    assert ask(held, at, "new").verifying("new")
    for number in range(5):
        assert not ask(held, at, f"nobody{number}").verifying(f"nobody{number}")
    assert at.hits == 2


def test_the_keys_of_before_go_on_for_an_hour(at: Published, clock: Clock) -> None:
    held = ClientKeys(clock)
    at.show(signing("a"))
    ask(held, at)
    at.status = 500
    clock.at += STALE - timedelta(seconds=1)
    assert ask(held, at).verifying("a") and at.hits == 2
    assert ask(held, at).verifying("a") and at.hits == 2  # not each time: it is down
    clock.at += timedelta(seconds=1)
    with pytest.raises(KeysUnavailable):
        ask(held, at)
    at.status = 200
    clock.at += PAUSE
    assert ask(held, at).verifying("a")


def test_a_clock_that_is_set_back_keeps_no_key_for_ever(at: Published, clock: Clock) -> None:
    held = ClientKeys(clock)
    at.show(signing("a"))
    ask(held, at)
    clock.at -= timedelta(days=365)
    at.show(signing("b"))
    assert ask(held, at).verifying("b") and at.hits == 2


def test_an_address_that_hangs_is_given_up(at: Published, clock: Clock) -> None:
    at.free.clear()
    with pytest.raises(KeysUnavailable):
        ask(ClientKeys(clock, seconds=0.05), at)
    assert SECONDS < 6 / 2  # FranceConnect's patience, halved


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (302, b""),
        (404, b'{"keys": []}'),
        (204, b""),
        (200, b""),
        (200, b"[]"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": [7]}'),
        (200, b'{"keys": [' + b"{}," * 32 + b"{}]}"),
        (200, b'{"keys": []}' + b" " * MOST),
        (200, b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'),
        (200, b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "", "y": "", "d": "AAAA"}]}'),
        (200, b"[" * 60_000),
    ],
)
def test_other_answers_are_none(at: Published, clock: Clock, status: int, body: bytes) -> None:
    with published() as elsewhere:
        at.status, at.body = status, body
        at.location = elsewhere.address if status == 302 else None
        with pytest.raises(KeysUnavailable):
            ask(ClientKeys(clock), at)
        assert elsewhere.hits == 0


def test_nobody_there(clock: Clock) -> None:
    with published() as gone:
        pass
    with pytest.raises(KeysUnavailable):
        ask(ClientKeys(clock), gone)


def test_keys_are_chosen_by_use_and_algorithm(keys: Keys) -> None:
    wanted = [keys.public(alg, f"the-{alg}") for alg in ALGS]
    decoys = [{**wanted[0], "use": "sig", "kid": "1"}, {**wanted[0], "alg": "RSA1_5"}, {"kty": "OKP", "use": "enc"}]
    bare = {name: value for name, value in wanted[0].items() if name not in ("alg", "use")}
    found = parse(json.dumps({"keys": [bare, *decoys, *wanted, keys.public("RSA-OAEP", "later")]}).encode())
    assert {alg: one.kid for alg, one in found.recipients.items()} == {alg: f"the-{alg}" for alg in ALGS}
    assert found.signing == ()
    for alg in ALGS:
        assert keys.open(found.recipients[alg].seal("a.b.c"), alg) == "a.b.c"


def test_weak_and_costly_rsa_keys_are_passed_over() -> None:
    good = RSAKey.import_key(rsa.generate_private_key(65537, 2048)).as_dict(private=False)
    small = {**good, "n": jose.b64(b"\xff" * 128)}
    huge = {**good, "e": jose.b64(b"\x01" * 256)}
    even = {**good, "e": jose.b64(b"\x02")}
    nothing = {**good, "n": ""}
    listed = [{**one, "use": "enc", "alg": "RSA-OAEP-256"} for one in (small, huge, even, nothing)]
    assert parse(json.dumps({"keys": listed}).encode()).recipients == {}


def test_a_signature_may_be_of_any_key_where_none_is_named() -> None:
    found = parse(json.dumps({"keys": [signing("a"), signing("b"), {**signing("c"), "alg": "ES384"}]}).encode())
    assert (len(found.verifying(None)), len(found.verifying("a")), len(found.verifying("c"))) == (2, 1, 0)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["keys", "kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"]), inner)
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=80), json_values.map(lambda tree: json.dumps(tree).encode())))
@settings(deadline=None)
def test_any_document_is_read_or_refused_by_name(data: bytes) -> None:
    try:
        found = parse(data)
    except BadToken:
        return
    assert found.signing == () or found.recipients is not None
