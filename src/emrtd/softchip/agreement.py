"""The chip's side of chip authentication (ICAO 9303-11 6.2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import pace, tlv
from emrtd.apdu import CommandApdu
from emrtd.channel import Session
from emrtd.errors import Malformed
from emrtd.key_agreement import load_public
from emrtd.lds.security_infos import CHIP_AUTHENTICATION
from emrtd.softchip.document import ChipSecret
from emrtd.suites import SUITES, TRIPLE_DES, Suite

KEY_AGREEMENT_TEMPLATE, AUTHENTICATION_TEMPLATE = (0x41, 0xA6), (0x41, 0xA4)


@dataclass(frozen=True)
class Chosen:
    """What MSE:Set AT chose for the GENERAL AUTHENTICATE that follows."""

    secret: ChipSecret = field(repr=False)
    suite: Suite

    def session(self, public: bytes) -> Session:
        """The new session. Raises ChannelBroken for a key that is no element of the group, Malformed."""
        group, _ = load_public(self.secret.public)
        shared = group.multiple(self.secret.private, public)
        return Session(pace.session_keys(self.suite, group.secret(shared)), 0)


def choose(secrets: Iterable[ChipSecret], command: CommandApdu) -> tuple[Chosen, bytes]:
    """The key and cipher of an MSE, and the terminal's public key where MSE:Set KAT carries it. Raises Malformed."""
    objects = {item.tag: item.value for item in tlv.parse(command.data)}
    wanted = int.from_bytes(objects[0x84], "big") if 0x84 in objects else None
    meant = [secret for secret in secrets if wanted is None or secret.key_id == wanted]
    if len(meant) != 1:
        raise Malformed("no such key, or several")
    if (command.p1, command.p2) == KEY_AGREEMENT_TEMPLATE:
        return Chosen(meant[0], TRIPLE_DES), objects.get(0x91, b"")
    return Chosen(meant[0], _suite(objects.get(0x80, b""))), b""


def _suite(mechanism: bytes) -> Suite:
    for kind in ("1", "2"):
        for cipher, suite in SUITES.items():
            if core.ObjectIdentifier(f"{CHIP_AUTHENTICATION}.{kind}.{cipher}").contents == mechanism:
                return suite
    raise Malformed("no such mechanism")
