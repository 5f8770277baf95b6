"""The demonstration without Alicem: broker, sample services and the other provider with its own settings, in threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template

import pytest
import uvicorn
from starlette.applications import Starlette

from alicem.broker import BrokerSettings
from alicem.broker.app import app as broker_app
from alicem.demo import identifiant
from alicem.demo.services import app as services
from alicem.demo.town import CONFIG, SHARED_SECRETS, Town
from alicem.settings import read
from alicem.web.server import listening_at
from free_ports import free_ports


@contextmanager
def served(application: Starlette, address: str) -> Iterator[None]:
    """Until the end of the block, at this address of loopback."""
    listeners = listening_at(address.removeprefix("http://"))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, args=(list(listeners),), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(10)


@contextmanager
def small_town(folder: Path) -> Iterator[Town]:
    here = Town(folder, free_ports())
    for template in CONFIG.rglob("*.toml"):
        _write(folder / template.relative_to(CONFIG), Template(template.read_text()).substitute(here.addresses))
    for number, files in enumerate(SHARED_SECRETS):
        for file in files:
            _write(folder / file, f"{number:040}")
    broker = read(BrokerSettings, folder / "broker" / "broker.toml")
    sites = read(services.ServicesSettings, folder / "services" / "services.toml")
    other = read(identifiant.IdentifiantSettings, folder / "identifiant" / "identifiant.toml")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "broker")  # its database is named relative to it
        stack.enter_context(served(broker_app(broker), here.broker))
        stack.enter_context(served(services.app(sites), here.services))
        stack.enter_context(served(identifiant.app(other), here.identifiant))
        yield here


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
