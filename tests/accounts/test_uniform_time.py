"""The one answer takes one time: nobody learns from a clock whether a phone exists, or how far an instruction came."""

import statistics
import time
from collections.abc import Mapping

from account_world import WRONG, TestPhone, World
from cryptography.hazmat.primitives.asymmetric import ec

from alicem.accounts.instruction import UNIFORM

ANSWERS, WITHIN, TRIES = 2000, 0.05, 4


def measured(world: World, tokens: Mapping[str, list[str]]) -> dict[str, float]:
    """Median seconds of each kind of instruction, taken in turns so that whatever else the machine does meets all of them."""
    took: dict[str, list[float]] = {name: [] for name in tokens}

    async def ask() -> None:
        for number in range(ANSWERS):
            for name, given in tokens.items():
                began = time.perf_counter()
                outcome = await world.instructions.perform(given[number % len(given)])
                took[name].append(time.perf_counter() - began)
                assert outcome == UNIFORM

    world.await_(ask())
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def test_medians_of_two_thousand_uniform_answers_differ_by_less_than_a_twentieth(world: World) -> None:
    phone, other = world.enrol(), world.enrol("OTHER", suspension_code="1" * 20)
    stranger = ec.generate_private_key(ec.SECP256R1())
    closed = world.enrol("GONE", suspension_code="2" * 20)
    assert closed.instruct(purpose="close", about=b"close").status == 200
    spent = world.challenge()
    tokens = {
        "a known phone, another signer": [phone.sign(WRONG, device_key=stranger, sequence=9) for _ in range(50)],
        "another known phone, another signer": [other.sign(device_key=stranger, sequence=9) for _ in range(50)],
        "a phone that is not there any more": [closed.sign(sequence=9) for _ in range(50)],
        "nobody's phone": [TestPhone(world, stranger, b"s" * 32).sign() for _ in range(50)],
        "a known phone, a challenge of somebody else's": [phone.sign(challenge=spent[:-4] + "AAAA") for _ in range(50)],
    }
    for _ in range(TRIES):  # a busy machine may need a second look; a difference stays through all of them
        medians = measured(world, tokens)
        spread = max(medians.values()) / min(medians.values()) - 1
        if spread < WITHIN:
            break
    print({name: f"{seconds * 1e6:.0f} µs" for name, seconds in medians.items()}, f"spread {spread:.1%}")
    assert spread < WITHIN, medians
    assert world.row(phone).used == world.row(other).used == 0
