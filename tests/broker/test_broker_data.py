"""docs/broker.md lists every table and column the broker has, and every key of its files."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from alicem.broker import BrokerSettings, ProviderFile, ServiceFile, kept
from alicem.broker.records import metadata

PAGE = (Path(__file__).parents[2] / "docs" / "broker.md").read_text("utf-8")


def listed() -> set[tuple[str, str]]:
    found, table = set(), ""
    for line in PAGE.partition("## What is stored")[2].splitlines():
        if heading := re.fullmatch(r"### (\w+)", line):
            table = heading[1]
        elif row := re.match(r"\| `(\w+)` \| \S", line):
            found.add((table, row[1]))
    return found


def test_the_page_lists_every_column_and_no_other() -> None:
    assert kept.history.metadata is metadata
    assert listed() == {(table.name, column.name) for table in metadata.sorted_tables for column in table.columns}


def test_no_column_is_personal() -> None:
    personal = re.compile(r"name|birth|email|mail|address|gender|sub$", re.IGNORECASE)
    assert [pair for pair in listed() if personal.search(pair[1])] == []


@pytest.mark.parametrize("kind", [BrokerSettings, ServiceFile, ProviderFile])
def test_the_page_names_every_key(kind: type) -> None:
    told = PAGE.partition("## The person's way")[0]
    assert [one.name for one in fields(kind) if not re.search(rf"\b{one.name}\b", told)] == []
