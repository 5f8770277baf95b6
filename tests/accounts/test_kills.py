"""The serving process killed at random moments: nothing acknowledged is lost, nothing is half-made. `make soak` does it thousands of times."""

import subprocess
import sys
from pathlib import Path

from killing import WHOLE_LIFE

import postgres

KILLS, CRASHES, SEED = 60, 4, 20261122


def survive(where: str, kills: int) -> str:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), where, str(kills), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_database_that_crashes_loses_nothing_that_was_acknowledged(cluster: postgres.Cluster) -> None:
    """On a PostgreSQL of the test's own; the shared one only says that there is one here."""
    assert "open done" in survive("crash", CRASHES)


def test_a_killed_process_loses_nothing_that_was_acknowledged(database_url: str) -> None:
    told = survive(database_url, KILLS)
    assert all(outcome in told for outcome in WHOLE_LIFE), told  # the moments are drawn, but all of life is met
