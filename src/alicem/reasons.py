"""Every refusal, read once from `reasons.toml`: one row each, with its texts in both languages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FAULTS = ("document", "wire", "person", "policy", "ours")
NEXT = ("retry", "other_device", "other_document", "office", "support")


@dataclass(frozen=True)
class Text:
    """What happened, and what to do now."""

    cause: str
    next: str


@dataclass(frozen=True)
class Reason:
    """A row of `reasons.toml`; the file's head says what each member means."""

    name: str
    fault: str
    step: str
    counts_as_try: bool
    oidc_error: str
    exit_code: int
    next: tuple[str, ...]
    fr: Text
    en: Text

    def text(self, language: str) -> Text:
        return self.en if language == "en" else self.fr


class Refused(Exception):
    """Something was refused, for the reason named; `tries_left` where tries are counted."""

    def __init__(self, name: str, *, tries_left: int | None = None) -> None:
        super().__init__(name)
        self.reason = load()[name]
        self.tries_left = tries_left


@cache
def load() -> Mapping[str, Reason]:
    """All rows by name."""
    tree = tomllib.loads(files("alicem").joinpath("reasons.toml").read_text("utf-8"))
    return {name: _reason(name, row) for name, row in tree.items()}


def _reason(name: str, row: dict[str, object]) -> Reason:
    texts = {language: Text(**row.pop(language)) for language in ("fr", "en")}  # type: ignore[arg-type]
    ways = tuple(row.pop("next"))  # type: ignore[arg-type, var-annotated]
    reason = Reason(name=name, next=ways, **texts, **row)  # type: ignore[arg-type]
    if reason.fault not in FAULTS or not set(reason.next) <= set(NEXT):
        raise ValueError(f"reasons.toml: {name} has an unknown fault or way on")
    return reason
