"""The letter with the six digits of step 2: sent from memory, never queued, never logged."""

from __future__ import annotations

import asyncio
import re
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib
import structlog

from alicem.reasons import Refused
from alicem.settings import Mail, secret

_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_ATTEMPTS = 2
_log = structlog.get_logger("alicem.enrolment")

_TEXTS = {
    "fr": (
        "Votre code Alicem",
        "Votre code est {code}.\n\nTapez-le sur votre téléphone dans les dix minutes.\n"
        "Si vous n’avez rien demandé, ignorez cette lettre : personne ne peut rien faire sans ce code.\n",
    ),
    "en": (
        "Your Alicem code",
        "Your code is {code}.\n\nType it on your phone within ten minutes.\n"
        "If you did not ask for it, ignore this letter: nobody can do anything without this code.\n",
    ),
}


def valid_address(text: object) -> str:
    """An e-mail address of at most 254 characters (RFC 5321 §4.5.3.1.3). Raises `Refused`."""
    if not isinstance(text, str) or len(text) > 254 or not _ADDRESS.fullmatch(text):
        raise Refused("email_invalid")
    return text


async def send_code(settings: Mail, address: str, code: str, language: str) -> None:
    """Send the letter. Raises `Refused` (`mail_unavailable`)."""
    subject, text = _TEXTS[language]
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.sender, address, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text.format(code=code))
    began = time.monotonic()
    sent = await _sent(settings, message)
    outcome, seconds = "sent" if sent else "failed", round(time.monotonic() - began, 3)
    _log.info("letter", outcome=outcome, seconds=seconds)
    if not sent:
        raise Refused("mail_unavailable")


async def _sent(settings: Mail, message: EmailMessage) -> bool:
    for attempt in range(_ATTEMPTS):
        try:
            await _send(settings, message)
        except (aiosmtplib.SMTPException, OSError):
            await asyncio.sleep(attempt + 0.5)
        else:
            return True
    return False


async def _send(settings: Mail, message: EmailMessage) -> None:
    password = secret(settings.password_file, "ALICEM_MAIL_PASSWORD") if settings.username else None
    await aiosmtplib.send(
        message,
        hostname=settings.host,
        port=settings.port,
        username=settings.username,
        password=password,
        use_tls=settings.tls == "tls",
        start_tls=settings.tls == "starttls",
        timeout=10,
    )
