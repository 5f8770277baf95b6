"""The letter with the six digits: sent over SMTP, tried twice, refused where nobody takes it."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from alicem.enrolment.mail import send_code
from alicem.reasons import Refused
from alicem.settings import Mail
from free_ports import free_ports


class Box:
    """A mail server's handler. `failing`: so many letters are turned away first."""

    def __init__(self, failing: int) -> None:
        self.failing, self.tried = failing, 0
        self.letters: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.tried += 1
        if self.tried <= self.failing:
            return "451 later"
        self.letters.append(bytes(envelope.content or b""))
        return "250 taken"


def send(port: int) -> None:
    settings = Mail(host="127.0.0.1", port=port, sender="ne-pas-repondre@alicem.example", tls="none")
    asyncio.run(send_code(settings, "zoe@courriel.example", "358206", "fr"))


def served(failing: int) -> tuple[Box, Controller]:
    box = Box(failing)
    return box, Controller(box, hostname="127.0.0.1", port=free_ports())


@pytest.mark.parametrize("failing", [0, 1])
def test_it_arrives_with_its_code_also_at_the_second_try(failing: int) -> None:
    box, server = served(failing)
    server.start()
    try:
        send(server.port)
    finally:
        server.stop()
    (letter,) = (message_from_bytes(one, policy=policy.default) for one in box.letters)
    assert (letter["To"], letter["Auto-Submitted"]) == ("zoe@courriel.example", "auto-generated")
    assert "358206" in letter.get_content() and letter["Subject"] == "Votre code Alicem"


def test_turned_away_twice_it_is_refused() -> None:
    box, server = served(2)
    server.start()
    try:
        with pytest.raises(Refused, match="mail_unavailable"):
            send(server.port)
    finally:
        server.stop()
    assert (box.tried, box.letters) == (2, [])
