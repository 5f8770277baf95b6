"""`make bench-face`: the errors of the face room, of comparison and of attack detection, and what they cost.

Every rate has its count and its exact 95 % interval. Error rates are named as in ISO/IEC 19795-1 (FMR, FNMR) and
ISO/IEC 30107-3 (APCER, BPCER). DET curves and histograms of scores are drawn into a folder, beside `figures.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from alicem.demo import portraits
from alicem.face import Outcome, models
from alicem.face.evaluation import plots
from alicem.face.evaluation.pairs import Compared, compare_clips, compare_pairs, pairs_of
from alicem.face.evaluation.rates import Rate, Rates, Scores, interval, rates
from alicem.face.thresholds import published
from bench import face
from bench.attacks.species import SPECIES
from bench.attacks.trials import TWINS, Another, Trials, present

FACES = Path(__file__).parents[2] / "shared" / "data" / "faces" / "orl"
FRAMES = 4
LAYERS = {
    "screen": ("display",),
    "reflection": ("display", "stream, session"),
    "relief": ("print", "mask"),
    "one_person": ("stream, cut",),
}
LAYER = plots.Words(
    "DET: {} honest presentations, {} attacks",
    "BPCER of this layer alone",
    "APCER of this layer alone",
    "Scores: honest (green), attacks (red); threshold (blue)",
    "",
)


def told(rate: Rate) -> str:
    """`3 of 60: 5.0 % (1.0–13.9)`."""
    return f"{rate.count} of {rate.of}: {100 * rate.rate:.2f} % ({100 * rate.low:.2f}–{100 * rate.high:.2f})"


def comparison(networks: models.Models, folder: Path, into: Path) -> dict[str, Any]:
    """One picture against one, and against the average of several, over a folder with one sub-folder a person."""
    point = published().compare
    found: dict[str, Any] = {}
    for way, frames in (("one picture against one", 1), (f"one against the average of {FRAMES}", FRAMES)):
        scores = _compared(networks, folder, frames)
        error = rates(scores.genuine, scores.impostors, point)
        print(f"\nComparison, {folder.name}: {way} ({scores.without_face} of {scores.files} files without a face)")
        _print_comparison(error, point.accept)
        plots.det(scores.genuine, scores.impostors, into / f"det-{frames}.png")
        plots.histogram(scores.genuine, scores.impostors, point, into / f"scores-{frames}.png")
        found[way] = error.tree()
    return found


def _compared(networks: models.Models, folder: Path, frames: int) -> Compared:
    point = published().compare
    if frames == 1:
        return compare_pairs(networks, pairs_of(folder), point, lambda _: None)
    return compare_clips(networks, folder, frames, point, lambda _: None)


def _print_comparison(error: Rates, accept: float) -> None:
    print(f"  equal error rate                 {100 * error.eer:.2f} %  ({error.genuine} / {error.impostors} pairs)")
    print(f"  TAR at FMR 1e-3 (score {error.threshold_at_fmr:.2f})    {told(error.tar_at_fmr)}")
    print(f"  FMR at {accept}                       {told(error.fmr)}")
    print(f"  FNMR at {accept}                      {told(error.fnmr)}")
    print(f"  of which refused, not doubtful   {told(error.genuine_refused)}")


def honest(networks: models.Models, times: int) -> Mapping[str, Trials]:
    """The persons themselves, in several conditions; and one of them before the chip of another."""
    print("\nHonest persons (specimens who act as told): refused or sent to the office, BPCER")
    found = {name: present(networks, name, make, times) for name, make in TWINS.items()}
    for name, trials in found.items():
        print(f"  {name:44} {told(_not_accepted(trials))}  {_reasons(trials)}", flush=True)
    every = [value for trials in found.values() for value in trials.scores("same_person")]
    missed = interval(sum(value < published().compare.accept for value in every), len(every))
    print(f"  {'FNMR of the live comparison':44} {told(missed)}")
    strangers = present(networks, "another person", Another, times * len(TWINS))
    print(f"  {'FMR of the live comparison (whole check)':44} {told(strangers.counted(Outcome.ACCEPT))}")
    return found | {"another person": strangers}


def _not_accepted(trials: Trials) -> Rate:
    return interval(sum(one.verdict.outcome is not Outcome.ACCEPT for one in trials.of), len(trials.of))


def _reasons(trials: Trials) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in trials.reasons.items())


def attacks(networks: models.Models, times: int, only: Iterable[str]) -> Mapping[str, Trials]:
    print("\nAttacks by species: accepted, APCER; goal; caught by each layer as if it were alone")
    found = {}
    for name, species in SPECIES.items():
        if only and not any(part in name for part in only):
            continue
        if not species.possible:
            print(f"  {name:44} skipped: this OpenCV writes no {species.codec}")
            continue
        trials = found[name] = present(networks, name, species.make, times)
        goal = "none" if species.goal is None else f"{100 * species.goal:.0f} %"
        print(f"  {name:44} {told(trials.counted(Outcome.ACCEPT))}  goal {goal}")
        layers = {layer: rate for layer, rate in trials.caught().items() if rate.count}
        print("      " + ", ".join(f"{layer} {rate.count}/{rate.of}" for layer, rate in layers.items()))
        if trials.accepted_notes:
            print("      accepted with " + ", ".join(f"{note} {n}" for note, n in trials.accepted_notes.items()))
    return found


def layers(people: Mapping[str, Trials], tried: Mapping[str, Trials], into: Path) -> None:
    """A picture of each layer: what it measures of honest persons and of the attacks that it is meant for."""
    limits = published().attacks
    for layer, meant in LAYERS.items():
        first = _scores((people[name] for name in TWINS), layer)
        second = _scores((trials for name, trials in tried.items() if name.startswith(meant)), layer)
        if len(first) and len(second):
            sign = -1 if layer == "screen" else 1  # the rule speaks above its threshold, the curve falls below
            plots.det(sign * first, sign * second, into / f"det-{layer}.png", LAYER)
            words = plots.Words(**{**asdict(LAYER), "axis": layer})
            plots.spread(first, second, (limits[layer],), into / f"scores-{layer}.png", words)


def _scores(of: Iterable[Trials], layer: str) -> Scores:
    return np.array([value for trials in of for value in trials.scores(layer)], np.float64)


def cost() -> list[face.Row]:
    print("\nTime (processor, one thread) and size")
    found = face.rows()
    for name, value, unit, note in found:
        print(f"  {name.removeprefix('face: '):44} {value:>7} {unit:<3} {note}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.face_report", description=__doc__)
    parser.add_argument("--times", type=int, default=4, help="presentations of each species (default 4)")
    parser.add_argument("--faces", type=Path, default=FACES, help="a folder with one sub-folder of pictures a person")
    parser.add_argument("--into", type=Path, default=Path("build/bench-face"), help="where pictures and JSON go")
    parser.add_argument("only", nargs="*", metavar="SPECIES", help="a part of its name (default: all)")
    asked = parser.parse_args()
    asked.into.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    models.build()
    portraits.build()
    networks = models.load()
    found: dict[str, Any] = {"times": asked.times}
    if asked.faces.is_dir():
        found["comparison"] = comparison(networks, asked.faces, asked.into)
    else:
        print(f"Comparison: skipped, no folder {asked.faces}; --faces names another")
    people = honest(networks, asked.times)
    tried = attacks(networks, asked.times, asked.only)
    layers(people, tried, asked.into)
    found |= {"honest": {name: one.tree() for name, one in people.items()}}
    found |= {"attacks": {name: one.tree() for name, one in tried.items()}, "cost": cost()}
    (asked.into / "figures.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))
    print(f"\nPictures and figures.json: {asked.into}")


if __name__ == "__main__":
    main()
