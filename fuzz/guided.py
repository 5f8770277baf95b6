"""Mutation guided by coverage: one process that atheris (libFuzzer) drives to its end. `python -m fuzz.guided TARGET ...`

libFuzzer's own options follow the target; the folder before them receives what was found interesting.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=["emrtd", "asn1crypto", "alicem.jose", "alicem.provider"], enable_loader_override=False
):
    from fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
