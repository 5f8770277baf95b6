"""Letters to people: they wait sealed in the database and leave by SMTP, in a day or never.

The key is not in the database (`keys.derived`); no address and no word of a letter is in a log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import aiosmtplib
import structlog
from sqlalchemy import Connection

from alicem import smtp
from alicem.broker import kept
from alicem.broker.sealing import new_secret, seal, unseal
from alicem.settings import Mail
from alicem.store import Store

LIVES = 86_400
"""Seconds a letter waits at most."""
PAUSES = (60, 300, 1800, 7200, 21_600)
"""Seconds after each try that failed; after the last one it is given up."""
_AT_ONCE = 20
_UNDER_WAY = 120  # seconds before a letter whose sender vanished comes again

log = structlog.get_logger("broker")


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    text: str


class Post:
    """`settings` None: no letter is taken."""

    def __init__(self, settings: Mail | None, key: bytes, rng: Callable[[int], bytes]) -> None:
        self.settings, self._key, self._rng = settings, key.hex(), rng
        self.wake: Callable[[], object] = lambda: None
        """Called from the thread that writes, when a letter came."""

    def put(self, connection: Connection, letter: Letter, now: int) -> None:
        """Queue a letter in the transaction of what it tells."""
        if self.settings is not None:
            content = seal(self._key, "letter", asdict(letter), self._rng)
            kept.queue(connection, new_secret(self._rng), now, now + LIVES, content)
            self.wake()

    async def deliver(self, store: Store, now: int) -> None:
        """Try every letter that is due, once."""
        settings = self.settings
        if settings is None:
            return
        while due := await store.write(lambda connection: kept.due(connection, now, _AT_ONCE, now + _UNDER_WAY)):
            for id, tries, content in due:
                sent = await _sent(settings, Letter(**unseal(self._key, "letter", content)))
                log.info("letter", outcome="sent" if sent else "failed", tries=tries + 1)
                await store.write(_outcome(id, sent, tries, now))


def _outcome(id: str, sent: bool, tries: int, now: int) -> Callable[[Connection], None]:
    again = now + PAUSES[tries] if tries < len(PAUSES) else None

    def write(connection: Connection) -> None:
        if sent:
            kept.sent(connection, id)
        else:
            kept.failed(connection, id, tries + 1, again)

    return write


async def _sent(settings: Mail, letter: Letter) -> bool:
    try:
        await smtp.send(settings, to=letter.to, subject=letter.subject, text=letter.text)
    except (aiosmtplib.SMTPException, OSError, ValueError):
        return False
    return True
