"""An operator's own networks: described in a file, held against their hash, used in place of ours or beside them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from acting import TURN_FIRST, act, chip_portrait
from onnx import TensorProto, helper
from typer.testing import CliRunner

from alicem.cli import build
from alicem.face import Configuration, ConfigurationError, LiveCheck, Outcome, read_configuration
from alicem.face.compare import portrait_template, score
from alicem.face.decide import Reason
from alicem.face.matchers import BUILT_IN
from alicem.face.models import Models, ModelsMissingError

SIZE = 16


def network(folder: Path, name: str, weights: np.ndarray) -> str:
    """A file that answers the picture of SIZE × SIZE × 3 times `weights`; its SHA-256."""
    node = [
        helper.make_node("Flatten", ["picture"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["answer"]),
    ]
    graph = helper.make_graph(
        node, "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, SIZE * 2, SIZE * 2, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, weights.shape[1]])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.astype(np.float32).tobytes(), raw=True)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    data: bytes = model.SerializeToString()
    (folder / name).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


PIXELS = SIZE * 2 * SIZE * 2 * 3
MATCHER = """
[[matcher]]
name = "tiny"
path = "tiny.onnx"
sha256 = "{sha256}"
licence = "CC0-1.0"
size = 32
alignment = "arcface"
mean = 127.5
std = 128
"""
COMPARE = """
[compare]
accept = {accept}
refuse = {refuse}
provenance = "a test"
[compare.tiny]
mean = 0.0
deviation = 1.0
"""
DETECTOR = """
[[detector]]
name = "sight"
path = "sight.onnx"
sha256 = "{sha256}"
licence = "CC0-1.0"
size = 32
margin = 2.0
layout = "nhwc"
attack = 1
threshold = 0.5
"""


@pytest.fixture
def matcher(tmp_path: Path) -> str:
    """The digest of a network that projects at random: faces of one person stay alike, roughly."""
    return network(tmp_path, "tiny.onnx", np.random.default_rng(3).normal(size=(PIXELS, 64)))


def write(folder: Path, text: str) -> Path:
    file = folder / "networks.toml"
    file.write_text(text)
    return file


def test_without_a_file_ours_are_used() -> None:
    assert Configuration().thresholds.compare.matchers == BUILT_IN
    assert Configuration().networks == {}


@pytest.mark.parametrize("alignment", ["arcface", "dlib", "square"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_an_own_matcher_takes_the_place_of_ours(
    networks: Models, tmp_path: Path, matcher: str, alignment: str, metric: str
) -> None:
    text = MATCHER.format(sha256=matcher).replace("arcface", alignment) + f'metric = "{metric}"\n'
    chosen = read_configuration(write(tmp_path, text + COMPARE.format(accept=0.9, refuse=0.5)))
    loaded, point = chosen.add_to(networks), chosen.thresholds.compare
    assert [one.name for one in point.matchers] == ["tiny"]
    faces = {name: portrait_template(loaded, chip_portrait(name), point.matchers) for name in ("man_2", "woman_1")}
    own = score(faces["man_2"], faces["man_2"], point)
    assert own == pytest.approx(1.0 if metric == "cosine" else 0.0, abs=1e-5)
    assert score(faces["man_2"], faces["woman_1"], point) < own


def test_the_live_check_runs_with_an_own_matcher(networks: Models, tmp_path: Path, matcher: str) -> None:
    text = MATCHER.format(sha256=matcher)
    for accept, outcome in ((-1.0, Outcome.REFUSE), (2.0, Outcome.REFUSE)):
        file = write(tmp_path, text + COMPARE.format(accept=accept, refuse=accept))
        chosen = read_configuration(file)
        verdict = act(LiveCheck(chosen.add_to(networks), chip_portrait("man_2"), TURN_FIRST, chosen), "man_2").verdict
        assert verdict.outcome is outcome  # of this network one_person is far under the limit of ours
        assert -1 <= verdict.scores["same_person"] <= 1


@pytest.mark.parametrize(("answer", "outcome"), [(-5.0, Outcome.ACCEPT), (5.0, Outcome.REFUSE)])
def test_an_attack_detector_is_one_more_layer(
    networks: Models, tmp_path: Path, answer: float, outcome: Outcome
) -> None:
    weights = np.zeros((PIXELS, 2))
    weights[:, 1] = answer / PIXELS / 100  # of pictures of some brightness: far on one side or the other
    chosen = read_configuration(write(tmp_path, DETECTOR.format(sha256=network(tmp_path, "sight.onnx", weights))))
    verdict = act(LiveCheck(chosen.add_to(networks), chip_portrait("man_2"), TURN_FIRST, chosen), "man_2").verdict
    assert verdict.outcome is outcome
    assert (verdict.scores["attack_sight"] > 0.5) is (outcome is Outcome.REFUSE)
    if outcome is Outcome.REFUSE:
        assert verdict.reason is Reason.ATTACK


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("size = 32", "size = 8"), "size"), (("size = 32", ""), "size is missing"),
        (('licence = "CC0-1.0"', ""), "licence is missing"), (('alignment = "arcface"', 'alignment = "eyes"'), "alignment"),
        (("std = 128", "std = 0"), "std"), (("std = 128", "std = [1, 2]"), "std"), (("std = 128", 'colour = "x"'), "colour"),
        (("[compare]", "[other]"), "other"), (("accept = 0.9", ""), "accept"), (("refuse = 0.5", "refuse = 1.5"), "refuse"),
        (("[compare.tiny]", "[compare.dlib]"), "tiny"), (("deviation = 1.0", ""), "deviation"),
        (('provenance = "a test"', ""), "provenance"), (('name = "tiny"', "name = "), "TOML"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)  # fmt: skip
def test_every_flaw_is_named(tmp_path: Path, matcher: str, change: tuple[str, str], said: str) -> None:
    text = MATCHER.format(sha256=matcher) + COMPARE.format(accept=0.9, refuse=0.5)
    assert change[0] in text
    with pytest.raises(ConfigurationError, match=said):
        read_configuration(write(tmp_path, text.replace(*change)))


@pytest.mark.parametrize("missing", ["margin", "attack", "threshold", "path", "sha256"])
def test_a_detector_has_no_defaults_for_what_decides(tmp_path: Path, missing: str) -> None:
    text = "\n".join(line for line in DETECTOR.splitlines() if not line.startswith(missing))
    with pytest.raises(ConfigurationError, match=f"{missing} is missing"):
        read_configuration(write(tmp_path, text))


def test_another_file_than_the_one_meant_is_refused(networks: Models, tmp_path: Path, matcher: str) -> None:
    text = MATCHER.format(sha256=matcher) + COMPARE.format(accept=0.9, refuse=0.5)
    chosen = read_configuration(write(tmp_path, text))
    (tmp_path / "tiny.onnx").write_bytes((tmp_path / "tiny.onnx").read_bytes() + b"x")
    with pytest.raises(ModelsMissingError, match="the file differs"):
        chosen.add_to(networks)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(ModelsMissingError, match="cannot be read"):
        chosen.add_to(networks)


def test_a_file_that_is_no_network(networks: Models, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"no network")
    sha256 = hashlib.sha256(b"no network").hexdigest()
    chosen = read_configuration(write(tmp_path, MATCHER.format(sha256=sha256) + COMPARE.format(accept=1, refuse=0)))
    with pytest.raises(ModelsMissingError, match="no ONNX network"):
        chosen.add_to(networks)


def test_the_commands_take_the_file(networks: Models, tmp_path: Path, matcher: str) -> None:
    file = write(tmp_path, MATCHER.format(sha256=matcher) + COMPARE.format(accept=0.9, refuse=0.5))
    chip = tmp_path / "chip.jp2"
    chip.write_bytes(chip_portrait("man_2"))
    done = CliRunner().invoke(
        build("face"), ["face", "compare", str(chip), str(chip), "--networks", str(file), "--json"]
    )
    assert (done.exit_code, json.loads(done.stdout)["accept"]) == (0, 0.9)
    done = CliRunner().invoke(build("face"), ["face", "models", "list", "--networks", str(file)])
    names = [row["name"] for row in json.loads(done.stdout)]
    assert "tiny" in names
    assert "faceres" not in names
    (tmp_path / "networks.toml").write_text("[[matcher]]\n")
    done = CliRunner().invoke(build("face"), ["face", "compare", str(chip), str(chip), "--networks", str(file)])
    assert done.exit_code == 2


def test_the_tiny_network_is_what_it_says(tmp_path: Path, matcher: str) -> None:
    onnx.checker.check_model(onnx.load_from_string((tmp_path / "tiny.onnx").read_bytes()))
