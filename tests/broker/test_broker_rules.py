"""Pseudonym, settings, schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from broker_peers import ANGELA

from alicem.broker import ProviderFile, ServiceFile
from alicem.broker.app import VERSIONS
from alicem.broker.claims import Identity
from alicem.broker.pseudonym import identity_hash, pairwise
from alicem.broker.records import metadata
from alicem.broker.settings import pseudonym_secret, read_providers, read_services, signing_key
from alicem.settings import SettingsError, read
from alicem.store import Store, upgrade

IDENTITY = Identity(**ANGELA)


def test_the_published_vector_of_the_identity_hash() -> None:
    assert identity_hash(IDENTITY) == "Sr1x7B9YHc4uoiIcvqx8lzxq6nvLg1rN/n1klPFSgGA="


def test_the_pseudonym_depends_on_organisation_person_and_secret_alone() -> None:
    one = pairwise("org", IDENTITY, "secret")
    assert one == pairwise(
        "org", Identity(**ANGELA | {"email": "other@courriel.example", "preferred_username": "X"}), "secret"
    )
    assert one != pairwise("other", IDENTITY, "secret")
    assert one != pairwise("org", IDENTITY, "other")
    assert one != pairwise("org", Identity(**ANGELA | {"given_name": "Angela"}), "secret")
    assert len(one) == 66 and one.endswith("v1")


def test_the_place_counts_only_in_france() -> None:
    abroad = {**ANGELA, "birthcountry": "99212"}
    assert identity_hash(Identity(**abroad)) == identity_hash(Identity(**abroad | {"birthplace": ""}))


def test_names_beyond_latin_1_have_a_pseudonym() -> None:
    assert identity_hash(Identity(**ANGELA | {"family_name": "Lefèvre-Œuvrard"}))


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/one.db")
    upgrade(store.engine, VERSIONS)
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.close()


def test_keys_are_made_once_and_for_us_alone(tmp_path: Path) -> None:
    key, again = (signing_key(tmp_path / "key.pem") for _ in range(2))
    assert key.kid == again.kid
    secret = pseudonym_secret(tmp_path / "secret", lambda n: bytes(range(n)))
    assert secret == pseudonym_secret(tmp_path / "secret", bytes)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("key.pem", "secret")} == {0o600}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("services", 'scopes = ["openid", "photo"]\n'),
        ("services", 'scopes = ["openid"]\nsignature = "none"\n'),
        ("services", 'scopes = ["openid"]\nwhatever = 1\n'),
        ("providers", 'title = "X"\n'),
        ("providers", 'title = "X"\ncoming = true\nlevels = ["high"]\n'),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, kind: str, text: str) -> None:
    head = 'title = "T"\nclient_id = "c"\nsecret_file = "s"\nentity = "e"\nredirect_uris = []\n'
    (tmp_path / "s").write_text("s" * 40)
    (tmp_path / "one.toml").write_text(head + text if kind == "services" else text)
    with pytest.raises(SettingsError):
        (read_services if kind == "services" else read_providers)(tmp_path)


def test_seven_hundred_services(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("s" * 40)
    for number in range(700):
        (tmp_path / f"s{number}.toml").write_text(
            f'title = "T"\nclient_id = "c{number}"\nsecret_file = "s"\nentity = "e"\nredirect_uris = ["http://x/"]\nscopes = ["openid"]\n'
        )
    assert len(read_services(tmp_path)) == 700
    assert read(ServiceFile, tmp_path / "s0.toml").signature == "ES256"
    assert ProviderFile("T", coming=True).levels == ("eidas2",)
