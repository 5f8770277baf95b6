"""The letter with the six digits of step 2: sent from memory, never queued, never logged."""

from __future__ import annotations

import asyncio
import re
import time

import aiosmtplib
import idna
import structlog

from alicem import smtp
from alicem.reasons import Refused
from alicem.settings import Mail

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"(?=.{{1,64}}$){_ATOM}(?:\.{_ATOM})*", re.ASCII)  # RFC 5321 §4.1.2; a quoted one is nobody's
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{2,59})")
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
    """An e-mail address of at most 254 characters (RFC 5321 §4.5.3.1.3), the name of its host in ASCII (RFC 5891). Raises `Refused`.

    FranceConnect and every mail server take that form; letters of other scripts before the @ (RFC 6531) few of them do.
    """
    local, at, host = text.rpartition("@") if isinstance(text, str) and len(text) <= 254 else ("", "", "")
    try:
        host = idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise Refused("email_invalid") from error
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(host) or len(f"{local}@{host}") > 254:
        raise Refused("email_invalid")
    return f"{local}{at}{host}"


async def send_code(settings: Mail, address: str, code: str, language: str) -> None:
    """Send the letter. Raises `Refused` (`mail_unavailable`)."""
    subject, text = _TEXTS[language]
    began = time.monotonic()
    sent = await _sent(settings, address, subject, text.format(code=code))
    outcome, seconds = "sent" if sent else "failed", round(time.monotonic() - began, 3)
    _log.info("letter", outcome=outcome, seconds=seconds)
    if not sent:
        raise Refused("mail_unavailable")


async def _sent(settings: Mail, to: str, subject: str, text: str) -> bool:
    for attempt in range(_ATTEMPTS):
        try:
            await smtp.send(settings, to=to, subject=subject, text=text)
        except (aiosmtplib.SMTPException, OSError):
            await asyncio.sleep(attempt + 0.5)
        else:
            return True
    return False
