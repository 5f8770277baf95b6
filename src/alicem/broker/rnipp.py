"""The register of natural persons (RNIPP), simulated: every identity a provider states is looked up before anything else.

`rnipp.toml`: `unlisted` says the outcome for people the file does not name; each `[[person]]` has `family_name`, `given_name`, `birthdate` (as the provider
states them), `outcome`, and for `rectified` a table `to` with the claims the register holds instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from alicem.broker.claims import PIVOT, Identity
from alicem.settings import SettingsError


class Outcome(StrEnum):
    FOUND = "found"
    RECTIFIED = "rectified"
    NOT_FOUND = "not_found"
    SEVERAL = "several"
    MARITAL_NAME = "marital_name"
    """Found under a name of marriage alone: the provider did not state the birth name."""
    DECEASED = "deceased"
    TIME_OUT = "time_out"


class NotInRegister(Exception):
    """The register does not answer with one living person."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


@dataclass(frozen=True)
class Entry:
    outcome: Outcome
    to: Mapping[str, str]


@dataclass(frozen=True)
class Register:
    """`entries` by family name, given names, birth date."""

    entries: Mapping[tuple[str, str, str], Entry]
    unlisted: Outcome

    def look_up(self, identity: Identity) -> Identity:
        """The identity as the register holds it. Raises `NotInRegister`."""
        key = (identity.family_name, identity.given_name, identity.birthdate)
        entry = self.entries.get(key, Entry(self.unlisted, {}))
        if entry.outcome is Outcome.FOUND:
            return identity
        if entry.outcome is Outcome.RECTIFIED:
            return replace(identity, **entry.to)
        raise NotInRegister(entry.outcome)


def load(path: Path | None) -> Register:
    """Read `rnipp.toml`; without a file everyone is found as stated. Raises `SettingsError`."""
    if path is None:
        return Register({}, Outcome.FOUND)
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
        return Register(dict(_entry(one) for one in tree.pop("person", [])), Outcome(tree.pop("unlisted")))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _entry(row: dict[str, Any]) -> tuple[tuple[str, str, str], Entry]:
    key = (str(row["family_name"]), str(row["given_name"]), str(row["birthdate"]))
    to = dict(row.get("to", {}))
    if not to.keys() <= set(PIVOT):
        raise ValueError(f"rnipp: {', '.join(sorted(to.keys() - set(PIVOT)))}")
    return key, Entry(Outcome(row["outcome"]), to)
