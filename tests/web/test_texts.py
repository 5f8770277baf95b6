"""Every text exists in both languages with the same places to fill, and every text that a template or a module names exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from alicem import reasons
from alicem.enrolment import receipts
from alicem.face import Action, Hint
from alicem.provider.claims import CLAIMS
from alicem.web.pages import FOLDERS
from alicem.web.text import LANGUAGES, LOCALE, Texts

STATIC = LOCALE.parent / "static"
USED_IN_TEMPLATE = re.compile(r"""\bt\(\s*["']([\w.]+)["']\s*[,)]""")
USED_IN_MODULE = re.compile(r"""\bt\(\s*["'`]([\w.]+)["'`]\s*[,)]""")
TEMPLATES = sorted(file for folder in FOLDERS.values() for file in folder.glob("**/*.html"))
MODULES = sorted(file for file in STATIC.glob("*.js"))
LOOSE_PUNCTUATION = re.compile(r" [;!?»%]| :(?:\s|$)|« ")

KNOWN_CLAIMS = re.findall(
    r'"(\w+)"', re.search(r"const KNOWN = \[(.*?)\]", (STATIC / "approval.js").read_text("utf-8"), re.S)[1]
)  # type: ignore[index]
FAMILIES = {
    "enrolment.js.hint": [*map(str, Hint), "none", "checking_document", "checking_registry"],
    "enrolment.js.action": [*map(str, Action), "none"],
    "enrolment.js.ways": reasons.NEXT,
    "enrolment.js.kept": receipts.KEPT,
    "phone.js.claims": KNOWN_CLAIMS,
    "phone.js.levels": ["eidas1", "eidas2", "eidas3"],
}
"""Texts the modules name by what the server sends."""


def files(language: str) -> dict[str, Path]:
    return {file.stem: file for file in (LOCALE / language).glob("*.toml")}


def leaves(tree: object, key: str = "") -> dict[str, str]:
    if isinstance(tree, str):
        return {key: tree}
    assert isinstance(tree, Mapping), key
    return {k: v for name, below in tree.items() for k, v in leaves(below, f"{key}.{name}").items()}


def read(file: Path) -> dict[str, str]:
    return leaves(tomllib.loads(file.read_text("utf-8")))


def test_both_languages_have_the_same_catalogues() -> None:
    assert files("fr").keys() == files("en").keys()


@pytest.mark.parametrize("room", sorted(files("fr")))
def test_both_languages_have_the_same_texts_and_places(room: str) -> None:
    french, english = read(files("fr")[room]), read(files("en")[room])
    assert french.keys() == english.keys()
    for key, text in french.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_french_is_set_with_french_spaces_and_apostrophes() -> None:
    texts = Texts()
    for key in texts.keys("fr"):
        for text in leaves(texts.raw("fr", key)).values():
            assert not LOOSE_PUNCTUATION.search(text) and "'" not in text, f"{key}: {text}"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: f"{file.parent.parent.name}/{file.name}")
def test_what_a_template_says_exists(template: Path) -> None:
    source = template.read_text("utf-8")
    texts = Texts()
    for key in USED_IN_TEMPLATE.findall(source):
        assert all(key in texts.keys(language) for language in LANGUAGES), key


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: f"{file.parent.parent.name}/{file.name}")
def test_a_template_carries_nothing_inline(template: Path) -> None:
    source = template.read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", source)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", source)


@pytest.mark.parametrize("module", MODULES, ids=lambda file: file.name)
def test_what_a_module_says_exists(module: Path) -> None:
    texts = Texts()
    for key in USED_IN_MODULE.findall(module.read_text("utf-8")):
        assert all(key in texts.for_scripts(language) for language in LANGUAGES), key


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_whatever_the_server_sends_has_a_text(family: str) -> None:
    for language in LANGUAGES:
        texts = Texts().for_scripts(language)
        assert all(f"{family}.{name}" in texts for name in FAMILIES[family])


def test_the_phone_knows_every_claim_that_is_asked() -> None:
    assert {claim.source for claim in CLAIMS.values()} <= set(KNOWN_CLAIMS)
