"""The session process of a sign-in: the one short-lived place that has the key of the chip in clear.

It opens the chip with what the phone's vault kept and sealed to it, reads the chip's own keys and what the State signed of them, and tells
the key by which the chip proved itself. Of the holder nothing is read.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.enrolment import chip_warming, life
from alicem.enrolment.document import read_over, reason_of
from alicem.enrolment.link import Interrupted, Link
from alicem.enrolment.seal import Seal
from alicem.jose import BadToken
from alicem.reasons import Refused
from emrtd import errors
from emrtd.authenticity import prove_chip
from emrtd.exchange import Traffic
from emrtd.files import DG14, DG15
from emrtd.keys import Access, Can, MrzKey
from emrtd.passive import passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document

FILES = (DG14, DG15)
"""Keys of the chip. The security object is read with them; data groups of the holder are not."""
WHOLE = 4_000
TRIES = 4
"""Documents that may be laid on the phone one after the other."""


def main() -> None:
    """Start afresh, serve one sign-in over standard input, end. Argument: the trust folder."""
    chip_warming.warm()
    live(0, Path(sys.argv[1]))


def live(descriptor: int, trust_folder: Path) -> None:
    life.live(descriptor, trust_folder, serve)


def serve(link: Link, trust: TrustStore) -> None:
    seal_key = _open(link)
    access = _access(link, seal_key)
    for left in reversed(range(TRIES)):
        try:
            link.tell("chip", chip_key=jose.b64(_proven_key(link, access, trust)))
            return
        except Refused as refusal:
            if not left or "retry" not in refusal.reason.next:
                raise
            reason = refusal.reason
            link.send("refused", reason=reason.name, next=list(reason.next), tries_left=left, final=False)


def _open(link: Link) -> dict[str, str]:
    """The public key of this process."""
    order = link.line()
    if order.get("do") != "open":
        raise BadToken("the session opens first")
    own = ec.generate_private_key(ec.SECP256R1())
    link.seal = Seal(own, jose.public_key(order["seal_key"]), order["session"])
    return jose.public_jwk(own.public_key())


def _access(link: Link, seal_key: dict[str, str]) -> Access:
    """What opens the chip. Raises `BadToken`."""
    while True:
        link.send("step", step=4, name="access", seal_key=seal_key)
        try:
            _, plain = link.wait_for("access_key")
        except Interrupted:
            continue
        return read_access(plain)


def read_access(plain: bytes) -> Access:
    """The content of `access_key`: what the vault has under that name. Raises `BadToken`."""
    try:
        given = json.loads(plain)
        if "can" in given:
            return Can(given["can"])
        return MrzKey(given["number"], given["birth_date"], given["expiry_date"])
    except (errors.EmrtdError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadToken("no access key") from error


def _proven_key(link: Link, access: Access, trust: TrustStore) -> bytes:
    """SHA-256 of the signed key whose private half the chip showed to hold. Raises `Refused`."""
    try:
        raw = read_over(link, partial(read_document, access, rng=os.urandom, files=FILES), Traffic(), WHOLE)
        link.send("hint", hint="checking_document")
        document = passive_authentication(raw, trust, at=datetime.now(UTC))
        prove_chip(document, raw)
        if document.chip_key is None:
            raise errors.NoChipKey("the State signed no key by which the chip could prove itself")
    except (errors.WrongAccessKey, errors.AccessNumberNeedsPace) as error:
        raise Refused("another_document") from error
    except errors.EmrtdError as error:
        raise Refused(reason_of(error)) from error
    return document.chip_key


if __name__ == "__main__":
    main()
