"""docs/data.md lists every table and column there is, and none that is not; the migrated database is the one the code declares."""

import re
from pathlib import Path

from sqlalchemy import inspect

import alicem.app  # noqa: F401 - declares every table
from alicem.store import Store, metadata, upgrade

PAGE = Path(__file__).parent.parent / "docs" / "data.md"


def listed() -> set[tuple[str, str]]:
    found, table = set(), ""
    for line in PAGE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"## (\w+)", line):
            table = heading[1]
        elif row := re.match(r"\| `(\w+)` \| \S", line):
            found.add((table, row[1]))
    return found


def test_the_page_lists_every_column_and_no_other() -> None:
    declared = {(table.name, column.name) for table in metadata.sorted_tables for column in table.columns}
    assert listed() == declared


def test_migrations_make_the_schema_the_code_declares(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db")
    upgrade(store.engine)
    upgrade(store.engine)  # a second time changes nothing
    found = inspect(store.engine)
    made = {
        (table, column["name"], type(column["type"]).__name__.upper().replace("TEXT", "VARCHAR"), column["nullable"])
        for table in found.get_table_names()
        if table != "alembic_version"
        for column in found.get_columns(table)
    }
    dialect = store.engine.dialect
    declared = {
        (
            table.name,
            column.name,
            column.type.compile(dialect).split("(")[0].replace("TEXT", "VARCHAR"),
            bool(column.nullable),
        )
        for table in metadata.sorted_tables
        for column in table.columns
    }
    indexes = {
        (table, tuple(one["column_names"])) for table in found.get_table_names() for one in found.get_indexes(table)
    }
    store.close()
    assert made == declared
    assert {
        (table.name, tuple(column.name for column in one.columns))
        for table in metadata.sorted_tables
        for one in table.indexes
    } <= indexes


def test_no_column_is_personal() -> None:
    personal = re.compile(
        r"name|birth|email|mail|portrait|photo|face_image|score|mrz|number_of_document|address", re.IGNORECASE
    )
    assert [pair for pair in listed() if personal.search(pair[1])] == []
