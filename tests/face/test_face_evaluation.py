"""Rates, calibration and the commands of measuring: on scores that are known, and on the specimen persons."""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from acting import chip_portrait
from PIL import Image
from typer.testing import CliRunner

from alicem.cli import build
from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action
from alicem.face.compare import OperatingPoint, Scale
from alicem.face.evaluation import plots
from alicem.face.evaluation.calibrate import TooFewPairsError, calibrate
from alicem.face.evaluation.faces import NoFaceError, face_of, worth
from alicem.face.evaluation.pairs import Compared, PairsError, pairs_of, read_pairs
from alicem.face.evaluation.rates import by_group, rates, threshold_at
from alicem.face.measure import Measure
from alicem.face.models import Models
from alicem.face.thresholds import published

POINT = OperatingPoint(3.0, 2.0, {"dlib": Scale(0.0, 1.0), "faceres": Scale(0.0, 1.0)}, "a test")


def test_rates_of_scores_that_are_known() -> None:
    genuine, impostors = np.array([1.0, 2.5, 3.5, 4.0]), np.array([-1.0, 0.0, 1.5, 2.2, 3.1])
    found = rates(genuine, impostors, POINT)
    assert (found.fmr.count, found.fmr.of) == (1, 5)
    assert (found.fnmr.count, found.genuine_refused.count, found.impostors_doubtful.count) == (2, 1, 1)
    tree = found.tree()
    assert tree["n"] == {"genuine": 4, "impostors": 5}
    assert tree["tar_at_fmr_1e-3"]["count"] == 2  # above the highest impostor
    assert tree["fmr"]["low"] < 0.2 < tree["fmr"]["high"]


def test_rates_of_nothing_claim_nothing() -> None:
    nothing, some = np.array([]), np.array([1.0])
    for genuine, impostors in ((nothing, some), (some, nothing), (nothing, nothing)):
        tree = rates(genuine, impostors, POINT).tree()
        assert tree["eer"] is None
        empty = tree["fmr"] if not len(impostors) else tree["fnmr"]
        assert (empty["low"], empty["high"]) == (0.0, 1.0)


def test_groups_have_rates_of_their_own() -> None:
    scores = np.array([4.0, 1.0, 5.0, 3.5])
    same = np.array([True, False, True, False])
    found = by_group(scores, same, ["north", "north", "south", "south"], POINT)
    assert {name: one.fmr.count for name, one in found.items()} == {"north": 0, "south": 1}
    assert by_group(scores, same, ["", "", "", ""], POINT) == {}


def test_a_threshold_lets_no_more_through_than_asked() -> None:
    impostors = np.arange(1000.0)
    for fmr in (0.0, 0.001, 0.05, 0.5):
        assert (impostors >= threshold_at(impostors, fmr)).mean() <= fmr


def compared(genuine: int, impostors: int) -> Compared:
    rng = np.random.default_rng(7)
    same = np.array([True] * genuine + [False] * impostors)
    own = {
        "dlib": np.where(same, rng.normal(0.95, 0.02, len(same)), rng.normal(0.85, 0.02, len(same))),
        "faceres": np.where(same, rng.normal(0.9, 0.05, len(same)), rng.normal(0.6, 0.05, len(same))),
    }
    return Compared(np.zeros(len(same)), same, [""] * len(same), own, 0, len(same))


def test_calibration_keeps_its_promise() -> None:
    found = calibrate(compared(300, 20_000), POINT, 1e-3, "a test")
    assert found.fmr_at_refuse.count <= 20
    assert found.fmr_at_accept.count == 0
    assert found.fmr_at_accept.high < 2e-4
    assert found.point.refuse < found.point.accept
    assert found.point.scales["dlib"].mean == pytest.approx(0.85, abs=0.002)
    assert "[compare.faceres]" in found.toml()


@pytest.mark.parametrize(("genuine", "impostors", "fmr"), [(10, 20_000, 1e-3), (300, 900, 1e-3), (300, 20_000, 1e-5)])
def test_calibration_needs_enough(genuine: int, impostors: int, fmr: float) -> None:
    with pytest.raises(TooFewPairsError):
        calibrate(compared(genuine, impostors), POINT, fmr, "a test")


def test_charts_are_pictures(tmp_path: Path) -> None:
    genuine, impostors = np.array([4.0, 5.0, 2.0]), np.array([0.0, 1.0, 2.5])
    plots.det(genuine, impostors, tmp_path / "det.png")
    plots.histogram(genuine, impostors, POINT, tmp_path / "scores.png")
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert np.asarray(image).std() > 1


@pytest.mark.parametrize(
    "text", ["x,y\n1,2\n", "a,b,same\none,two,perhaps\n", "a,b,same\n,two,1\n", "", "a,b,same\n\x00,,\n"], ids=repr
)
def test_lists_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(text)
    with pytest.raises(PairsError):
        read_pairs(file)


