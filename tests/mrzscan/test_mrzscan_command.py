"""`alicem mrz read` as typed: exit statuses, JSON, and what goes where."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from alicem.cli import build
from alicem.mrzscan.specimen import Document, document

SEED = 8_000_000


def typed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "alicem", "mrz", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def alicem(*words: str | Path) -> Result:
    """As typed, in this process: starting another takes longer than what it does."""
    return CliRunner().invoke(build("mrz"), ["mrz", *map(str, words)])


@pytest.fixture
def paper() -> Document:
    return document(SEED, "TD3")


@pytest.fixture
def picture(paper: Document, tmp_path: Path) -> Path:
    Image.fromarray(paper.picture).save(tmp_path / "page.png")
    return tmp_path / "page.png"


def test_the_lines_alone_go_to_standard_output(picture: Path, paper: Document) -> None:
    """So that a chip is opened with them: `alicem chip read --mrz-file`."""
    done = typed("read", picture)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n".join(paper.lines) + "\n", "")


def test_json(picture: Path, paper: Document, tmp_path: Path) -> None:
    Image.new("L", (400, 300), 255).save(tmp_path / "blank.jpg")
    done = alicem("read", tmp_path / "blank.jpg", picture, picture, "--json")
    tree = json.loads(done.stdout)
    assert done.exit_code == 0 and done.stderr == ""
    assert tree["read"] is True and tuple(tree["lines"]) == paper.lines and tree["kind"] == "TD3"
    assert tree["frames"] == 2 and tree["names_sure"] is True
    assert tree["number"] == paper.lines[1][:9].rstrip("<") and tree["birth_date"] == paper.lines[1][13:19]


def test_what_is_not_readable_has_a_reason(tmp_path: Path) -> None:
    Image.new("L", (400, 300), 255).save(tmp_path / "blank.jpg")
    (tmp_path / "text.txt").write_text("P<UTO")
    for name, reason in (("blank.jpg", "no_zone"), ("text.txt", "format")):
        done = alicem("read", tmp_path / name)
        assert done.exit_code == 1 and done.stdout == "" and done.stderr.startswith(f"{reason}: ")
        done = alicem("read", tmp_path / name, "--json")
        assert done.exit_code == 1 and json.loads(done.stdout) == {"read": False, "reason": reason, "frames": 1}


def test_usage(tmp_path: Path, picture: Path) -> None:
    assert alicem("read").exit_code == 2
    assert alicem("read", tmp_path / "none.jpg").exit_code == 2
    assert alicem("read", tmp_path).exit_code == 2
    assert alicem("read", *[picture] * 13).exit_code == 2
    assert "IMAGE" in alicem("read", "--help").stdout


def test_a_picture_by_way_of_the_shell_is_no_larger_in_memory_than_read(tmp_path: Path) -> None:
    """A file larger than any picture is refused, not decoded."""
    data = io.BytesIO()
    Image.new("L", (400, 300), 255).save(data, "PNG")
    (tmp_path / "large.png").write_bytes(data.getvalue() + bytes(17_000_000))
    done = alicem("read", tmp_path / "large.png", "--json")
    assert json.loads(done.stdout)["reason"] == "too_many_bytes"
