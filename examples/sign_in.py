"""Stand for a person at a browser: open a client's address, approve on the phone in Python, say where the browser ended.

    python examples/sign_in.py http://127.0.0.1:3000/sign-in --state phone --code-file code

With `--chip zoe` her document is laid where the level asks for it. With a phone that `alicem phone enrol` made. The browser has no JavaScript; it follows redirects and keeps cookies.
"""

import argparse
import asyncio
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from alicem.demo.person import Chip
from alicem.demo.visitor import Browser, VisitFailed, approved
from alicem.phone.approve import LayDocument, approve, fetch
from alicem.phone.instruct import Device
from alicem.phone.state import PhoneHasForgotten, Storage
from alicem.reasons import Refused


async def sign_in(address: str, state: Path, code: str, lay_document: LayDocument | None = None) -> tuple[str, str]:
    """The last address and the page there. Raises `VisitFailed`, `Refused`, `PhoneHasForgotten`."""
    storage = Storage(state)
    phone = storage.load()
    async with httpx.AsyncClient(base_url=phone.origin, timeout=20, trust_env=False) as http, Browser() as browser:
        device = Device(storage, http, lambda: datetime.now(UTC), secrets.token_bytes, phone)

        async def on_the_phone(link: str, number: str) -> None:
            await approve(device, await fetch(device, link), number, code, lay_document)

        page = await approved(browser, await browser.open(address), on_the_phone)
        return page.url, page.text


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="of the client, where a sign-in begins")
    parser.add_argument("--state", type=Path, required=True, help="folder of the phone")
    parser.add_argument("--code-file", type=Path, required=True, help="file with the six digits")
    parser.add_argument("--chip", help="the persona whose document is laid, for eidas3")
    parser.add_argument("--stage", default="http://127.0.0.1:8003", help="where the demonstration has chips")
    given = parser.parse_args()
    lay_document = (lambda: Chip(given.stage, given.chip, "").transmit) if given.chip else None
    try:
        code = given.code_file.read_text().strip()
        last, page = asyncio.run(sign_in(given.address, given.state, code, lay_document))
    except (VisitFailed, Refused, PhoneHasForgotten, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(last)
    print(page)
