"""One letter, sent once (RFC 5321) as the settings say. Nothing of it is kept or logged; who calls decides what is tried again."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib

from alicem.settings import Mail, secret

SECONDS = 10


async def send(settings: Mail, *, to: str, subject: str, text: str) -> None:
    """Raises `aiosmtplib.SMTPException`, `OSError`; `ValueError` for an address or subject that no letter has."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.sender, to, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text)
    password = secret(settings.password_file, "ALICEM_MAIL_PASSWORD") if settings.username else None
    await aiosmtplib.send(
        message,
        hostname=settings.host,
        port=settings.port,
        username=settings.username,
        password=password,
        use_tls=settings.tls == "tls",
        start_tls=settings.tls == "starttls",
        timeout=SECONDS,
    )
