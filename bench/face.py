"""The face step: each network, a frame, a whole check, what it takes on disk and in memory.

`rows()` gives (name, value, unit, note) for the common table; run as a script it prints them. Times are processor
time of this process, one thread, the median of several runs; the frames are the actor's, whose own work is not
counted. Nothing here says how well the comparison recognises: that is docs/measurements.md.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, Challenge, LiveCheck, Outcome, Verdict, draw, models
from alicem.face.attacks import one_person
from alicem.face.compare import portrait_template, score
from alicem.face.detect import LEFT_EYE, boxes, eye, mesh, precise_mesh
from alicem.face.embed import Template, average, template
from alicem.face.evaluation.rates import interval
from alicem.face.images import FRAME, decode
from alicem.face.measure import Measure, measure
from alicem.face.spectrum import screen
from alicem.face.thresholds import published

Row = tuple[str, float, str, str]
RUNS = 25
PEOPLE = ("woman_1", "man_2", "woman_3", "man_6")
CHALLENGE = Challenge((Action.SMILE, Action.TURN_RIGHT, Action.BLINK), (600.0, 600.0, 600.0))
MEMORY = """
import numpy as np
from pathlib import Path
from alicem.face import LiveCheck, models
def resident():
    return Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
before = resident()
networks = models.load()
for name, side in (("detector", 256), ("mesh", 192), ("iris", 64), ("faceres", 224), ("dlib", 150)):
    networks.run(name, np.zeros((1, side, side, 3), np.float32))
