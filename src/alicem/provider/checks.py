"""Rules as data: each check names its clause, the error it answers with, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


class ProtocolError(Exception):
    """A request that may not be served. `error` is OAuth's code, `text` its description: ASCII, for developers, without data of the request."""

    def __init__(self, error: str, text: str, clause: str = "") -> None:
        super().__init__(f"{error}: {text}")
        self.error = error
        self.text = text
        self.clause = clause


@dataclass(frozen=True)
class Check(Generic[Subject]):
    clause: str
    error: str
    text: str
    refuses: Callable[[Subject], bool]


def run(checks: Sequence[Check[Subject]], subject: Subject) -> None:
    """Apply the checks in their order. Raises `ProtocolError` of the first that refuses."""
    for check in checks:
        if check.refuses(subject):
            raise ProtocolError(check.error, check.text, check.clause)
