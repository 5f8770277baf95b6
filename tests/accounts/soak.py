"""`make soak`: the killing of `tests/accounts/killing.py` by the thousand, on SQLite and on PostgreSQL, each seed with a database of its own.

python tests/accounts/soak.py KILLS
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import postgres
from alicem.store import Store, upgrade

A_SEED = 250


def databases(stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Kind and address of new databases, in turns."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    try:
        cluster: postgres.Cluster | None = stack.enter_context(postgres.running())
    except postgres.PostgresMissing as missing:
        print(missing, file=sys.stderr)
        cluster = None
    number = 0
    while True:
        number += 1
        yield "sqlite", f"sqlite:///{folder}/{number}.db"
        if cluster is not None:
            yield "postgresql", cluster.url(cluster.create())
            yield "crash", "crash"


def main() -> int:
    kills, done, began = int(sys.argv[1]), 0, time.monotonic()
    with ExitStack() as stack:
        for seed, (kind, url) in enumerate(databases(stack), int(time.time())):
            if done >= kills:
                return 0
            if kind != "crash":
                store = Store(url)
                upgrade(store.engine)
                store.close()
            command = [sys.executable, str(Path(__file__).with_name("killing.py")), url, str(A_SEED), str(seed)]
            if subprocess.run(command, check=False).returncode != 0:
                print(f"{kind}: broken after {done} kills", file=sys.stderr)
                return 1
            done += A_SEED
            print(f"{done} of {kills} kills, {time.monotonic() - began:.0f} s, {kind}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
