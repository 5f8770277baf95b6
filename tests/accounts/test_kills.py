"""The serving process killed at random moments: nothing acknowledged is lost, nothing is half-made. `make soak` does it thousands of times."""

import subprocess
import sys
from pathlib import Path

KILLS, SEED = 120, 20261122


def test_a_killed_process_loses_nothing_that_was_acknowledged(database_url: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), database_url, str(KILLS), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    for outcome in (
        "enrol done",
        "activate done",
        "open code_wrong",
        "adopt done",
        "close done",
        "suspension_code done",
    ):
        assert outcome in done.stdout, done.stdout  # the moments are drawn, but all of life is met
