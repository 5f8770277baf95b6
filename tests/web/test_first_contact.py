"""The commands a phone knows by heart are the same in the chip library, in the page and in the protocol."""

import re
from pathlib import Path

from emrtd.contact import FIRST_CONTACT

ROOT = Path(__file__).parents[2]
OURS = [(one.apdu.hex().upper(), [f"{status:04X}" for status in one.allowed]) for one in FIRST_CONTACT.commands]


def test_the_page_runs_the_same_commands() -> None:
    script = (ROOT / "src/alicem/web/static/relay.js").read_text("utf-8")
    names = dict(re.findall(r"const (\w+) = (\[[\"0-9A-F, ]+\]);", script))
    found = [
        (apdu, re.findall(r"[0-9A-F]{4}", names.get(allowed, allowed)))
        for apdu, allowed in re.findall(r'apdu: unhex\("([0-9A-F]+)"\), allowed: ([^}]+?) \}', script)
    ]
    assert found == OURS


def test_the_protocol_lists_the_same_commands() -> None:
    page = (ROOT / "docs/protocols/enrolment.md").read_text("utf-8")
    section = page[page.index("### First contact") :]
    found = re.findall(r"^\| `([0-9A-F]+)`[^|]*\| `([0-9A-F ]+)` \|$", section, re.MULTILINE)
    assert [(apdu, statuses.split()) for apdu, statuses in found] == OURS