def test_a_list_is_relative_to_itself(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("a,b,same,group\none.png,sub/two.png,1,north\none.png,three.png,no,\n")
    first, second = read_pairs(file)
    assert (first.a, first.b, first.same, first.group) == (
        tmp_path / "one.png",
        tmp_path / "sub" / "two.png",
        True,
        "north",
    )
    assert (second.same, second.group) == (False, "")


# --- with faces ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(networks: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two specimen persons: a chip's portrait, three frames and a clip each; and a picture without a face."""
    folder = tmp_path_factory.mktemp("faces")
    for name in ("woman_1", "man_2"):
        (folder / name).mkdir()
        (folder / name / "chip.jp2").write_bytes(chip_portrait(name))
        actor = Actor(portraits.faces()[name], 3)
        for index in range(3):
            (folder / name / f"frame_{index}.jpg").write_bytes(actor.frame(index * 400.0))
    Image.new("RGB", (300, 300), "grey").save(folder / "empty.png")
    (folder / "text.png").write_text("not a picture")
    return folder


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(build("face"), ["face", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_compare_as_typed(pictures: Path) -> None:
    chip, same, other = pictures / "woman_1" / "chip.jp2", pictures / "woman_1" / "frame_1.jpg", pictures / "man_2"
    code, said = run("compare", chip, same)
    assert (code, "the same person" in said) == (0, True)
    code, said = run("compare", chip, other, "--json")  # a folder of frames
    assert (code, json.loads(said)["outcome"]) == (1, "refuse")
    assert run("compare", chip, pictures / "empty.png")[0] == 3
    assert run("compare", pictures / "text.png", chip)[0] == 3
    assert run("compare", chip, pictures / "nothing.png")[0] == 3


def test_evaluate_as_typed(pictures: Path, tmp_path: Path) -> None:
    rows = ["a,b,same,group"]
    people = {name: sorted((pictures / name).iterdir()) for name in ("woman_1", "man_2")}
    for name, files in people.items():
        rows += [f"{files[0]},{file},1,{name}" for file in files[1:]]
        rows += [f"{files[0]},{file},0,{name}" for other in people if other != name for file in people[other]]
    rows.append(f"{pictures / 'empty.png'},{people['man_2'][0]},0,")
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(rows))
    code, said = run("evaluate", file, "--plots", tmp_path / "plots")
    found = json.loads(said)
    assert code == 0
    assert (found["n"], found["without_face"]) == ({"genuine": 6, "impostors": 8}, 1)
    assert (found["fmr"]["count"], found["fnmr"]["count"], found["eer"]) == (0, 0, 0.0)
    assert set(found["groups"]) == {"woman_1", "man_2"}
    assert {one.name for one in (tmp_path / "plots").iterdir()} == {"det.png", "scores.png"}
    assert run("evaluate", pictures / "text.png")[0] == 2
    assert run("evaluate", tmp_path / "none.csv")[0] == 3


def test_calibrate_as_typed_refuses_a_short_list(pictures: Path) -> None:
    assert run("calibrate", pictures)[0] == 1
    assert run("calibrate", pictures, "--fmr", "2")[0] == 2


def test_every_pair_of_a_folder(pictures: Path) -> None:
    pairs = pairs_of(pictures)
    assert (len(pairs), sum(pair.same for pair in pairs)) == (28, 12)


@pytest.fixture(scope="module")
def clip(networks: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A specimen person who smiles, turns to the left and closes the eyes, at ten frames a second."""
    folder = tmp_path_factory.mktemp("clip")
    actor = Actor(portraits.faces()["man_3"], 5)
    script: Mapping[int, Action | None] = {
        25: Action.SMILE, 50: None, 65: Action.TURN_LEFT, 90: None, 105: Action.BLINK, 130: None,
    }  # fmt: skip
    for index in range(160):
        if index in script:
            actor.perform(script[index], index * 100.0)
        (folder / f"{index:04}.jpg").write_bytes(actor.frame(index * 100.0))
    return folder


def test_liveness_as_typed(clip: Path, tmp_path: Path) -> None:
    code, said = run("liveness", clip, "--actions", "smile,left,blink", "--json")
    found = json.loads(said)
    assert (code, found["outcome"]) == (0, "accept")
    assert "same_person" not in found["scores"]
    chip = tmp_path / "chip.jp2"
    chip.write_bytes(chip_portrait("woman_2"))
    code, said = run("liveness", clip, "--actions", "smile,left,blink", "--portrait", chip, "--json")
    assert (code, json.loads(said)["reason"]) == (1, "face_not_same_person")
    code, said = run("liveness", clip, "--actions", "left,smile,blink", "--json")
    assert (code, json.loads(said)["reason"]) == (1, "face_not_live")
    for wrong in ("smile,dance", ""):
        assert run("liveness", clip, "--actions", wrong)[0] == 2


def test_a_video_is_read_at_its_own_pace(clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (640, 480))
    for frame in sorted(clip.iterdir()):
        for _ in range(2):
            video.write(cv2.imread(str(frame)))
    video.release()
    code, said = run("liveness", file, "--actions", "smile,left,blink", "--json")
    assert (code, json.loads(said)["outcome"]) == (0, "accept")
    assert run("liveness", tmp_path / "none.avi", "--actions", "smile")[0] == 3


def test_a_clip_gives_the_face_of_its_best_moments(networks: Models, clip: Path, tmp_path: Path) -> None:
    chip = tmp_path / "chip.jp2"
    chip.write_bytes(chip_portrait("man_3"))
    (tmp_path / "empty").mkdir()
    assert face_of(networks, clip).vectors.keys() == face_of(networks, chip).vectors.keys()
    with pytest.raises(NoFaceError):
        face_of(networks, tmp_path / "empty")


def test_good_moments_are_worth_more() -> None:
    good = Measure(0, 0, 0, 1, 0, 0, 0.3, 0.5, 120, 0.01, 200)
    for worse in (
        Measure(25, 0, 0, 1, 0, 0, 0.3, 0.5, 120, 0.01, 200),
        Measure(0, 0, 0, 1, 0, 0, 0.3, 0.1, 120, 0.01, 200),
        Measure(0, 0, 0, 1, 0, 0, 0.3, 0.5, 120, 0.4, 200),
        Measure(0, 0, 0, 1, 0, 0, 0.3, 0.5, 120, 0.01, 10),
    ):
        assert worth(worse) < worth(good)


def test_published_thresholds_are_of_the_networks_in_use() -> None:
    point = published().compare
    assert {matcher.name for matcher in point.matchers} == set(point.scales)
