"""`python -m bench.attacks`: every species so many times, with another victim, challenge and hand each time."""

from __future__ import annotations

import argparse
import json
import sys

import cv2

from alicem.demo import portraits
from alicem.face import Outcome, models
from bench.attacks.species import SPECIES
from bench.attacks.trials import TWINS, Trials, present


def line(name: str, found: Trials) -> str:
    """One species, in one line."""
    accepted, doubtful = found.counted(Outcome.ACCEPT), found.counted(Outcome.DOUBTFUL)
    office = f", {doubtful.count} to the office" if doubtful.count else ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.reasons.items())
    return f"{name:46} {accepted.count}/{accepted.of}  95 % {accepted.low:.3f}–{accepted.high:.3f}{office}  {reasons}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--times", type=int, default=12, help="presentations of each species (default 12)")
    parser.add_argument("--json", action="store_true", help="to standard output")
    parser.add_argument("only", nargs="*", metavar="SPECIES", help="a part of its name (default: all)")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    models.build()
    portraits.build()
    networks = models.load()
    everything = {**TWINS} | {name: one.make for name, one in SPECIES.items() if one.possible}
    chosen = [name for name in everything if not asked.only or any(part in name for part in asked.only)]
    found = {}
    for name in chosen:
        found[name] = present(networks, name, everything[name], asked.times)
        if not asked.json:
            print(line(name, found[name]), flush=True)
            for layer, rate in found[name].caught().items():
                values = sorted(found[name].scores(layer)) or [0.0]
                print(
                    f"    {layer:12} {rate.count}/{rate.of}  {values[0]:.3f} {values[len(values) // 2]:.3f} {values[-1]:.3f}"
                )
    for name in SPECIES.keys() - everything.keys():
        print(f"{name}: skipped, this OpenCV has no {SPECIES[name].codec}", file=sys.stderr)
    if asked.json:
        json.dump({name: one.tree() for name, one in found.items()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
