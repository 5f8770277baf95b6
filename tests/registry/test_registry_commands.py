"""`alicem registry`: people added, documents declared, and numbers that no message repeats."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from registry_and_provider import FARID, ZOE, Registry, build
from sqlalchemy import select
from typer.testing import CliRunner

from alicem.registry.records import documents, persons

PERSON = """
address = "3 rue de la Paix\\n29200 Brest"

[civil_status]
family_name = "Lefèvre-Œuvrard"
given_names = ""
gender = "unspecified"
birthdate = "1988-00-00"
birthplace_cog = "2A004"
birthcountry_cog = "99100"

[[documents]]
issuer = "FRA"
kind = "passport"
number = "55EE55555"
birth_date = "88<<<<"
expiry_date = "341102"
"""
TREE: dict[str, Any] = {
    "address": "4 rue de la Paix",
    "deceased": False,
    "civil_status": {
        "family_name": "Sukarno",
        "given_names": "Wibowo",
        "usage_name": None,
        "gender": "male",
        "birthdate": "1970-01-02",
        "birthplace_cog": "",
        "birthcountry_cog": "99231",
    },
    "documents": [
        {"issuer": "D", "kind": "passport", "number": "C01X00T47", "birth_date": "700102", "expiry_date": "341102"},
        {
            "issuer": "FRA",
            "kind": "residence_permit",
            "number": "66FF",
            "birth_date": "700102",
            "expiry_date": "301102",
        },
    ],
}


def status(registry: Registry, number: str) -> str:
    query = select(documents.c.status).where(documents.c.number == number)
    with registry.database.engine.connect() as connection:
        return str(connection.execute(query).scalar_one())


def people(registry: Registry) -> int:
    with registry.database.engine.connect() as connection:
        return len(connection.execute(select(persons.c.number)).all())


def plain(output: str) -> str:
    return " ".join(output.split())


@pytest.mark.parametrize(
    ("word", "then"),
    [("lost", "lost"), ("stolen", "stolen"), ("cancelled", "cancelled"), ("found", "valid"), ("deceased", "valid")],
)
def test_what_is_declared_is_written(registry: Registry, word: str, then: str) -> None:
    result = registry.run(word, ZOE)
    assert (result.exit_code, result.output) == (0, "")
    assert status(registry, ZOE) == then
    assert status(registry, FARID) == "valid"


@pytest.mark.parametrize("words", [["24 AB", "12345"], ["24ab12345"], ["24", "AB", "123", "45"]])
def test_spaces_and_capitals_do_not_matter(registry: Registry, words: list[str]) -> None:
    assert registry.run("lost", *words).exit_code == 0
    assert status(registry, ZOE) == "lost"


def test_a_number_that_is_not_given_is_asked_for(registry: Registry) -> None:
    result = registry.run("lost", typed=f"{ZOE}\n")
    assert result.exit_code == 0
    assert status(registry, ZOE) == "lost"


@pytest.mark.parametrize(
    ("words", "exit_status", "says"),
    [
        (["lost", "00AA00000"], 1, "no document"),
        (["lost", ZOE, "--issuer", "D"], 1, "no document"),
        (["stolen", "24AB-12345"], 2, "letters and digits"),
        (["stolen", "9" * 23], 2, "letters and digits"),
        (["stolen", ZOE, "--issuer", "fra"], 2, "letters and digits"),
        (["cancelled", ZOE, "--isuer", "FRA"], 2, "No such option"),
    ],
)
def test_a_refusal_says_why_and_repeats_no_number(
    registry: Registry, words: list[str], exit_status: int, says: str
) -> None:
    result = registry.run(*words)
    assert result.exit_code == exit_status, result.output
    assert says in plain(result.output)
    assert words[1] not in result.output
    assert (status(registry, ZOE), registry.owed()) == ("valid", [])


def test_a_person_of_another_state_is_declared_by_issuer(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "wibowo.json").write_text(json.dumps(TREE))
    assert registry.run("add", str(tmp_path / "wibowo.json")).exit_code == 0
    assert registry.run("stolen", "C01X00T47", "--issuer", "D").exit_code == 0
    assert status(registry, "C01X00T47") == "stolen"


def test_a_person_is_added_once(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "person.toml").write_text(PERSON)
    before = people(registry)
    first = registry.run("add", str(tmp_path / "person.toml"))
    assert (first.exit_code, first.output) == (0, "")
    again = registry.run("add", str(tmp_path / "person.toml"))
    assert again.exit_code == 1
    assert "there already" in plain(again.output)
    assert "55EE55555" not in again.output
    assert people(registry) == before + 1


def without(*path: str | int) -> dict[str, Any]:
    tree: Any = json.loads(json.dumps(TREE))
    inner = tree
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return dict(tree)


def with_(value: object, *path: str | int) -> dict[str, Any]:
    tree: Any = json.loads(json.dumps(TREE))
    inner = tree
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return dict(tree)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ([], "the file is not a table"),
        (without("address"), "the file lacks address"),
        (without("civil_status"), "the file lacks civil_status"),
        (without("civil_status", "gender"), "civil status lacks gender"),
        (without("documents", 0, "number"), "document lacks number"),
        (with_("SECRET", "documents", 0, "number"), None),
        (with_("secret", "documents", 0, "number"), "document: number"),
        (with_(7, "documents", 0, "number"), "not a text"),
        (with_("identity_card", "documents", 0, "kind"), "document: kind"),
        (with_("eaten", "documents", 0, "status"), "document: status"),
        (with_("SECRET", "documents", 0, "portrait"), "not known"),
        (with_("SECRET", "documents"), "documents is not of its form"),
        (with_(["SECRET"], "documents"), "document is not a table"),
        (with_("SECRET", "deceased"), "deceased is not of its form"),
        (with_("SECRET", "civil_status", "birthdate"), "civil status: birthdate"),
        (with_(None, "civil_status", "family_name"), "not a text"),
        (with_(7, "civil_status", "usage_name"), "not a text"),
        (with_("SECRET", "civil_status"), "civil_status is not a table"),
    ],
)
def test_a_person_who_is_not_well_formed_is_refused_without_being_quoted(
    registry: Registry, tmp_path: Path, tree: object, says: str | None
) -> None:
    (tmp_path / "person.json").write_text(json.dumps(tree))
    before = people(registry)
    result = registry.run("add", str(tmp_path / "person.json"))
    if says is None:
        assert result.exit_code == 0
        return
    assert result.exit_code == 2
    assert says in plain(result.output)
    assert "secret" not in result.output.lower()
    assert people(registry) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("person.toml", b"number = 24AB12345"),
        ("person.json", b'{"number": 24AB12345}'),
        ("person.json", b"[" * 50_000),
        ("person.toml", b"\xff24AB12345"),
        ("person.toml", b"#" * 70_000),
        ("none/person.toml", None),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_without_being_quoted(
    registry: Registry, tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = registry.run("add", str(tmp_path / name))
    assert result.exit_code == 2
    assert "the file" in plain(result.output)
    assert "24AB12345" not in result.output


def test_settings_that_are_wrong_are_a_fault_of_ours(registry: Registry) -> None:
    registry.config.write_text("colour = 1")
    assert registry.run("lost", ZOE).exit_code == 3


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(build("registry"), ["registry", "--help"], env={"TERM": "dumb", "COLUMNS": "200"})
    assert result.exit_code == 0
    words = re.findall(r"^\W*(\w+)  +\w", result.output, re.MULTILINE)
    assert words == ["serve", "add", "lost", "stolen", "found", "cancelled", "deceased", "conform"]
