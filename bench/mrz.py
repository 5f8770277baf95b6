"""The zone from pictures: documents of nobody, badly photographed; how many are read, how exactly, in what time.

    python -m bench.mrz                     # both grades, 300 documents each
    python -m bench.mrz --documents 600 --first 5000

Document n and its photographs are what the seed n makes of `alicem.mrzscan.specimen`, a third of each format; a
document has up to three frames, and `read` takes the next only while it is in doubt. Seeds from 10,000 on were used
while the reader was made, those below only to judge. Times are processor time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2

from alicem.face.evaluation.rates import interval
from alicem.mrzscan import Reading, Vote
from alicem.mrzscan.layouts import checked
from alicem.mrzscan.specimen import MILD, STRONG, Document, Grade, document, photograph
from alicem.mrzscan.specimen.holders import KINDS

Row = tuple[str, float | str, str, str]
GRADES = {"mild": MILD, "strong": STRONG}
FRAMES = 3
COMMON = 30  # documents of a grade in the common table


@dataclass
class Judged:
    """What became of one document: its reading after the last frame, and each frame's milliseconds."""

    document: Document
    reading: Reading
    times: list[float] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return self.reading.mrz is not None and self.reading.lines == self.document.lines

    @property
    def wrong(self) -> bool:
        """Accepted with a letter wrong that check digits cover."""
        places = checked(self.document.kind)
        if self.reading.mrz is None:
            return False
        if self.reading.mrz.kind != self.document.kind:
            return True
        return any(self.reading.lines[row][column] != self.document.lines[row][column] for row, column in places)


def judge(seed: int, name: str) -> Judged:
    paper = document(seed, KINDS[seed % len(KINDS)])
    vote, times = Vote(), []
    for frame in frames(paper, seed, name):
        start = time.process_time()
        vote.add(frame)
        times.append((time.process_time() - start) * 1000)
        if vote.reading.names_sure:
            break
    return Judged(paper, vote.reading, times)


def frames(paper: Document, seed: int, name: str) -> Iterator[bytes]:
    grade: Grade = GRADES[name]
    offset = 2 * FRAMES * seed + FRAMES * list(GRADES).index(name)
    return (photograph(paper, grade, offset + place) for place in range(FRAMES))


def grade(name: str, first: int, count: int) -> list[Row]:
    cv2.setNumThreads(1)
    judge(first, name)  # the networks are loaded
    found = [judge(seed, name) for seed in range(first, first + count)]
    times = sorted(one for each in found for one in each.times)
    rows = [_share(f"{name}: exact within {FRAMES} frames", [one.exact for one in found], "every letter of the zone")]
    for kind in KINDS:
        rows.append(_share(f"{name}: exact, {kind}", [one.exact for one in found if one.document.kind == kind], ""))
    once = [one.exact and len(one.times) == 1 for one in found]
    rows.append(_share(f"{name}: exact and sure at the first frame", once, "no other was asked for"))
    rows.append(_share(f"{name}: check digits right", [one.reading.mrz is not None for one in found], "accepted"))
    rows.append(_share(f"{name}: wrong in a checked field", [one.wrong for one in found], "accepted all the same"))
    names = [one.reading.names_sure and not one.exact for one in found]
    rows.append(_share(f"{name}: wrong elsewhere, called sure", names, "names, codes, sex"))
    flaws = Counter(str(one.reading.flaw) for one in found if one.reading.flaw)
    note = ", ".join(f"{flaw} {count}" for flaw, count in flaws.items())
    rows.append((f"{name}: one frame", round(statistics.median(times)), "ms", f"n = {len(times)}; not read: {note}"))
    rows.append((f"{name}: one frame, 95 of 100", round(times[int(0.95 * len(times))]), "ms", f"most {times[-1]:.0f}"))
    return rows


def _share(what: str, cases: list[bool], note: str) -> Row:
    rate = interval(sum(cases), len(cases))
    bounds = f"{rate.count} of {rate.of} ({100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
    return what, round(100 * rate.count / max(1, rate.of), 1), "%", f"{bounds}{'; ' if note else ''}{note}"


def rows() -> list[Row]:
    return [row for name in GRADES for row in grade(name, 0, COMMON)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mrz")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="seed")
    parser.add_argument("grades", nargs="*", default=list(GRADES), metavar="GRADE")
    asked = parser.parse_args()
    for name in asked.grades:
        for what, value, unit, note in grade(name, asked.first, asked.documents):
            print(f"{what:<45} {value:>6} {unit:<3} {note}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
