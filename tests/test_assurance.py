"""docs/assurance.md and the pages beside it name only what exists; every clause of the annex's level high has its row, every gap its line at the end."""

from __future__ import annotations

import ast
import asyncio
import html
import re
import tomllib
from collections import Counter
from dataclasses import fields
from functools import cache
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from alicem import reasons
from alicem.settings import Database, Keys, Mail, Registry, Retention, Service, Settings, Trust
from alicem.web import site
from alicem.web.pages import Pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGE = DOCS / "assurance.md"
PAGES = (PAGE, DOCS / "aipd.md", DOCS / "data-subject-requests.md")

LEVEL_HIGH: dict[str, tuple[str, ...]] = {
    "2.1.1": ("L1", "L2", "L3"),
    "2.1.2": ("L1", "L2", "L3", "S1", "H1a", "H1b", "H1c", "H2"),
    "2.1.3": (),
    "2.1.4": (),
    "2.2.1": ("S1", "S2", "H1", "H2"),
    "2.2.2": ("H",),
    "2.2.3": ("L1", "L2", "L3"),
    "2.2.4": ("L", "H"),
    "2.3.1": ("L1", "L2", "S", "H"),
    "2.4": (),
    "2.4.1": ("1", "2", "3", "4", "5"),
    "2.4.2": ("1", "2", "3"),
    "2.4.3": ("L", "S"),
    "2.4.4": ("1", "2"),
    "2.4.5": ("1", "2", "3", "4"),
    "2.4.6": ("L1", "L2", "L3", "L4", "L5", "S"),
    "2.4.7": ("H1", "H2"),
}
"""The elements of (EU) 2015/1502 that level high takes over, by section of its annex; a section without elements is one row."""
COMPLAINTS = {f"R{number}" for number in range(1, 21)} - {"R5", "R9"}
WHOLE = {f"W{number}" for number in range(1, 7)} | {"M1", "M2", "M3"}
LAW = {"D1", "D2", "D3", "D4", "D5", "D6", "N1", "N2", "N3", "N4", "T1", "T2", "T3", "P1"}


@cache
def text(page: Path) -> str:
    return page.read_text("utf-8")


def rows() -> dict[str, list[str]]:
    """Cells of each row by the first word of its clause."""
    lines = [line for line in text(PAGE).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = [row for row in cells if row[0] != "clause"]
    named = Counter(row[0].split(" ")[0] for row in found)
    assert [name for name, count in named.items() if count > 1] == []
    return {row[0].split(" ")[0]: row for row in found}


@cache
def functions_of(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_"))


def missing_tests(page: str) -> list[str]:
    """Tests a page names in backticks that nobody wrote."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    return [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in functions_of(ROOT / path)
    ]


def missing_files(page: str, folder: Path) -> list[str]:
    """Documents a page links to, or names in backticks by their path, that are not there."""
    links = [folder / target for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page)]
    named = [ROOT / path for path in re.findall(r"`((?:docs|src|tests|bench|deploy)/[\w./-]+|[A-Z]+\.md)`", page)]
    return [str(path) for path in links + named if not path.exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_and_document_that_is_named_exists(page: Path) -> None:
    assert missing_tests(text(page)) == []
    assert missing_files(text(page), page.parent) == []


def test_the_search_sees_what_is_not_there() -> None:
    assert missing_tests("`tests/test_assurance.py::test_of_nobody` `tests/test_nothing.py::test_a`") == [
        "tests/test_assurance.py::test_of_nobody",
        "tests/test_nothing.py::test_a",
    ]
    assert missing_files("[a](nowhere.md#part) `docs/nothing.md` `NOBODY.md` [b](data.md)", DOCS) == [
        str(DOCS / "nowhere.md"),
        str(ROOT / "docs/nothing.md"),
        str(ROOT / "NOBODY.md"),
    ]


def test_every_clause_of_level_high_has_a_row() -> None:
    expected = {f"{section}-{element}" for section, elements in LEVEL_HIGH.items() for element in elements}
    expected |= {section for section, elements in LEVEL_HIGH.items() if not elements}
    assert {name for name in rows() if name.startswith("2.")} == expected


def test_every_promise_has_a_row() -> None:
    assert {name for name in rows() if not name.startswith("2.")} == COMPLAINTS | WHOLE | LAW


def test_a_row_is_shown_by_something_or_says_what_is_missing() -> None:
    for name, row in rows().items():
        assert len(row) == 5, name
        asks, shown, gap = row[1], row[3], row[4]
        assert asks, name
        assert "::" in shown or ".md" in shown or gap, name
        assert re.fullmatch(r"(G\d+(, G\d+)*)?", gap), name


def test_every_gap_is_told_once_at_the_end_and_no_other() -> None:
    body, _, end = text(PAGE).partition("\n## Gaps\n")
    told = re.findall(r"^- \*\*(G\d+)\. ", end, re.MULTILINE)
    used = {gap for row in rows().values() for gap in row[4].split(", ") if gap}
    assert len(told) == len(set(told))
    assert set(told) == used
    assert told == [f"G{number}" for number in range(1, len(told) + 1)]
    assert set(re.findall(r"\bG\d+\b", body)) <= set(told)


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.stem)
def test_gaps_named_elsewhere_are_those_of_the_page(page: Path) -> None:
    told = set(re.findall(r"^- \*\*(G\d+)\. ", text(PAGE), re.MULTILINE))
    named = set(re.findall(r"\bG\d+\b", text(page)))
    assert named
    assert named <= told


@pytest.mark.parametrize("language", ["fr", "en"])
def test_step_one_tells_terms_device_documents_what_leaves_and_the_other_way(language: str) -> None:
    """2.1.1: what a person reads before anything is asked of them."""
    page = html.unescape(step_one(language))
    texts = tomllib.loads((ROOT / f"src/alicem/web/locale/{language}/enrolment.toml").read_text("utf-8"))
    said = [text for part in ("device", "accepted", "leaves", "paths", "terms") for text in texts[part].values()]
    assert len(said) > 20
    assert [text for text in said if text.replace("{version}", "2031-05") not in page] == []


def step_one(language: str) -> str:
    """The first screen of `/enrol`, as the server renders it."""
    nowhere = Path("nowhere")
    settings = Settings(
        service=Service(profile="development", origin="http://localhost", terms_version="2031-05"),
        database=Database("sqlite://"),
        keys=Keys(nowhere),
        trust=Trust(nowhere),
        registry=Registry("http://127.0.0.1:1", nowhere),
        mail=Mail("127.0.0.1", 1, "nobody@alicem.example"),
    )
    app = Starlette(routes=site.routes(Pages(), settings, reasons.load()))

    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            answer = await http.get("/enrol", headers={"Accept-Language": language})
        assert answer.status_code == 200
        return answer.text

    screen = re.search(r'<section data-screen="choose">(.*?)<section data-screen=', asyncio.run(ask()), re.DOTALL)
    assert screen is not None
    return screen[1]


def test_the_impact_assessment_states_the_terms_that_are_in_force() -> None:
    stated = dict(re.findall(r"^\| `retention\.(\w+)` \| (\d+) \|", text(DOCS / "aipd.md"), re.MULTILINE))
    kept = {one.name: str(one.default) for one in fields(Retention) if one.name != "most_at_once"}
    assert stated == kept
