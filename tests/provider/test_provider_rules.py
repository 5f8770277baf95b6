"""The rules alone: parameters, claims, references, sealing, clients, the schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from provider_world import CLIENTS, SECRET

from alicem.provider import references, request_objects, sealing
from alicem.provider.claims import CLAIMS, SCOPES, ClaimMalformed, claims_of, dcql, emit
from alicem.provider.clients import load
from alicem.provider.parameters import MOST_BYTES, Unreadable, parse
from alicem.provider.records import access_tokens, codes, signins
from alicem.settings import SettingsError
from alicem.store import Store, metadata, upgrade

printable = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=40)


@given(st.dictionaries(printable, printable, max_size=20))
def test_what_was_encoded_is_read_back(form: dict[str, str]) -> None:
    found = parse(urlencode(form).encode())
    assert found.values == {name: value for name, value in form.items() if value} and not found.repeated


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y"])), max_size=10))
def test_a_repeated_parameter_has_no_value(pairs: list[tuple[str, str]]) -> None:
    found = parse(urlencode(pairs).encode())
    names = [name for name, _ in pairs]
    assert found.repeated == {name for name in names if names.count(name) > 1}
    assert not found.repeated & found.values.keys() and "" not in found.values.values()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = parse(data)
    except Unreadable:
        return
    assert all(ord(one) >= 32 for name, value in found.values.items() for one in name + value)


@pytest.mark.parametrize(
    "data", [b"a=" + b"x" * MOST_BYTES, b"&".join([b"a=1"] * 41), b"a=%00", b"a=%0d%0ab", b"a=%ff", b"\xe9=1"]
)
def test_refused_forms(data: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(data)


NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 59), st.integers(0, 200))
def test_a_reference_lives_its_slot_and_the_next(secret: bytes, start: int, later: int) -> None:
    begun = NOW.replace(second=start)
    signin = "A" * 22
    reference = references.make(secret, signin, begun)
    found = references.resolve([secret], reference, begun + timedelta(seconds=later))
    assert found == (signin if (start + later) // 30 - start // 30 <= 1 else None)
    assert references.resolve([b"another"], reference, begun) is None
    assert references.resolve([b"another", secret], reference, begun) == signin


@given(st.text(max_size=60))
def test_no_text_is_a_reference_by_chance(text: str) -> None:
    assert references.resolve([b"s"], text, NOW) is None
    assert references.signin_of([b"s"], text) is None


def test_state_and_reference_are_not_exchangeable() -> None:
    state = references.state_of(b"s", "A" * 22)
    assert references.signin_of([b"s"], state) == "A" * 22
    signin, slot, tag = references.make(b"s", "A" * 22, NOW).split(".")
    assert references.signin_of([b"s"], f"{signin}.{tag}") is None
    assert references.resolve([b"s"], f"{signin}.{slot}.{state.partition('.')[2]}", NOW) is None


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.dictionaries(printable, printable))
def test_what_is_sealed_opens_with_its_secret_alone(secret: bytes, other: bytes, value: dict[str, str]) -> None:
    sealed = sealing.seal_under(secret, b"p", sealing.pack(value))
    assert sealing.unpack(sealing.open_under(secret, b"p", sealed)) == value
    for key, purpose in ((other, b"p"), (secret, b"q")):
        if (key, purpose) != (secret, b"p"):
            with pytest.raises(sealing.DoesNotOpen):
                sealing.open_under(key, purpose, sealed)


def test_sealed_lengths_tell_nothing() -> None:
    assert {len(sealing.pack({"a": "x" * n})) for n in range(900)} == {1024}


def test_keys_derive_from_secret_and_sign_in() -> None:
    made = {sealing.public_bytes(sealing.browser_key(bytes([i]) * 32, "A" * 22)) for i in range(4)}
    made |= {sealing.public_bytes(sealing.browser_key(bytes(32), "B" * 22))}
    assert len(made) == 5
    assert isinstance(sealing.public_from(made.pop()), ec.EllipticCurvePublicKey)


# Claims

HELD = {
    "given_name": "Anne-Marie",
    "birth_family_name": "O’BRIEN-LE GOFF",
    "birthdate": "1980-02-00",
    "sex": 2,
    "birthplace_cog": "2A004",
    "birthcountry_cog": "99100",
    "email": "am@courriel.example",
    "preferred_username": "Ñandú",
}
ALL = tuple(CLAIMS.values())


def test_each_scope_gives_its_claims() -> None:
    expected = {
        "openid": set(),
        "profile": {"given_name", "family_name", "birthdate", "gender", "preferred_username"},
        "identite_pivot": {"given_name", "family_name", "birthdate", "gender", "birthplace", "birthcountry"},
        "birth": {"birthplace", "birthcountry"},
        "email": {"email"},
        "nothing": set(),
    }
    for scope, names in expected.items():
        assert {claim.name for claim in claims_of([scope])} == names


@pytest.mark.parametrize(
    ("change", "emitted"),
    [
        ({}, {"family_name": "O’BRIEN-LE GOFF", "gender": "female", "birthdate": "1980-02-00", "birthplace": "2A004"}),
        ({"sex": 0}, {"gender": "unspecified"}),
        ({"sex": 1}, {"gender": "male"}),
        ({"birthdate": "1931-00-00"}, {"birthdate": "1931-00-00"}),
        ({"birthplace_cog": "97411"}, {"birthplace": "97411"}),
        ({"birthplace_cog": "98818"}, {"birthplace": "98818"}),
        ({"birthplace_cog": "2B033"}, {"birthplace": "2B033"}),
        ({"birthcountry_cog": "99350", "birthplace_cog": None}, {"birthcountry": "99350", "birthplace": None}),
        ({"given_name": ""}, {"given_name": None, "family_name": "O’BRIEN-LE GOFF"}),
        ({"preferred_username": None}, {"preferred_username": None}),
        ({"birth_family_name": "É" * 256}, {"family_name": "É" * 256}),
    ],
)
def test_forms_that_franceconnect_takes(change: dict[str, object], emitted: dict[str, str | None]) -> None:
    held = {name: value for name, value in {**HELD, **change}.items() if value is not None}
    found = emit(ALL, held)
    assert {name: found.get(name) for name in emitted} == emitted


@pytest.mark.parametrize(
    "change",
    [
        {"birth_family_name": ""},
        {"birth_family_name": "x" * 257},
        {"birth_family_name": None},
        {"birth_family_name": 7},
        {"given_name": None},
        {"given_name": "x" * 257},
        {"birthplace_cog": None},
        {"birthcountry_cog": "99350"},
        {"birthdate": "1980-2-1"},
        {"birthdate": "1980-13-01"},
        {"birthdate": "1980-02-30"},
        {"birthdate": "1980-00-12"},
        {"birthdate": 19800201},
        {"sex": "2"},
        {"sex": True},
        {"sex": 9},
        {"birthplace_cog": "2C004"},
        {"birthplace_cog": "Paris"},
        {"birthplace_cog": "75107\n"},
        {"birthcountry_cog": "FRA"},
        {"birthcountry_cog": None},
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a b@courriel.example"},
        {"email": None},
    ],
)
def test_forms_that_are_refused(change: dict[str, object]) -> None:
    held = {name: value for name, value in {**HELD, **change}.items() if value is not None}
    with pytest.raises(ClaimMalformed) as refused:
        emit(ALL, held)
    values = [str(value) for value in change.values() if value]
    assert not any(value in str(refused.value) for value in values)


@given(st.sets(st.sampled_from(sorted(SCOPES))))
def test_the_query_asks_what_the_scopes_give(scopes: set[str]) -> None:
    claims = claims_of(scopes)
    [query] = dcql(claims)["credentials"]
    assert {one["path"][0] for one in query.get("claims", [])} == {claim.source for claim in claims}
    assert query.get("claims") != []  # OpenID4VP 1.0 §6.1: non-empty when present
    sets = query.get("claim_sets")
    optional = {claim.source for claim in claims if claim.optional}
    assert (sets is None) == (not optional)
    if sets is not None:
        ids = {one["id"] for one in query["claims"]}
        assert set(sets[0]) == ids and all(set(one) <= ids for one in sets)
        assert {frozenset(ids - set(one)) for one in sets} >= {frozenset(), frozenset(optional)}
        assert [len(one) for one in sets] == sorted((len(one) for one in sets), reverse=True)


# What the phone shows of the browser


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            "Chrome, Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1",
            "Safari, iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("curl/8.0", "unknown"),
        ("", "unknown"),
        ("<script>alert(1)</script> your bank", "unknown"),
    ],
)
def test_the_browser_is_told_in_words_of_ours(header: str, kind: str) -> None:
    assert request_objects.browser_of(header) == kind


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("127.0.0.1", "local network"),
        ("::1", "local network"),
        ("192.168.1.7", "local network"),
        ("8.8.8.8", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_the_region_is_what_the_address_alone_says(address: str, region: str) -> None:
    assert request_objects.region_of(address) == region


# Clients


def written(folder: Path, text: str) -> Path:
    (folder / "secret").write_text(SECRET + "\n")
    (folder / "plain").write_text(SECRET)
    (folder / "short").write_text("short")
    file = folder / "clients.toml"
    file.write_text(text)
    return file


ONE = """
[fc]
name = "FranceConnect"
profile = "franceconnect"
secret_file = "secret"
redirect_uris = ["https://fc.example/back"]
sector = "franceconnect"
scopes = ["openid"]
"""


def test_clients_are_read(tmp_path: Path) -> None:
    text = CLIENTS.format(
        callback="https://a.example/x",
        farewell="http://127.0.0.1:8001/y",
        scopes='["openid"]',
        extra="http://localhost/z",
    )
    clients = load(written(tmp_path, text))
    assert list(clients) == ["fc-plus", "fc", "other"] and clients["other"].id_token_alg == "ES256"
    assert SECRET not in repr(clients)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("secret_file", "secret_fill", "fc: unknown key secret_fill"),
        ('sector = "franceconnect"', "", "fc lacks sector"),
        ('name = "FranceConnect"', "name = 7", "fc.name"),
        ('name = "FranceConnect"', 'name = ""', "fc.name"),
        ('profile = "franceconnect"', 'profile = "other"', "fc.profile"),
        ('secret_file = "secret"', 'secret_file = "absent"', "fc.secret_file"),
        ('secret_file = "secret"', 'secret_file = "short"', "fc.secret_file"),
        ('redirect_uris = ["https://fc.example/back"]', "redirect_uris = []", "fc.redirect_uris"),
        ('"https://fc.example/back"', '"http://fc.example/back"', "fc.redirect_uris"),
        ('"https://fc.example/back"', '"https://fc.example/back#f"', "fc.redirect_uris"),
        ('"https://fc.example/back"', '"/back"', "fc.redirect_uris"),
        ('"https://fc.example/back"', '"javascript:alert(1)"', "fc.redirect_uris"),
        ('"https://fc.example/back"', "7", "fc.redirect_uris"),
        ('scopes = ["openid"]', 'scopes = ["email"]', "fc.scopes"),
        ('scopes = ["openid"]', 'scopes = ["openid", "address"]', "fc.scopes"),
        ('scopes = ["openid"]', 'scopes = ["openid"]\nid_token_alg = "none"', "fc.id_token_alg"),
        ("[fc]", "fc = 1\n[x]", "fc: one table"),
        ("[fc]", "[fc", "clients.toml"),
    ],
)
def test_clients_refused(tmp_path: Path, old: str, new: str, named: str) -> None:
    file = written(tmp_path, ONE.replace(old, new))
    with pytest.raises(SettingsError, match=named.replace(".", r"\.")):
        load(file)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_the_migrated_schema_is_the_one_of_the_tables(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'db'}")
    try:
        upgrade(store.engine)
        ours = {table.name for table in (signins, codes, access_tokens)}

        def of_ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
            return name in ours if kind == "table" else True

        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_object": of_ours, "compare_type": True})
            assert compare_metadata(context, metadata) == []
            names = {row[0] for row in connection.exec_driver_sql("select name from sqlite_master where type='table'")}
            assert ours <= names
    finally:
        store.close()
