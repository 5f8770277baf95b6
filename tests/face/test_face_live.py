"""The whole check, with real networks: who is accepted, and why the others are not."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from acting import TURN_FIRST, act, chip_portrait, play

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, Challenge, Hint, LiveCheck, Outcome, Phase, Reason, draw
from alicem.face.models import Models

PEOPLE = list(portraits.faces())
SOME = ["woman_1", "man_2", "woman_3", "man_6"]


@pytest.mark.parametrize("name", SOME)
def test_the_holder_is_accepted(networks: Models, name: str) -> None:
    seed = PEOPLE.index(name)
    challenge = draw(Random(seed))  # noqa: S311
    played = act(LiveCheck(networks, chip_portrait(name), challenge), name, seed)
    assert (played.verdict.outcome, played.verdict.reason) == (Outcome.ACCEPT, None)
    assert played.told == challenge.actions
    assert played.milliseconds < 15_000
    assert played.verdict.scores["same_person"] > played.verdict.thresholds["same_person"] + 1


@pytest.mark.parametrize(("name", "impostor"), [("woman_1", "woman_4"), ("man_2", "man_3")])
def test_an_impostor_is_refused(networks: Models, name: str, impostor: str) -> None:
    verdict = act(LiveCheck(networks, chip_portrait(name), TURN_FIRST), impostor).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSE, Reason.NOT_SAME_PERSON)
    assert verdict.scores["doubtful"] < verdict.thresholds["doubtful"]


def test_an_action_is_told_only_in_its_turn(networks: Models) -> None:
    check = LiveCheck(networks, chip_portrait("woman_1"), TURN_FIRST)
    assert check.current_action is None
    assert check.progress.phase is Phase.NEUTRAL
    actor = Actor(portraits.faces()["woman_1"], 3)
    for at in range(0, 4000, 100):
        check.add_frame(actor.frame(at), at)
        assert check.current_action in (None, Action.TURN_LEFT), "nothing was done: the first is still asked"
    assert check.progress.total == 3
    assert check.progress.done == 0


def still(name: str) -> Callable[[float], bytes]:
    """A photograph in a hand that trembles: each frame another, none alive."""
    actor = Actor(portraits.faces()[name], 5)
    frame = cv2.imdecode(np.frombuffer(actor.frame(0), np.uint8), cv2.IMREAD_COLOR)
    assert frame is not None
    rng = np.random.default_rng(5)

    def camera(at: float) -> bytes:
        shift = np.array([[1, 0, 3 * np.sin(at / 700)], [0, 1, 2 * np.cos(at / 900)]])
        moved = cv2.warpAffine(frame, shift, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        noisy = np.clip(moved + rng.normal(0, 2, moved.shape), 0, 255).astype(np.uint8)
        return cv2.imencode(".jpg", noisy)[1].tobytes()

    return camera


def test_a_photograph_does_nothing(networks: Models) -> None:
    verdict = play(LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST), still("man_2")).verdict
    assert (verdict.reason, verdict.missed) == (Reason.NOT_LIVE, Action.TURN_LEFT)


def test_a_photograph_that_is_turned_shows_no_turn(networks: Models) -> None:
    flat = still("man_2")

    def camera(at: float) -> bytes:
        frame = cv2.imdecode(np.frombuffer(flat(at), np.uint8), cv2.IMREAD_COLOR)
        assert frame is not None
        angle = 0.6 * min(1.0, max(0.0, (at - 2500) / 1500))
        return cv2.imencode(".jpg", turned_sheet(frame, angle))[1].tobytes()

    verdict = play(LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST), camera).verdict
    assert verdict.reason in (Reason.NOT_LIVE, Reason.ATTACK)


def turned_sheet(frame: np.ndarray, angle: float) -> np.ndarray:
    """A sheet of paper turned about its middle, seen in perspective."""
    corners = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float32)
    x, y = corners[:, 0] - 320, corners[:, 1] - 240
    nearer = 800 / (800 + x * np.sin(angle))
    seen = np.stack([x * np.cos(angle) * nearer + 320, y * nearer + 240], axis=1).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, seen)
    return cv2.warpPerspective(frame, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        (Action.TURN_LEFT, Action.TURN_RIGHT),
        (Action.TURN_LEFT, Action.SMILE),
        (Action.SMILE, Action.BLINK),
        (Action.BLINK, Action.TURN_LEFT),
    ],
)
def test_another_action_than_the_one_asked(networks: Models, asked: Action, done: Action) -> None:
    challenge = Challenge((asked,), (400.0,))
    verdict = act(LiveCheck(networks, chip_portrait("woman_3"), challenge), "woman_3", obey=lambda a: done).verdict
    assert (verdict.outcome, verdict.reason, verdict.missed) == (Outcome.REFUSE, Reason.NOT_LIVE, done)


def test_a_recording_in_another_order(networks: Models) -> None:
    """What was played for one challenge does not serve the next."""
    order: Iterator[Action] = cycle([Action.BLINK, Action.TURN_LEFT, Action.SMILE])
    verdict = act(LiveCheck(networks, chip_portrait("man_6"), TURN_FIRST), "man_6", obey=lambda a: next(order)).verdict
    assert verdict.reason is Reason.NOT_LIVE


def test_one_person_acts_and_another_compares(networks: Models) -> None:
    """The impostor shows the holder at rest and acts himself."""
    holder, impostor = (Actor(portraits.faces()[name], 4) for name in ("man_3", "man_8"))
    acting = False

    def told(action: Action | None, at: float) -> None:
        nonlocal acting
        acting = action is not None
        impostor.perform(action, at)

    def camera(at: float) -> bytes:
        return (impostor if acting else holder).frame(at)

    verdict = play(LiveCheck(networks, chip_portrait("man_3"), TURN_FIRST), camera, told).verdict
    assert verdict.outcome is Outcome.REFUSE
    assert verdict.reason in (Reason.ATTACK, Reason.NOT_LIVE)


def test_two_people(networks: Models) -> None:
    left, right = (Actor(portraits.faces()[name], 4) for name in ("man_3", "woman_1"))

    def camera(at: float) -> bytes:
        pictures = [cv2.imdecode(np.frombuffer(a.frame(at), np.uint8), cv2.IMREAD_COLOR) for a in (left, right)]
        return cv2.imencode(".jpg", np.hstack([p[:, 130:510] for p in pictures if p is not None]))[1].tobytes()

    played = play(LiveCheck(networks, chip_portrait("man_3"), TURN_FIRST), camera)
    assert played.verdict.reason is Reason.SEVERAL
    assert played.hints[Hint.SEVERAL_FACES] > 20


def toned(name: str, gain: float) -> Callable[[float], bytes]:
    actor = Actor(portraits.faces()[name], 4)

    def camera(at: float) -> bytes:
        frame = cv2.imdecode(np.frombuffer(actor.frame(at), np.uint8), cv2.IMREAD_COLOR)
        assert frame is not None
        return cv2.imencode(".jpg", np.clip(frame * gain, 0, 255).astype(np.uint8))[1].tobytes()

    return camera


@pytest.mark.parametrize(("gain", "hint"), [(0.2, Hint.MORE_LIGHT), (2.6, Hint.LESS_LIGHT)])
def test_bad_light(networks: Models, gain: float, hint: Hint) -> None:
    played = play(LiveCheck(networks, chip_portrait("woman_4"), TURN_FIRST), toned("woman_4", gain), rate=5)
    assert played.verdict.reason is Reason.LIGHT
    assert played.hints[hint] > 10


def sized(name: str, scale: float) -> Callable[[float], bytes]:
    actor = Actor(portraits.faces()[name], 4)

    def camera(at: float) -> bytes:
        frame = cv2.imdecode(np.frombuffer(actor.frame(at), np.uint8), cv2.IMREAD_COLOR)
        zoom = cv2.getRotationMatrix2D((320, 252), 0, scale)
        moved = cv2.warpAffine(frame, zoom, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        return cv2.imencode(".jpg", moved)[1].tobytes()

    return camera


@pytest.mark.parametrize(("scale", "hint"), [(0.45, Hint.CLOSER), (2.3, Hint.FURTHER)])
def test_bad_distance(networks: Models, scale: float, hint: Hint) -> None:
    played = play(LiveCheck(networks, chip_portrait("woman_3"), TURN_FIRST), sized("woman_3", scale), rate=5)
    assert played.verdict.reason is Reason.FRAMING
    assert played.hints[hint] > 10


def test_nobody(networks: Models) -> None:
    wall = cv2.imencode(".jpg", np.full((480, 640, 3), 180, np.uint8))[1].tobytes()
    played = play(LiveCheck(networks, chip_portrait("woman_3"), TURN_FIRST), lambda at: wall)
    assert played.verdict.reason is Reason.ABSENT
    assert played.hints[Hint.NO_FACE] > 50


def test_the_person_leaves(networks: Models) -> None:
    actor = Actor(portraits.faces()["woman_3"], 4)
    wall = cv2.imencode(".jpg", np.full((480, 640, 3), 180, np.uint8))[1].tobytes()
    check = LiveCheck(networks, chip_portrait("woman_3"), TURN_FIRST)
    played = play(check, lambda at: actor.frame(at) if at < 2500 else wall)
    assert played.verdict.reason is Reason.ABSENT
    assert played.milliseconds < 8000


def test_a_loop(networks: Models) -> None:
    actor = Actor(portraits.faces()["man_2"], 4)
    loop = [actor.frame(at) for at in range(0, 1500, 100)]
    check = LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST)
    for index in range(40):
        check.add_frame(loop[index % len(loop)], index * 100.0)
    check.give_up()
    assert check.verdict().scores["repeated"] > check.verdict().thresholds["repeated"]


@pytest.mark.parametrize(
    "portrait",
    [b"", b"\xff\xd8\xff", cv2.imencode(".jpg", np.full((320, 240, 3), 200, np.uint8))[1].tobytes()],
    ids=["empty", "truncated", "nobody"],
)
def test_a_portrait_without_a_face(networks: Models, portrait: bytes) -> None:
    check = LiveCheck(networks, portrait, TURN_FIRST)
    assert check.done
    assert check.verdict().reason is Reason.PORTRAIT


def test_frames_that_are_no_pictures(networks: Models) -> None:
    check = LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST)
    assert check.add_frame(b"GIF89a", 0) is Hint.UNREADABLE
    for at in range(1, 40):
        check.add_frame(bytes([at]) * 50, at * 100.0)
    assert check.done
    assert check.verdict().reason is Reason.FRAMES


def test_frames_out_of_order(networks: Models) -> None:
    actor = Actor(portraits.faces()["man_2"], 4)
    check = LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST)
    frame = actor.frame(0)
    for at in range(100, 60, -1):
        check.add_frame(frame, float(at))
    assert check.verdict().reason is Reason.FRAMES


def test_a_clock_that_does_not_keep_time(networks: Models) -> None:
    """The phone says ten frames a second, they come at one."""
    actor = Actor(portraits.faces()["man_2"], 4)
    check = LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST)
    for index in range(10):
        check.add_frame(actor.frame(index * 100.0), index * 100.0, received=index * 1000.0)
    assert check.done
    assert check.verdict().reason is Reason.TOO_SLOW


def test_left_before_the_end(networks: Models) -> None:
    actor = Actor(portraits.faces()["man_2"], 4)
    check = LiveCheck(networks, chip_portrait("man_2"), TURN_FIRST)
    for index in range(3):
        check.add_frame(actor.frame(index * 100.0), index * 100.0)
    check.give_up()
    assert check.done
    assert check.verdict().outcome is Outcome.REFUSE


WATCHED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from acting import TURN_FIRST, act, chip_portrait
from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import LiveCheck, models
networks, portrait = models.load(), chip_portrait("man_2")
actor = Actor(portraits.faces()["man_2"], 1)
written = []
def hook(event, arguments):
    if event == "open" and arguments[0] is not None and (set(str(arguments[1])) & set("wax+") or (arguments[2] or 0) & 3):
        written.append(arguments[0])
sys.addaudithook(hook)
check = LiveCheck(networks, portrait, TURN_FIRST)
at, shown = 0.0, None
while not check.done:
    check.add_frame(actor.frame(at), at)
    if check.current_action != shown:
        shown = check.current_action
        actor.perform(shown, at)
    at += 100
print(check.verdict().outcome, written)
"""


def test_nothing_is_written_and_nothing_said(networks: Models) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("accept []\n", "")
