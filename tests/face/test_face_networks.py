"""The networks together, on the source portraits and, where it is present, on the ORL set."""

import io
from itertools import combinations

import cv2
import numpy as np
import pytest
from acting import DATA, chip_portrait
from PIL import Image

from alicem.demo import portraits
from alicem.demo.portraits.shapes import picture_of
from alicem.face.attacks import relief
from alicem.face.compare import PortraitError, portrait_template, score
from alicem.face.detect import boxes, precise_mesh
from alicem.face.embed import Template, template
from alicem.face.evaluation.pairs import compare_clips
from alicem.face.evaluation.rates import interval, rates
from alicem.face.images import Picture
from alicem.face.look import Look
from alicem.face.measure import Measure, measure
from alicem.face.models import Models
from alicem.face.thresholds import published


def looked_at(networks: Models, picture: Picture) -> tuple[Measure, Template]:
    found = precise_mesh(networks, picture, boxes(networks, picture)[0])
    return measure(networks, picture, found), template(networks, picture, found)


def test_one_face_in_each_source_portrait(networks: Models) -> None:
    for name in "abcd":
        assert len(boxes(networks, picture_of(name))) == 1


def test_two_official_portraits_of_one_man_and_none_of_another(networks: Models) -> None:
    """dlib's own rule for its network: one person under a distance of 0.6, and far over it for others."""
    vectors = {name: looked_at(networks, picture_of(name))[1] for name in "abcd"}
    point = published().compare
    assert score(vectors["c"], vectors["d"], point) > point.accept
    for one, other in combinations("abc", 2):
        assert score(vectors[one], vectors[other], point) < 1.5


def test_a_mirrored_picture_is_measured_mirrored(networks: Models) -> None:
    picture = picture_of("d")
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    (one, before), (other, after) = looked_at(networks, picture), looked_at(networks, mirrored)
    assert one.yaw == pytest.approx(-other.yaw, abs=2)
    assert one.roll == pytest.approx(-other.roll, abs=2)
    assert one.opening == pytest.approx(other.opening, abs=0.04)
    assert one.mouth_width == pytest.approx(other.mouth_width, abs=0.04)
    assert score(before, after, published().compare) > 5


def test_a_smile_is_wider_than_rest(networks: Models) -> None:
    smiling, at_rest = (looked_at(networks, picture_of(name))[0] for name in "cd")
    assert smiling.mouth_width > at_rest.mouth_width * 1.15
    assert smiling.mouth_lift > at_rest.mouth_lift + 0.03


def test_specimen_persons_are_nobody_and_not_each_other(networks: Models) -> None:
    """Under the score that refuses: against each other, and against the people of the sources."""
    point = published().compare
    people = {name: portrait_template(networks, chip_portrait(name)) for name in portraits.faces()}
    real = [looked_at(networks, picture_of(name))[1] for name in "abcd"]
    assert len(people) >= 8
    for one, other in combinations(people.values(), 2):
        assert score(one, other, point) < point.refuse - 0.3
    for one in people.values():
        assert max(score(one, source, point) for source in real) < point.refuse - 0.3


@pytest.mark.parametrize("name", list(portraits.faces()))
def test_chip_portraits_fit_a_chip(networks: Models, name: str) -> None:
    data = chip_portrait(name)
    assert data[4:8] == b"jP  "
    assert len(data) <= 18_000


def test_a_portrait_of_nobody(networks: Models) -> None:
    data = io.BytesIO()
    Image.new("RGB", (240, 320), (200, 200, 200)).save(data, "JPEG")
    with pytest.raises(PortraitError, match="0 faces"):
        portrait_template(networks, data.getvalue())


@pytest.mark.skipif(not (DATA / "faces" / "orl").exists(), reason="the ORL set is not beside the project")
def test_a_sample_of_orl(networks: Models, tmp_path_factory: pytest.TempPathFactory) -> None:
    sample = tmp_path_factory.mktemp("orl")
    for person in range(1, 9):
        (sample / f"s{person}").mkdir()
        for picture in (1, 4, 7, 10):
            source = DATA / "faces" / "orl" / f"s{person}" / f"{picture}.pgm"
            (sample / f"s{person}" / source.name).symlink_to(source)
    point = published().compare
    compared = compare_clips(networks, sample, 3, point, lambda fraction: None)
    found = rates(compared.genuine, compared.impostors, point)
    assert (compared.without_face, compared.files, found.genuine) == (0, 32, 32)
    assert found.fmr.count == 0
    assert found.genuine_refused.count == 0
    assert found.fnmr.count <= 1


def test_intervals_are_clopper_and_pearsons() -> None:
    rate = interval(0, 300)
    assert (rate.low, round(rate.high, 4)) == (0.0, 0.0122)  # 1 − 0.025^(1/300)
    rate = interval(5, 50)
    assert (round(rate.low, 4), round(rate.high, 4)) == (0.0333, 0.2181)
    assert interval(50, 50).low == pytest.approx(1 - interval(0, 50).high)


def seen(networks: Models, picture: np.ndarray) -> Look:
    sharp = np.clip(picture, 0, 255).astype(np.uint8)
    found = precise_mesh(networks, sharp, boxes(networks, sharp)[0])
    return Look(0.0, sharp, found, measure(networks, sharp, found), None)


def sheet(picture: np.ndarray, degrees: float) -> np.ndarray:
    """The picture on paper, turned about its middle."""
    angle = np.radians(degrees)
    corners = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float32)
    x, y = corners[:, 0] - 320, corners[:, 1] - 240
    nearer = 800 / (800 + x * np.sin(angle))
    turned = np.stack([x * np.cos(angle) * nearer + 320, y * nearer + 240], axis=1).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, turned)
    return cv2.warpPerspective(picture, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("name", ["woman_2", "man_3", "man_7"])
def test_a_sheet_is_flat_and_a_head_is_not(networks: Models, name: str) -> None:
    person, camera = portraits.person(portraits.faces()[name]), portraits.Camera()
    straight = portraits.render(person, portraits.Pose(), camera)
    before, limit = seen(networks, straight), published().attacks["relief"]
    for degrees in (10, 20, 30):
        found = relief(before, seen(networks, sheet(straight, degrees)))
        assert found is not None
        assert found < limit / 2
    for degrees in (-20, 20):
        found = relief(before, seen(networks, portraits.render(person, portraits.Pose(yaw=degrees), camera)))
        assert found is not None
        assert found > limit * 2
