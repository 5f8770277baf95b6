"""The zygote of enrolments: loads the networks once, and is forked for each session, so that session processes share what it loaded."""

from __future__ import annotations

import sys
from pathlib import Path

from alicem.enrolment import forking, process
from alicem.enrolment.warming import warm


def main() -> None:
    """Arguments: the trust folder, the file of the operator's face networks."""
    prepared, trust_folder = warm(*map(Path, sys.argv[2:])), Path(sys.argv[1])
    forking.breed(lambda link: process.live(link, prepared, trust_folder))


if __name__ == "__main__":
    main()
