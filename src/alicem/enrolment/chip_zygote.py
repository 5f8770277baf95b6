"""The zygote of sign-ins: what reads a chip and nothing of faces, loaded once and forked for each sign-in that asks the document again."""

from __future__ import annotations

import sys
from pathlib import Path

from alicem.enrolment import chip_process, chip_warming, forking


def main() -> None:
    """Argument: the trust folder."""
    chip_warming.warm()
    trust_folder = Path(sys.argv[1])
    forking.breed(lambda link: chip_process.live(link, trust_folder))


if __name__ == "__main__":
    main()
