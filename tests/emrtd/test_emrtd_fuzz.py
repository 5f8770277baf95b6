"""The fuzzing harness: its targets take their seeds and a handful of mutations, and a planted flaw is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLANTED = """
from fuzz import blind
from fuzz.targets import Target

def feed(data):
    if len(data) > 2 and data[2] == 0x80:
        raise IndexError("planted")

found = blind.run(Target("planted", "", lambda: (bytes(20),), feed), 30, 1, inputs_max=5000)
(data, told), = found.findings.values()
assert data[2] == 0x80 and "planted" in told, told
again = blind.run(Target("planted", "", lambda: (bytes(20),), feed), 30, 1, inputs_max=5000)
assert (found.inputs, found.findings) == (again.inputs, again.findings)
"""


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_target_for_a_moment() -> None:
    done = fuzz("-m", "fuzz", "--blind", "--seconds", "0.2", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 found") == 11


def test_a_planted_flaw_is_found_and_found_again() -> None:
    done = fuzz("-c", PLANTED)
    assert done.returncode == 0, done.stderr


def test_one_file_of_one_target(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x75\x80")
    assert fuzz("-m", "fuzz", "dg2", "--file", str(tmp_path / "input")).returncode == 0
    assert "no target" in fuzz("-m", "fuzz", "dg99").stderr
