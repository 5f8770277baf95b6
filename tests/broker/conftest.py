"""A broker on a free port between a real small provider and a service's client."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from broker_peers import Clock, Provider, Serve, Service, free_port
from starlette.applications import Starlette

from alicem import broker
from alicem.broker.app import app as application
from alicem.demo.mailbox import MailBox
from alicem.settings import Database

# provider_world: Alicem itself, as a provider; browser_citizen: what a page must look like
sys.path += [str(Path(__file__).parents[1] / room) for room in ("provider", "browser")]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Runs applications on loopback until the test ends."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(application: Starlette, port: int) -> str:
        server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline and thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{port}"

    yield start
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join(10)


@pytest.fixture
def provider(serve: Serve) -> Provider:
    """An OpenID provider that answers as `provider.claims` and its flaws say."""
    port = free_port()
    made = Provider(f"http://127.0.0.1:{port}")
    serve(made.app(), port)
    return made


@pytest.fixture
def settings(tmp_path: Path, provider: Provider) -> broker.BrokerSettings:
    """A broker's folder: one provider, three services."""
    for folder in ("services", "providers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "provider.secret").write_text(provider.secret)
    (tmp_path / "providers/small.toml").write_text(
        f'title = "Petit fournisseur"\nissuer = "{provider.issuer}"\nclient_id = "{provider.client_id}"\n'
        f'secret_file = "../provider.secret"\nsignature = "{provider.algorithm}"\nlevels = ["eidas1", "eidas2"]\n'
    )
    (tmp_path / "providers/later.toml").write_text('title = "Un autre"\ncoming = true\n')
    for name, more in Service.FILES.items():
        (tmp_path / f"services/{name}.toml").write_text(Service.file(name) + more)
        (tmp_path / f"services/{name}.secret").write_text(Service.secret(name))
    (tmp_path / "rnipp.toml").write_text(RNIPP)
    return broker.BrokerSettings(
        origin=f"http://127.0.0.1:{free_port()}",
        database=Database(f"sqlite:///{tmp_path}/broker.db"),
        services=tmp_path / "services",
        providers=tmp_path / "providers",
        key_file=tmp_path / "broker.pem",
        pseudonym_file=tmp_path / "pseudonyms.secret",
        encryption_file=tmp_path / "encryption.json",
        rnipp=tmp_path / "rnipp.toml",
    )


@pytest.fixture
def origin(serve: Serve, settings: broker.BrokerSettings) -> str:
    """The broker, running."""
    return serve(application(settings), int(settings.origin.rsplit(":", 1)[1]))


@pytest.fixture
def clock(provider: Provider) -> Clock:
    """The broker's and the provider's."""
    made = Clock()
    provider.clock = lambda: made().timestamp()
    return made


@pytest.fixture
def box(serve: Serve) -> tuple[MailBox, int]:
    """A mail box and its port."""
    made, port = MailBox(), free_port()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        server = await made.listen(f"127.0.0.1:{port}")
        yield
        server.close()

    serve(Starlette(lifespan=lifespan), free_port())
    return made, port


@pytest.fixture
def timed(serve: Serve, settings: broker.BrokerSettings, clock: Clock) -> str:
    """The broker, running on the clock."""
    return serve(application(settings, clock), int(settings.origin.rsplit(":", 1)[1]))


RNIPP = """
unlisted = "found"

[[person]]
family_name = "Oubliée"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "not_found"

[[person]]
family_name = "Défunt"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "deceased"

[[person]]
family_name = "Rectifiee"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "rectified"
to = { family_name = "RECTIFIÉE" }

[[person]]
family_name = "Martin"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "several"

[[person]]
family_name = "Épouse"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "marital_name"

[[person]]
family_name = "Lente"
given_name = "Agnès"
birthdate = "1962-08-24"
outcome = "time_out"
"""
