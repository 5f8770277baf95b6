"""Mutation without coverage, for Pythons that atheris has no wheel for: simple, but real, and reproducible by its seed."""

from __future__ import annotations

import random
import time
import traceback
from dataclasses import dataclass, field

from fuzz.targets import Target

LENGTHS = (0x00, 0x01, 0x7F, 0x80, 0x81, 0x82, 0x83, 0x84, 0x88, 0xFE, 0xFF)
SIZE_MAX = 1 << 16
FINDINGS_MAX = 20


@dataclass
class Outcome:
    """Inputs fed, and for each finding, told apart by where it was raised, the input and its traceback."""

    inputs: int = 0
    findings: dict[str, tuple[bytes, str]] = field(default_factory=dict)


def run(target: Target, seconds: float, seed: int, *, inputs_max: int | None = None) -> Outcome:
    """Feed mutations of the target's seeds for `seconds`, or `inputs_max` of them."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    pool = list(target.seeds())
    outcome = Outcome()
    until = time.monotonic() + seconds
    for data in pool:
        _feed(target, data, outcome)
    while time.monotonic() < until and outcome.inputs != inputs_max and len(outcome.findings) < FINDINGS_MAX:
        _feed(target, mutated(rng, pool), outcome)
    return outcome


def _feed(target: Target, data: bytes, outcome: Outcome) -> None:
    outcome.inputs += 1
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 - whatever comes out is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {last.filename}:{last.lineno}"
        outcome.findings.setdefault(place, (data, "".join(traceback.format_exception(error))))


def mutated(rng: random.Random, pool: list[bytes]) -> bytes:
    """One of `pool` with one to six changes; now and then a splice of two."""
    data = bytearray(rng.choice(pool))
    if rng.random() < 0.1:
        other = rng.choice(pool)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(CHANGES)(rng, data)
    return bytes(data[:SIZE_MAX])


def _set(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] = rng.choice(LENGTHS) if rng.random() < 0.5 else rng.randrange(256)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 40)))


def _delete(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 8, 100))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    piece = data[at : at + rng.choice((1, 4, 16, 200))]
    data[at:at] = piece * rng.choice((1, 2, 50))


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _place(rng: random.Random, data: bytearray) -> int:
    """Anywhere, but as often near the beginning, where headers are."""
    return rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 64))


CHANGES = (_set, _set, _set, _flip, _insert, _delete, _repeat, _cut)
