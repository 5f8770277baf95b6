"""The laboratory: what it renders is what a camera would see, and a presentation can be played again."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from bench import face_report
from bench.attacks.codecs import CODECS, FILMS, CodecMissingError, can, film
from bench.attacks.displays import DISPLAYS, SENSORS, filmed
from bench.attacks.scene import FOCAL, HEIGHT, WIDTH, Held, laid, opened, seen_at, taken
from bench.attacks.species import SPECIES
from bench.attacks.trials import TWINS, Trial, Trials, presented

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, Outcome, Reason, Verdict, models
from alicem.face.detect import Mesh, boxes, precise_mesh
from alicem.face.spectrum import screen
from alicem.face.thresholds import published

ACTING = (0.0, 2_100.0)  # at rest, and well into an action that was asked at one second
ONE_OF_EACH_KIND = (
    "print, flat, moved",
    "print, bent, swapped",
    "display, laptop 1080, MPEG-4, on demand",
    "display, telephone 1080 OLED, JPEG 92, on demand",
    "mask, flat, eyes and mouth",
    "mask, bent, eyes",
    "stream, animated still",
    "stream, cut for good",
    "stream, looped, encoded anew",
)


def filmed_as(networks: models.Models, name: str, seed: int) -> list[bytes]:
    attack = SPECIES[name].make("woman_2", Random(seed), networks)  # noqa: S311 - to be played again
    frames = [attack.frame(ACTING[0])]
    attack.perform(Action.TURN_LEFT, 1_000.0)
    return [*frames, attack.frame(ACTING[1])]


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_a_species_shows_one_face_and_can_be_played_again(networks: models.Models, name: str) -> None:
    if not SPECIES[name].possible:
        pytest.skip(f"no {SPECIES[name].codec} in this OpenCV")
    frames = filmed_as(networks, name, 3)
    for frame in frames:
        picture = opened(frame)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert len(boxes(networks, picture)) == 1
    assert frames == filmed_as(networks, name, 3)
    assert frames != filmed_as(networks, name, 4)


def test_a_sheet_lies_where_it_is_held() -> None:
    u, v = seen_at(Held(distance=40.0))
    assert (u[240, 320], v[240, 320]) == (0, 0)
    assert u[240, 420] == pytest.approx(100 / FOCAL * 40, abs=1e-4)
    assert v[340, 320] == pytest.approx(100 / FOCAL * 40, abs=1e-4)
    turned, _ = seen_at(Held(yaw=60.0, distance=40.0))
    assert turned[240, 420] - turned[240, 220] > 1.9 * (u[240, 420] - u[240, 220])  # half as wide to the camera


def test_along_a_bent_sheet_there_is_more_paper_than_across_it() -> None:
    flat, _ = seen_at(Held(distance=40.0))
    bent, _ = seen_at(Held(distance=40.0, bend=8.0))
    assert bent[240, 320] == pytest.approx(0, abs=1e-3)
    assert bent[240, 420] > flat[240, 420]
    assert bent[240, 639] > 1e3  # past the edge of the bow there is only the wall


def test_what_lies_outside_of_the_paper_is_the_wall() -> None:
    paper = np.full((480, 640, 3), 90, np.uint8)
    seen = laid(paper, seen_at(Held(distance=60.0)), 20.0, (165, 165, 165))
    assert tuple(seen[240, 320]) == (90, 90, 90)
    assert tuple(seen[5, 5]) == (165, 165, 165)


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    return opened(Actor(portraits.faces()["man_2"], 1).frame(0))


def test_a_camera_sees_the_grid_of_a_display_unless_it_averages_it_away(
    networks: models.Models, still: np.ndarray
) -> None:
    laptop, limit = DISPLAYS[1], published().attacks["screen"]
    mesh = precise_mesh(networks, still, boxes(networks, still)[0])
    found = {}
    for sensor in SENSORS:
        frame = taken(filmed(laptop, sensor, still, Held(distance=34.2, yaw=2.0)), np.random.default_rng(1), blur=0.0)
        found[sensor.name] = screen(opened(frame), Mesh(mesh.points, 1.0)) or 0.0
    assert found["averaging"] < limit < found["skipping"]


def test_a_display_is_as_bright_as_its_picture() -> None:
    grey = np.full((480, 640, 3), 128, np.uint8)
    for display in DISPLAYS:
        seen = filmed(display, SENSORS[0], grey, Held(distance=display.width_cm))
        assert abs(float(seen[200:280, 280:360].mean()) - 130) < 6


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_the_frames_and_loses_detail(name: str, still: np.ndarray) -> None:
    frames = [np.roll(still, 4 * index, axis=1) for index in range(5)]
    if name in FILMS and not can(name):
        with pytest.raises(CodecMissingError):
            film(name)(frames)
        return
    played = CODECS[name](frames)
    assert len(played) == len(frames)
    error = [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(played, frames, strict=True)]
    assert 0 < min(error) <= max(error) < 8


def test_a_presentation_ends_in_the_same_verdict_each_time(networks: models.Models) -> None:
    name = "stream, frozen"
    first, again = (presented(networks, name, SPECIES[name].make, 5) for _ in range(2))
    assert first.verdict.outcome is Outcome.REFUSE
    assert first.verdict == again.verdict


def test_the_honest_twin_is_accepted(networks: models.Models) -> None:
    name = "person, good light"
    assert presented(networks, name, TWINS[name], 0).verdict.outcome is Outcome.ACCEPT


def verdict(outcome: Outcome, reason: Reason | None = None, **scores: float) -> Verdict:
    limits = published().decision()
    return Verdict(outcome, reason, None, scores, {name: limits[name] for name in scores})


TRIED = Trials(
    [
        Trial(verdict(Outcome.ACCEPT, screen=1.0, relief=0.05), "camera averaging"),
        Trial(verdict(Outcome.REFUSE, Reason.ATTACK, screen=2.5, relief=0.06), "camera skipping"),
        Trial(verdict(Outcome.REFUSE, Reason.NOT_LIVE, screen=1.1), "camera skipping"),
        Trial(verdict(Outcome.DOUBTFUL, Reason.DOUBTFUL, screen=1.2, relief=0.001), ""),
    ]
)


def test_each_layer_is_counted_as_if_it_were_alone() -> None:
    assert TRIED.counted(Outcome.ACCEPT).count == 1
    assert TRIED.counted(Outcome.DOUBTFUL).of == 4
    caught = {name: (rate.count, rate.of) for name, rate in TRIED.caught().items()}
    assert caught == {"challenge": (1, 4), "screen": (1, 4), "relief": (1, 3)}
    assert TRIED.accepted_notes == {"camera averaging": 1}


def test_layers_are_drawn(tmp_path: Path) -> None:
    people = dict.fromkeys(TWINS, TRIED)
    face_report.layers(people, {"display, x": TRIED, "print, x": TRIED}, tmp_path)
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == {"det-screen.png", "scores-screen.png", "det-relief.png", "scores-relief.png"}
