"""Pseudonym, settings, schema."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from broker_peers import ANGELA

from alicem.broker.app import VERSIONS
from alicem.broker.claims import Identity
from alicem.broker.pseudonym import identity_hash, pairwise
from alicem.broker.records import metadata
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
