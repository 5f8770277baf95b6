"""The State's letters to holders: their words, and handing them to the carrier until it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import structlog

from alicem.registry import records
from alicem.store import Store

_PARIS = ZoneInfo("Europe/Paris")
_AGAIN = 2.0  # seconds between tries while the carrier does not answer
_MOST = 50  # letters handed over in one round

log = structlog.get_logger("registry")

# The State writes in French; English follows for holders of residence permits.
WORDS = {
    "enrolled": (
        "Une identité numérique a été créée avec votre titre",
        "Bonjour,\n\nLe {day} à {hour} (heure de Paris), une identité numérique Alicem a été créée avec votre titre (passeport ou titre "
        "de séjour).\n\nSi c’est vous, vous n’avez rien à faire.\nSi ce n’est pas vous, suspendez-la tout de suite : déclarez la perte ou le vol de "
        "votre titre, ou présentez-vous au guichet.\n\n—\n\nOn {day} at {hour} (Paris time) an Alicem digital identity was made with your document. "
        "If it was you, there is nothing to do. If it was not, have it suspended now: report your document lost or stolen, or come to the office.",
    ),
}


def compose(row: Any) -> dict[str, str]:
    """The letter of a row of `records.owed_letters`, as the carrier takes it."""
    subject, text = WORDS[row.notice]
    at = datetime.fromtimestamp(row.at, UTC)
    local = at.astimezone(_PARIS)
    name = f"{row.given_names} {row.usage_name or row.family_name}".strip()
    return {
        "kind": "paper",
        "to": name,
        "address": row.address,
        "subject": subject,
        "text": text.format(day=f"{local:%d/%m/%Y}", hour=f"{local:%H:%M}"),
        "at": at.isoformat(),
    }


async def carry_forever(store: Store, carrier: str, owed: asyncio.Event, clock: Callable[[], datetime]) -> None:
    """Hand every owed letter to `carrier`; sleeps until `owed` is set, tries again while the carrier does not answer."""
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while True:
            owed.clear()
            if await _carry(store, client, carrier, clock):
                await owed.wait()
            else:
                await asyncio.sleep(_AGAIN)


async def _carry(store: Store, client: httpx.AsyncClient, carrier: str, clock: Callable[[], datetime]) -> bool:
    """One round; False when letters are left."""
    rows = await store.read(lambda connection: records.owed_letters(connection, _MOST))
    for row in rows:
        try:
            (await client.post(carrier, json=compose(row))).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the carrier did not take a letter", error=type(error).__name__)
            return False
        await store.write(lambda connection, reference=row.reference: records.carried(connection, reference, clock()))  # type: ignore[misc]
    return len(rows) < _MOST
