"""The layers beside the picture: the light of the screen on the face, lids between two pictures, what is said of the camera."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random

import cv2
import numpy as np
import pytest
from acting import chip_portrait
from hypothesis import given
from hypothesis import strategies as st

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import (
    Action,
    Camera,
    Challenge,
    Colour,
    Configuration,
    LiveCheck,
    Outcome,
    Reason,
    Verdict,
    draw,
    read_camera,
)
from alicem.face.camera import BadCameraError, signs
from alicem.face.challenge import COLOURS
from alicem.face.models import Models

WEBCAM = Camera("Integrated Webcam (04f2:b6dd)", True, 1280, 720, 30.0)
BLINK_FIRST = Challenge((Action.BLINK, Action.SMILE), (400.0, 400.0))


@dataclass
class Played:
    verdict: Verdict
    told: list[tuple[float, Action]] = field(default_factory=list)
    seen: list[tuple[float, int]] = field(default_factory=list)  # when how many actions were seen
    eyes: int = 0


def play(check: LiveCheck, seed: int, screen: object = True, *, eyes: bool = True, name: str = "woman_2") -> Played:
    """An honest person; `screen`: True where its light reaches the face, False where the sun outshines it, or what another screen showed."""
    actor, at, told, colour, done = Actor(portraits.faces()[name], seed), 0.0, None, None, 0
    other = iter(screen) if isinstance(screen, tuple) else None
    found = Played(check.verdict())
    while not check.done:
        assert at < 60_000
        check.add_frame(actor.frame(at), at)
        progress = check.progress
        if progress.eyes is not None and eyes:
            where = progress.eyes
            for later in (33.0, 66.0):
                check.add_eyes(actor.eyes(at + later, where.x, where.y, where.width, where.height), at + later)
                found.eyes += 1
        if progress.colour != colour:
            colour = progress.colour
            if screen is not False:
                actor.light(next(other, None) if other is not None else colour, at)
        if check.current_action != told:
            told = check.current_action
            actor.perform(told, at)
            found.told += [(at, told)] if told else []
        if check.progress.done != done:
            done = check.progress.done
            found.seen.append((at, done))
        at += 100
    found.verdict = check.verdict()
    return found


def check_of(networks: Models, challenge: Challenge, configuration: Configuration | None = None) -> LiveCheck:
    return LiveCheck(networks, chip_portrait("woman_2"), challenge, configuration)


def test_the_light_of_the_screen_is_found_on_the_face(networks: Models) -> None:
    verdict = play(check_of(networks, draw(Random(1))), 1).verdict  # noqa: S311
    assert verdict.outcome is Outcome.ACCEPT
    assert verdict.scores["reflection"] > 0.8


def test_where_the_sun_outshines_the_screen_nothing_is_concluded(networks: Models) -> None:
    verdict = play(check_of(networks, draw(Random(1))), 1, screen=False).verdict  # noqa: S311
    assert verdict.outcome is Outcome.ACCEPT
    assert "reflection" not in verdict.scores


def test_where_light_is_required_the_person_is_told_that_it_is_not_seen(networks: Models) -> None:
    check = check_of(networks, draw(Random(1)), Configuration(colours_required=True))  # noqa: S311
    verdict = play(check, 1, screen=False).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSE, Reason.NO_REFLECTION)
    seen = check_of(networks, draw(Random(1)), Configuration(colours_required=True))  # noqa: S311
    assert play(seen, 1).verdict.outcome is Outcome.ACCEPT


@pytest.mark.parametrize("turn", [1])
def test_the_light_of_another_hour_is_refused(networks: Models, turn: int) -> None:
    challenge = draw(Random(1))  # noqa: S311
    opposite = dict(zip(Colour, (*list(Colour)[turn:], *list(Colour)[:turn]), strict=True))
    verdict = play(check_of(networks, challenge), 1, tuple(opposite[one] for one in challenge.colours)).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSE, Reason.NO_REFLECTION)
    assert verdict.scores["reflection"] < verdict.thresholds["reflection"]


def test_colours_are_told_one_at_a_time_and_slowly(networks: Models) -> None:
    challenge = draw(Random(5))  # noqa: S311
    check, actor = check_of(networks, challenge), Actor(portraits.faces()["woman_2"], 1)
    shown: list[tuple[float, Colour | None]] = []
    for at in np.arange(0.0, 8000.0, 100.0):
        check.add_frame(actor.frame(at), at)
        if not shown or shown[-1][1] != check.progress.colour:
            shown.append((at, check.progress.colour))
    assert tuple(colour for _, colour in shown if colour) == challenge.colours and len(challenge.colours) == COLOURS
    changes = [at for at, _ in shown[1:]]
    assert min(np.diff(changes)) >= 500


def test_an_action_during_the_colours_is_out_of_turn(networks: Models) -> None:
    check, actor, at = check_of(networks, draw(Random(1))), Actor(portraits.faces()["woman_2"], 1), 0.0  # noqa: S311
    while not check.done:
        check.add_frame(actor.frame(at), at)
        if check.progress.colour is not None:
            actor.perform(Action.SMILE, at)
        at += 100
    assert check.verdict().reason is Reason.NOT_LIVE


def test_lids_are_seen_sooner_between_the_pictures(networks: Models) -> None:
    with_eyes, without = (play(check_of(networks, BLINK_FIRST), 4, eyes=eyes) for eyes in (True, False))
    assert with_eyes.verdict.outcome is without.verdict.outcome is Outcome.ACCEPT
    assert with_eyes.eyes > 8
    assert with_eyes.seen[0][0] <= without.seen[0][0]


def test_eyes_of_another_source_than_the_pictures_do_not_count(networks: Models) -> None:
    """The whole pictures show open eyes; the cuts show closed ones."""
    check = check_of(networks, BLINK_FIRST)
    opened, closed = (Actor(portraits.faces()["woman_2"], 4) for _ in range(2))
    at, begun = 0.0, None
    while not check.done and at < 20_000:
        check.add_frame(opened.frame(at), at)
        if (where := check.progress.eyes) is not None:
            begun = begun or at
            closed.perform(Action.BLINK, begun - 400)
            for later in (20.0, 45.0, 70.0, 95.0):
                check.add_eyes(closed.eyes(at + later, where.x, where.y, where.width, where.height), at + later)
        at += 100
    assert check.progress.done == 0 and check.verdict().reason is Reason.NOT_LIVE


@pytest.mark.parametrize(
    "spoilt", ["nothing", "truncated", "another size", "huge", "late", "out of order", "in a rush"]
)
def test_bad_cuts_of_the_eyes_change_nothing(networks: Models, spoilt: str) -> None:
    check, actor, at = check_of(networks, BLINK_FIRST), Actor(portraits.faces()["woman_2"], 4), 0.0
    while check.progress.eyes is None:
        check.add_frame(actor.frame(at), at)
        at += 100
    where = check.progress.eyes
    actor.perform(Action.BLINK, at - 1500)
    good = actor.eyes(at, where.x, where.y, where.width, where.height)
    wide = cv2.imencode(".jpg", np.zeros((where.height, where.width + 8, 3), np.uint8))[1].tobytes()
    cuts = {"nothing": b"", "truncated": good[:200], "another size": wide, "huge": good + bytes(100_000)}
    for number in range(40):
        moment = {"late": at + 5000.0, "out of order": at - 200.0}.get(spoilt, at - 99.0 + 25 * number)
        moment = at - 99.0 + number if spoilt == "in a rush" else moment
        check.add_eyes(cuts.get(spoilt, good), moment)
    assert check.progress.done == 0 and not check.done


def test_eyes_before_their_turn_are_passed_over(networks: Models) -> None:
    check = check_of(networks, BLINK_FIRST)
    check.add_eyes(b"", 0.0)
    assert not check.done and check.progress.eyes is None


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        (WEBCAM, ()),
        (Camera("Caméra avant", True, 640, 480, 0.0), ()),
        (Camera("camera2 1, facing front", True, 480, 640, 15.0), ()),
        (replace(WEBCAM, label="OBS Virtual Camera"), ("known_program",)),
        (replace(WEBCAM, label="ManyCam Virtual Webcam"), ("known_program",)),
        (replace(WEBCAM, label="fake_device_0"), ("known_program",)),
        (replace(WEBCAM, device=False), ("no_device",)),
        (Camera("", False, 640, 480, 25.0), ("no_device", "no_name")),
        (replace(WEBCAM, width=100, height=100), ("no_camera_s_size",)),
        (replace(WEBCAM, frame_rate=1.0), ("no_camera_s_pace",)),
        (None, ("nothing_said",)),
    ],
)
def test_signs_of_a_program(camera: Camera | None, expected: tuple[str, ...]) -> None:
    assert signs(camera) == expected


@pytest.mark.parametrize(
    ("camera", "switched"),
    [(WEBCAM, True), (replace(WEBCAM, label="OBS Virtual Camera"), True), (None, True), (None, False)],
)
def test_the_detector_of_virtual_cameras_refuses_where_it_is_switched_on(
    networks: Models, camera: Camera | None, switched: bool
) -> None:
    check = check_of(networks, draw(Random(2)), Configuration(virtual_camera_signs=switched))  # noqa: S311
    check.camera = camera
    verdict = play(check, 2).verdict
    refused = switched and camera is not WEBCAM
    assert verdict.reason is (Reason.ATTACK if refused else None)
    assert (verdict.scores["virtual_camera"] > 0) is (camera is not WEBCAM)


def test_a_description_is_read_once() -> None:
    said = {"label": "Webcam", "device": True, "width": 640, "height": 480, "more": [1]}
    assert read_camera(json.dumps(said).encode()) == Camera("Webcam", True, 640, 480, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"label": 1},
        {"label": "x" * 301},
        {"device": 1},
        {"width": -1},
        {"width": "640"},
        {"height": 1e9},
        {"height": True},
        {"frame_rate": float("inf")},
        {"frame_rate": None},
    ],
)
def test_a_bad_description_is_named(change: dict[str, object]) -> None:
    said = {"label": "Webcam", "device": True, "width": 640, "height": 480, "frame_rate": 30} | change
    with pytest.raises(BadCameraError):
        read_camera(json.dumps(said).encode())


@given(st.binary(max_size=5000))
def test_whatever_is_said_of_a_camera_is_read_or_refused(plain: bytes) -> None:
    try:
        read_camera(plain)
    except BadCameraError as error:
        assert "not the description" in str(error) or "too long" in str(error)
