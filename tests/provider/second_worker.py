"""Another process that serves a world of the tests: `second_worker.py FOLDER DATABASE ORIGIN`. Prints its port."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from provider_world import Clock, make_app, make_settings

from alicem import keys
from alicem.store import Store
from alicem.web.http import BoundedHttp
from alicem.web.server import listening_at

MASTER = b"m" * 32


def main(folder: Path, database: str, origin: str) -> None:
    settings = make_settings(folder, database, origin, None, {"sign_ins_per_minute_and_address": 10**6})
    app = make_app(settings, Store(database), keys.open_ring(folder / "ring", MASTER), Clock())
    (listener,) = listening_at("127.0.0.1:0")
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, http=BoundedHttp, log_level="warning", lifespan="off")).run([listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