print(before, resident())
"""


def milliseconds(work: Callable[[], object], runs: int = RUNS) -> float:
    work()
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append((time.process_time() - start) * 1000)
    return statistics.median(taken)


@dataclass(frozen=True)
class Check:
    """One whole check: processor time of its frames, the longest of them, and the verdict after the last."""

    total: float
    longest: float
    verdict: float
    frames: int
    clip: float


def whole_check(networks: models.Models, name: str) -> Check:
    face = portraits.faces()[name]
    actor, portrait = Actor(face, 1), portraits.portrait(face)
    start = time.process_time()
    check = LiveCheck(networks, portrait, CHALLENGE)
    taken, at, shown = [time.process_time() - start], 0.0, None
    while not check.done:
        frame = actor.frame(at)
        start = time.process_time()
        check.add_frame(frame, at)
        taken.append(time.process_time() - start)
        if check.current_action != shown:
            shown = check.current_action
            actor.perform(shown, at)
        at += 100
    start = time.process_time()
    check.verdict()
    verdict = time.process_time() - start
    return Check(sum(taken) + verdict, max(taken[1:]) * 1000, verdict * 1000, len(taken) - 1, at / 1000)


def parts(networks: models.Models) -> list[Row]:
    jpeg = Actor(portraits.faces()["woman_1"], 1).frame(0)
    portrait = portraits.portrait(portraits.faces()["woman_1"])
    picture = decode(jpeg, FRAME)
    (box,) = boxes(networks, picture)
    found = precise_mesh(networks, picture, box)
    work: list[tuple[str, Callable[[], object], str]] = [
        ("frame decoded", lambda: decode(jpeg, FRAME), "JPEG, 640×480"),
        ("faces found", lambda: boxes(networks, picture), "every other frame"),
        ("468 points", lambda: mesh(networks, picture, found), "each frame"),
        ("lids of one eye", lambda: eye(networks, picture, found, LEFT_EYE), "both when looking straight"),
        ("frame measured", lambda: measure(networks, picture, found), "pose, mouth, lids, light"),
        ("template", lambda: template(networks, picture, found), "both networks, each with its mirror image"),
        ("portrait's template", lambda: portrait_template(networks, portrait), "from JPEG 2000"),
    ]
    return [(f"face: {name}", round(milliseconds(run), 1), "ms", note) for name, run, note in work]


def on_disk_and_in_memory() -> list[Row]:
    megabytes = sum(row.bytes or 0 for row in models.listing()) / 1e6
    said = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    before, after = (int(value) / 1024 for value in said.split())
    return [
        ("face: models on disk", round(megabytes, 1), "MB", "five networks"),
        ("face: models in memory", round(after - before), "MB", f"of a process of {after:.0f} MB"),
    ]


def rows() -> list[Row]:
    models.build()
    portraits.build()
    networks = models.load()
    checks = [whole_check(networks, name) for name in PEOPLE]
    middle = {name: float(np.median([getattr(check, name) for check in checks])) for name in Check.__annotations__}
    note = f"median of {len(checks)} people, {middle['frames']:.0f} frames, clip of {middle['clip']:.0f} s"
    return [
        *parts(networks),
        ("face: whole check", round(middle["total"], 2), "s", f"one core; {note}"),
        ("face: longest frame", round(middle["longest"]), "ms", "with the templates taken on the way"),
        ("face: verdict after the last frame", round(middle["verdict"], 1), "ms", "goal 300"),
        *on_disk_and_in_memory(),
    ]


def played(networks: models.Models, holder: str, seen: str, seed: int) -> Verdict:
    """Who is seen acts before the chip of the holder."""
    people = portraits.faces()
    challenge = draw(Random(seed))  # noqa: S311 - to be played again
    check = LiveCheck(networks, portraits.portrait(people[holder]), challenge)
    actor, at, shown = Actor(people[seen], seed), 0.0, None
    while not check.done:
        check.add_frame(actor.frame(at), at)
        if check.current_action != shown:
            shown = check.current_action
            actor.perform(shown, at)
        at += 100
    return check.verdict()


def rates(networks: models.Models, turns: int) -> None:
    """How the specimen persons fare, each `turns` times, every time with another challenge, light and grain."""
    names = list(portraits.faces())
    for kind, next_one in (("holder", 0), ("impostor", 1)):
        verdicts = [
            played(networks, holder, names[(place + next_one * (1 + turn)) % len(names)], 1000 * turn + place)
            for turn in range(turns)
            for place, holder in enumerate(names)
        ]
        accepted = interval(sum(v.outcome is Outcome.ACCEPT for v in verdicts), len(verdicts))
        reasons = Counter(str(v.reason or v.outcome) for v in verdicts)
        print(
            f"{kind}: accepted {accepted.count} of {accepted.of}, 95 % {accepted.low:.3f}–{accepted.high:.3f}", end=""
        )
        print(f", {dict(reasons)}")
        for name in ("same_person", "one_person", "relief", "jump"):
            values = [v.scores[name] for v in verdicts if name in v.scores]
            print(f"  {name:<12} least {min(values):.2f}, median {np.median(values):.2f}, most {max(values):.2f}")


@dataclass(frozen=True)
class Moment:
    measure: Measure
    template: Template
    screen: float | None


def clips(networks: models.Models, folder: Path) -> None:
    """Short clips of real people, one a file: one person throughout, others never; how their lids move; whether a rule
    against attacks would have refused them."""
    point = published().compare
    people = {path.name: looks(networks, path) for path in sorted(folder.glob("*.mp4"))}
    rest, others = {}, {}
    for name, found in people.items():
        straight = sorted(found, key=lambda moment: abs(moment.measure.yaw))
        rest[name] = average([one.template for one in straight[:3]])
        others[name] = [one.template for one in straight[3:]]
        opening = np.array([moment.measure.opening for moment in found])
        shut = opening / np.median(opening) < published().limits.closed
        yaw = straight[0].measure.yaw, straight[-1].measure.yaw
        print(f"{name}: {len(found)} moments, yaw {yaw[0]:.0f}…{yaw[1]:.0f}°, lids shut in {shut.sum()}")
    same = [score(rest[name], one, point) for name in rest for one in others[name]]
    cross = [score(rest[a], one, point) for a in rest for b in rest if a != b for one in others[b]]
    print(f"one person: n = {len(same)}, least {min(same):.2f}, median {np.median(same):.2f}")
    print(f"two people: n = {len(cross)}, median {np.median(cross):.2f}, most {max(cross):.2f}")
    pattern = [moment.screen for found in people.values() for moment in found if moment.screen is not None]
    print(f"pattern of a screen: n = {len(pattern)}, median {np.median(pattern):.2f}, most {max(pattern):.2f}")
    exchanges(list(people.values()))


TURNS, AT_REST, ACTING = 40, 9.0, 19.0  # checks played with each person, or pair; degrees
RESTING = (
    0,
    1,
    3,
    5,
)  # of the seven moments of a check: two of the neutral face, then action, rest, action, rest, action


def exchanges(people: list[list[Moment]]) -> None:
    """Moments of a whole check, drawn from a clip; and the same with another person from some moment on, or in one."""
    rng, point = Random(1), published().compare  # noqa: S311 - to be played again

    def drawn(clip: list[Moment]) -> list[Template]:
        still = [one.template for one in clip if abs(one.measure.yaw) < AT_REST]
        moving = [one.template for one in clip if abs(one.measure.yaw) < ACTING]
        return [rng.choice(still if place in RESTING else moving) for place in range(7)]

    def judged(moments: list[Template]) -> float:
        return one_person([moments[place] for place in RESTING], moments, point)

    held = [judged(drawn(clip)) for clip in people if _stills(clip) for _ in range(TURNS)]
    print(f"whole check, one person: n = {len(held)}, least {min(held):.2f}, median {np.median(held):.2f}")
    pairs = [(a, b) for a in people for b in people if a is not b and _stills(a) and _stills(b)] * TURNS
    for place in range(2, 7):
        found = [judged(drawn(a)[:place] + drawn(b)[place:]) for a, b in pairs]
        print(f"another from moment {place + 1} on: n = {len(found)}, ", end="")
        print(f"median {np.median(found):.2f}, most {max(found):.2f}, passing {sum(_passes(one) for one in found)}")


def _stills(clip: list[Moment]) -> bool:
    return any(abs(one.measure.yaw) < AT_REST for one in clip)


def _passes(value: float) -> bool:
    return value >= published().attacks["one_person"]


def looks(networks: models.Models, path: Path) -> list[Moment]:
    """Every eighth frame that shows a face."""
    video, found, index = cv2.VideoCapture(str(path)), [], 0
    while (frame := video.read())[0]:
        index += 1
        picture = np.ascontiguousarray(frame[1][..., ::-1], np.uint8)
        if index % 8 == 0 and (faces := boxes(networks, picture)):
            where = precise_mesh(networks, picture, faces[0])
            seen = template(networks, picture, where)
            found.append(Moment(measure(networks, picture, where), seen, screen(picture, where)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, metavar="TURNS", help="play every specimen person so many times")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="measure clips of real people, one a file")
    chosen = parser.parse_args()
    if chosen.rates:
        return rates(models.load(), chosen.rates)
    if chosen.clips:
        return clips(models.load(), chosen.clips)
    for name, value, unit, note in rows():
        print(f"{name:<40} {value:>8} {unit:<3} {note}")


if __name__ == "__main__":
    main()
