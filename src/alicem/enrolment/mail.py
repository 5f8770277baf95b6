"""The letter with the six digits of step 2: sent from memory, never queued, never logged."""

from __future__ import annotations

import asyncio
import re
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib
import idna
import structlog

from alicem.reasons import Refused
from alicem.settings import Mail, secret

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
