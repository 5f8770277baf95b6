"""Pseudonym, settings, schema."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from broker_peers import ANGELA

from alicem.broker.app import VERSIONS
from alicem.broker.claims import Identity, over_18
from alicem.broker.pseudonym import identity_hash, pairwise
from alicem.broker.readable import birthdate, readable
from alicem.broker.records import metadata
from alicem.store import Store, upgrade
from alicem.web.text import Texts

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


@pytest.mark.parametrize(
    ("birthdate", "today", "of_age"),
    [
        ("2008-11-22", date(2026, 11, 22), True),
        ("2008-11-23", date(2026, 11, 22), False),
        ("2008-02-29", date(2026, 2, 28), False),
        ("2008-02-29", date(2026, 3, 1), True),
        ("2008-04-00", date(2026, 4, 29), False),
        ("2008-04-00", date(2026, 4, 30), True),
        ("2008-00-00", date(2026, 12, 30), False),
        ("2008-00-00", date(2026, 12, 31), True),
        ("1850-00-00", date(2026, 1, 1), True),
    ],
)
def test_over_18_counts_the_last_possible_day(birthdate: str, today: date, of_age: bool) -> None:
    assert over_18(birthdate, today) is of_age


@pytest.mark.parametrize("language", ["fr", "en"])
def test_claims_are_said_in_words(language: str) -> None:
    claims = {
        "gender": "female",
        "birthplace": "2A004",
        "birthcountry": "99100",
        "over_18": False,
        "email": "a@b.example",
    }
    said = {one.name: (one.said, one.value) for one in readable(Texts(), language, claims)}
    assert said["birthplace"] == ("Ajaccio", "2A004") and said["birthcountry"] == ("France", "99100")
    assert said["over_18"] == ({"fr": "Non", "en": "No"}[language], "false")
    assert said["email"] == ("a@b.example", "a@b.example")
    month = {"fr": "août", "en": "August"}[language]
    shown = [birthdate(language, one) for one in ("1962-08-24", "1962-08-00", "1962-00-00")]
    assert shown == [f"24\N{NO-BREAK SPACE}{month} 1962", f"{month} 1962", "1962"]
