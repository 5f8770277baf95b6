"""`python -m bench.attacks`: every species so many times, with another victim, challenge and hand each time.

APCER (ISO/IEC 30107-3) is the share of presentations that were accepted; doubtful ones go to the office and are
counted apart. Rates have exact 95 % intervals. Seeds are the numbers of the presentations: any can be played again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from alicem.demo import portraits
from alicem.face import LiveCheck, Outcome, Verdict, draw, models
from alicem.face.evaluation.rates import interval
from bench.attacks.species import SPECIES

LONGEST_MS = 45_000.0


@dataclass
class Tally:
    """What became of the presentations of one species."""

    verdicts: list[Verdict] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        accepted = interval(sum(one.outcome is Outcome.ACCEPT for one in self.verdicts), len(self.verdicts))
        reasons = Counter(str(one.reason or one.outcome) for one in self.verdicts)
        names = sorted({name for one in self.verdicts for name in one.scores})
        layers = {
            name: sorted(round(one.scores[name], 3) for one in self.verdicts if name in one.scores) for name in names
        }
        return {
            "n": accepted.of,
            "accepted": accepted.count,
            "apcer": accepted.rate,
            "interval": [accepted.low, accepted.high],
            "doubtful": sum(one.outcome is Outcome.DOUBTFUL for one in self.verdicts),
            "reasons": dict(reasons),
            "layers": {name: [values[0], values[len(values) // 2], values[-1]] for name, values in layers.items()},
        }


def presented(networks: models.Models, species: str, number: int) -> Verdict:
    """One presentation, the same each time it is played."""
    names = list(portraits.faces())
    victim = names[number % len(names)]
    rng = Random(f"{species} {number}")  # noqa: S311 - to be played again
    attack = SPECIES[species](victim, rng, networks)
    check = LiveCheck(networks, portraits.portrait(portraits.faces()[victim]), draw(rng))
    at, told = 0.0, None
    while not check.done and at < LONGEST_MS:
        check.add_frame(attack.frame(at), at)
        if check.current_action != told:
            told = check.current_action
            attack.perform(told, at)
        at += 100
    check.give_up()
    return check.verdict()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--times", type=int, default=12, help="presentations of each species (default 12)")
    parser.add_argument("--json", action="store_true", help="to standard output")
    parser.add_argument("only", nargs="*", metavar="SPECIES", help="a part of its name (default: all)")
    asked = parser.parse_args()
    networks = models.load()
    chosen = [name for name in SPECIES if not asked.only or any(part in name for part in asked.only)]
    found = {}
    for name in chosen:
        tally = Tally([presented(networks, name, number) for number in range(asked.times)])
        found[name] = tally.row()
        if not asked.json:
            row = found[name]
            low, high = row["interval"]  # type: ignore[misc]
            print(f"{name:44} {row['accepted']}/{row['n']}  95 % {low:.3f}–{high:.3f}  {row['reasons']}", flush=True)
    if asked.json:
        json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
