"""Challenge, movements, layers against attacks and the table of rules: without any network."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alicem.face import Action, Challenge, Colour, Outcome, Reason, draw
from alicem.face.actions import Limits, Movement, Watch, is_neutral
from alicem.face.attacks import Stream
from alicem.face.challenge import kind
from alicem.face.decide import Findings, decide
from alicem.face.detect import Mesh
from alicem.face.reflection import COLOUR_MS
from alicem.face.spectrum import screen
from alicem.face.thresholds import parse, published

LIMITS = published().limits
REST = Movement(turn=0.0, smile=0.0, opening=1.0)
DOING = {
    Action.TURN_LEFT: Movement(25.0, 0.0, 1.0),
    Action.TURN_RIGHT: Movement(-25.0, 0.0, 1.0),
    Action.SMILE: Movement(0.0, 1.5, 0.9),
    Action.BLINK: Movement(0.0, 0.0, 0.2),
}


def test_a_challenge_asks_each_kind_once_in_every_order() -> None:
    drawn = Counter(draw().actions for _ in range(600))
    assert len(drawn) == 12  # six orders, two directions
    assert min(drawn.values()) > 20
    assert all({kind(a) for a in actions} == {"smile", "turn", "blink"} for actions in drawn)


def test_colours_come_in_every_order_and_always_change() -> None:
    drawn = Counter(draw().colours for _ in range(3000))
    assert len(drawn) == 4 * 3**3
    assert all(len(colours) == 4 and all(a != b for a, b in pairwise(colours)) for colours in drawn)


def test_without_colours_there_is_one_action_more() -> None:
    drawn = {draw(colours=False) for _ in range(400)}
    assert all(challenge.colours == () and len(challenge.actions) == 4 for challenge in drawn)
    assert all({kind(a) for a in challenge.actions} == {"smile", "turn", "blink"} for challenge in drawn)
    assert all(kind(a) != kind(b) for challenge in drawn for a, b in pairwise(challenge.actions))


@pytest.mark.parametrize("without", ["smile", "blink"])
def test_what_one_cannot_do_is_never_asked(without: str) -> None:
    drawn = Counter(draw(without=without).actions for _ in range(400))
    left = {"smile", "turn", "blink"} - {without}
    assert all(len(actions) == 3 and {kind(a) for a in actions} == left for actions in drawn)
    assert len(drawn) == 2 + 4  # one turn between two others, or another between two turns


def test_the_turn_is_always_asked() -> None:
    assert all("turn" in {kind(a) for a in draw(without="turn").actions} for _ in range(50))


def test_a_challenge_can_be_drawn_again_from_its_seed() -> None:
    assert draw(Random(3)) == draw(Random(3))  # noqa: S311


@pytest.mark.parametrize(
    ("actions", "pauses"),
    [((), ()), ((Action.SMILE,), ())],
)
def test_a_challenge_is_whole(actions: tuple[Action, ...], pauses: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="challenge"):
        Challenge(actions, pauses)


def test_no_colour_is_a_red_flash() -> None:
    """WCAG 2.2: red is saturated from R / (R + G + B) = 0.8 on; two changes a second at most."""
    parts = [[int(one[at : at + 2], 16) for at in (1, 3, 5)] for one in Colour]
    assert all(red / (red + green + blue) < 0.8 for red, green, blue in parts)
    assert COLOUR_MS >= 500


@pytest.mark.parametrize("action", list(Action))
def test_an_action_counts_once_it_lasted(action: Action) -> None:
    watch = Watch(LIMITS)
    seen = [(at, watch.see(at, DOING[action])) for at in range(0, 1000, 100)]
    first = next(at for at, actions in seen if actions)
    assert LIMITS.hold_ms[action] <= first <= LIMITS.hold_ms[action] + 100
    assert all(actions <= {action} for _, actions in seen)


def test_a_blink_of_an_eye_is_not_closed_eyes() -> None:
    watch = Watch(LIMITS)
    for at in range(0, 4000, 100):
        assert not watch.see(at, DOING[Action.BLINK] if at % 1000 < 300 else REST)


def test_one_lost_frame_does_not_interrupt() -> None:
    watch = Watch(LIMITS)
    frames = [DOING[Action.BLINK]] * 4 + [REST] + [DOING[Action.BLINK]] * 3
    assert [bool(watch.see(at * 100, moved)) for at, moved in enumerate(frames)][-1]


@given(st.lists(st.sampled_from([REST, *DOING.values()]), max_size=60))
def test_rest_is_no_action_and_an_action_no_rest(frames: list[Movement]) -> None:
    watch = Watch(LIMITS)
    for index, moved in enumerate(frames):
        watch.see(index * 100.0, moved)
        assert is_neutral(moved, LIMITS) == (moved == REST)
    later = len(frames) * 100.0 + 1000
    assert not watch.see(later, REST)


def face_at(x: float) -> Mesh:
    spread = np.random.default_rng(1).uniform(-100, 100, (468, 3)).astype(np.float32)
    return Mesh(spread + np.array([x, 200, 0], np.float32), 1.0)


def test_a_stream_stands_still_comes_again_or_jumps() -> None:
    stream = Stream()
    for index in range(30):
        stream.frame(b"same", index * 100.0)
    assert stream.frozen_ms == 2900
    again = Stream()
    for index in range(30):
        again.frame(bytes([index % 15]), index * 100.0)
    assert (again.repeated, again.frozen_ms) == (15, 0)
    moving = Stream()
    moving.face(face_at(200), 0.0, 0)
    moving.face(face_at(210), 6.0, 100)
    assert moving.jump < 0.1
    assert moving.leap == pytest.approx(6.0)
    moving.face(face_at(400), 6.0, 200)
    assert moving.jump > published().attacks["jump"]


def test_a_neck_turns_and_a_photograph_is_swapped() -> None:
    limits = published().attacks
    turning, swapped, hidden = Stream(), Stream(), Stream()
    for index in range(8):
        turning.face(face_at(200), 4.0 * index, index * 100)
        swapped.face(face_at(200), 0.0 if index < 4 else 28.0, index * 100)
        hidden.face(face_at(200), 0.0 if index < 4 else 28.0, index * 100 + (0 if index < 4 else 1_200))
    assert turning.leap < limits["leap"] < swapped.leap
    assert hidden.leap > limits["leap"]  # out of sight it counts whole
    assert turning.gap_ms == 100
    assert hidden.gap_ms > limits["gap_ms"]


def test_a_screen_has_a_pattern_and_a_face_has_none() -> None:
    rng = np.random.default_rng(3)
    skin = np.clip(
        cv2.GaussianBlur(rng.normal(150, 60, (480, 640, 3)), (0, 0), 4) + rng.normal(0, 2, (480, 640, 1)), 0, 255
    )
    lines = skin + 12 * np.cos(2 * np.pi * np.arange(640) / 5.3)[None, :, None]
    mesh = face_at(300)
    seen = [screen(np.clip(picture, 0, 255).astype(np.uint8), mesh) for picture in (skin, lines)]
    assert seen[0] is not None and seen[1] is not None
    assert seen[0] < published().attacks["screen"] < seen[1]
    assert screen(np.zeros((60, 60, 3), np.uint8), mesh) is None


def test_waves_of_colour_are_a_pattern_where_the_brightness_has_none() -> None:
    rng = np.random.default_rng(3)
    grey = cv2.GaussianBlur(rng.normal(150, 60, (480, 640)), (0, 0), 4) + rng.normal(0, 2, (480, 640))
    wave = 10 * np.cos(2 * np.pi * np.arange(640) / 11.0)[None, :, None] * np.array([1.0, -0.508, 0.0])  # no luma
    mesh = face_at(300)
    plain, waved = (np.clip(grey[..., None] + more, 0, 255).astype(np.uint8) for more in (np.zeros(3), wave))
    seen = [screen(picture, mesh) for picture in (plain, waved, np.repeat(waved @ LUMA, 3, axis=2).astype(np.uint8))]
    limit = published().attacks["screen"]
    assert seen[0] is not None and seen[1] is not None and seen[2] is not None
    assert max(seen[0], seen[2]) < limit < seen[1]


LUMA = np.array([[0.299], [0.587], [0.114]])


def test_a_camera_that_stutters_is_no_attack() -> None:
    stream = Stream()
    for index in range(60):
        stream.frame(str(index // 4).encode(), index * 100.0)
    limits = published().attacks
    assert stream.frozen_ms < limits["frozen_ms"]
    assert stream.repeated <= limits["repeated"]


GOOD = {
    "same_person": 5.0,
    "doubtful": 5.0,
    "one_person": 5.0,
    "frozen_ms": 0.0,
    "repeated": 0.0,
    "jump": 0.1,
    "leap": 5.0,
    "gap_ms": 120.0,
    "rate": 9.5,
    "screen": 0.9,
    "relief": 0.07,
}


@pytest.mark.parametrize(
    ("scores", "reason", "outcome"),
    [
        ({}, None, Outcome.ACCEPT),
        ({"same_person": 3.0, "doubtful": 3.0}, Reason.DOUBTFUL, Outcome.DOUBTFUL),
        ({"same_person": 2.0, "doubtful": 2.0}, Reason.NOT_SAME_PERSON, Outcome.REFUSE),
        ({"one_person": 2.0}, Reason.ATTACK, Outcome.REFUSE),
        ({"frozen_ms": 2000.0}, Reason.ATTACK, Outcome.REFUSE),
        ({"repeated": 3.0}, Reason.ATTACK, Outcome.REFUSE),
        ({"jump": 1.0}, Reason.ATTACK, Outcome.REFUSE),
        ({"leap": 25.0}, Reason.ATTACK, Outcome.REFUSE),
        ({"gap_ms": 1500.0}, Reason.ABSENT, Outcome.REFUSE),
        ({"rate": 2.0}, Reason.TOO_SLOW, Outcome.REFUSE),
        ({"reflection": 0.3}, Reason.NO_REFLECTION, Outcome.REFUSE),
        ({"reflection": 0.9}, None, Outcome.ACCEPT),
        ({"screen": 2.5}, Reason.ATTACK, Outcome.REFUSE),
        ({"relief": 0.005}, Reason.ATTACK, Outcome.REFUSE),
    ],
)
def test_every_rule_speaks(scores: Mapping[str, float], reason: Reason | None, outcome: Outcome) -> None:
    findings = Findings(finished=True, turned=True, scores=GOOD | scores, thresholds=published().decision())
    assert (decide(findings).outcome, decide(findings).reason) == (outcome, reason)


@pytest.mark.parametrize("name", GOOD)
def test_what_was_not_measured_is_never_accepted(name: str) -> None:
    scores = {other: value for other, value in GOOD.items() if other != name}
    findings = Findings(finished=True, turned=True, scores=scores, thresholds=published().decision())
    assert decide(findings).outcome is not Outcome.ACCEPT


def test_an_unfinished_check_is_never_accepted() -> None:
    findings = Findings(finished=False, scores=GOOD, thresholds=published().decision())
    assert decide(findings).outcome is Outcome.REFUSE


def test_thresholds_have_no_defaults() -> None:
    table = {
        "compare": {
            "accept": 3.0,
            "refuse": 2.0,
            "provenance": "a test",
            "dlib": {"mean": 0.8, "deviation": 0.1},
            "faceres": {"mean": 0.5, "deviation": 0.1},
        },
        "live": {
            "turn": 18.0,
            "smile": 1.0,
            "closed": 0.5,
            "one_person": 2.0,
            "frozen_ms": 1.0,
            "repeated": 1.0,
            "jump": 1.0,
            "leap": 18.0,
            "gap_ms": 900.0,
            "rate": 4.0,
            "drift_ms": 4000.0,
            "reflection": 0.2,
            "screen": 1.5,
            "relief": 0.0,
            "hold_ms": {"smile": 1.0, "turn_left": 1.0, "turn_right": 1.0, "blink": 1.0},
            "limit_ms": {"neutral": 1.0, "action": 1.0, "pause": 1.0},
        },
    }
    assert isinstance(parse(table).limits, Limits)
    for part in ("compare", "live"):
        for name in table[part]:
            less = {**table, part: {key: value for key, value in table[part].items() if key != name}}
            with pytest.raises((KeyError, TypeError)):
                parse(less)
    with pytest.raises(ValueError, match="refuse is above accept"):
        parse({**table, "compare": {**table["compare"], "refuse": 4.0}})
