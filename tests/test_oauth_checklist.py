"""docs/oauth-checklist.md has a row for every clause, and every row a test that exists or a word about what is missing."""

from __future__ import annotations

import re
from pathlib import Path

from test_assurance import missing_tests

PAGE = Path(__file__).parent.parent / "docs" / "oauth-checklist.md"

RFC_9700 = {
    *("R2.1-1", "R2.1-2", "R2.1-3", "R2.1-4", "R2.1-5", "R2.1.1-1", "R2.1.1-2", "R2.1.2", "R2.2.1", "R2.2.2", "R2.3"),
    *("R2.4", "R2.5", "R2.6-1", "R2.6-2", "R2.6-3", "R2.6-4"),
    *(f"R4.{number}" for number in range(1, 18)),
}
"""Sections of RFC 9700; after the hyphen, one of several things a section asks."""
ASVS = {
    f"V{section}.{number}"
    for section, count in {
        **{"9.1": 3, "9.2": 4},
        **{"10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3},
    }.items()
    for number in range(1, count + 1)
}
"""Requirements of OWASP ASVS 5.0.0, by section and how many each has."""


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = [row for row in cells if row[0] != "clause"]
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: row for row in found}


def test_every_clause_has_its_row() -> None:
    assert {name for name in rows() if not name.startswith("X")} == RFC_9700 | ASVS


def test_every_row_names_a_test_or_what_is_missing() -> None:
    for name, row in rows().items():
        assert len(row) == 5, name
        assert "::test_" in row[3] or row[4], name
        assert re.fullmatch(r"(`[^`]+`(, )?)*", row[3]), name


def test_every_test_that_is_named_exists() -> None:
    assert missing_tests(PAGE.read_text("utf-8")) == []


def test_clauses_that_are_referred_to_exist() -> None:
    named = set(re.findall(r"\b[RVX]\d[\d.]*(?:-\d)?\b", PAGE.read_text("utf-8")))
    assert {name.rstrip(".") for name in named} <= rows().keys()
