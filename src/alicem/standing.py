"""How the provider's parts stand, looked at from outside each: what readiness asks, and what is counted at each collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from alicem import journal
from alicem.enrolment.endpoints import Sessions
from alicem.enrolment.pool import Pool
from alicem.enrolment.registry_client import RegistryClient
from alicem.keys import KeyRing, KeysError
from alicem.keys.purposes import SECRETS, SIGNING
from alicem.store import Store
from alicem.watch.readiness import Look

SEAL_SECONDS = 10
"""A row of the journal that no seal covers after so long is late: sealing is each second's."""


@dataclass(frozen=True)
class Standing:
    """`schema`: the version this program brought the database to."""

    store: Store
    ring: KeyRing
    registry: RegistryClient
    pool: Pool
    sessions: Sessions
    clock: Callable[[], datetime]
    schema: str

    def checks(self) -> Mapping[str, Look]:
        """Each true where all is well."""
        return {
            "accepting": self._accepting,
            "database": self._database,
            "keys": self._keys,
            "session_processes": self._session_processes,
            "journal": self._journal,
            "registry": self._registry,
        }

    async def gauges(self) -> dict[str, float | Mapping[str, float]]:
        """Of `alicem.watch.metrics.GAUGES`, but for the checks."""
        waiting = await self.store.read(lambda c: journal.window(c, self.clock()))
        return {
            "alicem_session_places": self.pool.size,
            "alicem_session_busy": self.pool.busy,
            "alicem_session_waiting": self.pool.waiting,
            "alicem_enrolments_open": self.sessions.under_way,
            "alicem_journal_unsealed_rows": waiting.rows,
            "alicem_journal_unsealed_seconds": waiting.seconds,
            "alicem_key_use_by_seconds": self._ends(),
            "alicem_writes_waiting": self.store.waiting,
        }

    def _ends(self) -> dict[str, float]:
        """Seconds until the last day of each key in use that has one."""
        now, keys = self.clock(), self.ring.held()
        ends: dict[str, float] = {}
        for key in (*keys.signing_keys, *keys.secret_keys):
            begun = key.retired is None and key.used_from is not None and key.used_from <= now
            if begun and key.use_by is not None:
                left = (key.use_by - now).total_seconds()
                ends[key.purpose] = max(left, ends.get(key.purpose, left))
        return ends

    async def _accepting(self) -> bool:
        return not self.sessions.draining

    async def _database(self) -> bool:
        """One statement that writes, and finds the schema this program knows."""
        return await self.store.write(lambda c: touch(c, self.schema))

    async def _keys(self) -> bool:
        now = self.clock()
        try:
            for purpose in SIGNING:
                if purpose != "authority":  # the operator's may lie elsewhere
                    self.ring.signing(purpose, now)
            for purpose in SECRETS:
                self.ring.secret(purpose, now)
        except KeysError:
            return False
        return True

    async def _session_processes(self) -> bool:
        return self.pool.starts

    async def _journal(self) -> bool:
        waiting = await self.store.read(lambda c: journal.window(c, self.clock()))
        return waiting.seconds <= SEAL_SECONDS

    async def _registry(self) -> bool:
        return self.registry.reachable


def schema_of(connection: Connection) -> str:
    """The version of the database's schema; empty for none."""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def touch(connection: Connection, schema: str) -> bool:
    """Write the schema's version over itself; whether it is this one."""
    statement = text("UPDATE alembic_version SET version_num = version_num WHERE version_num = :schema")
    return connection.execute(statement, {"schema": schema}).rowcount == 1
