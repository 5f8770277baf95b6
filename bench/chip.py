"""Reading a chip and checking a document: time, round trips, and a peer in the same run.

`rows()` gives (name, value, unit, note) for the common table; run as a script it prints them. The document
is of French size: security object about 2 kB, portrait 18 kB. Times are processor time of this process,
the median of several runs, so that a busy machine changes them little.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact
from emrtd.dates import PartialDate
from emrtd.exchange import Traffic, run
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki.specimen import make_authority, make_revocation_list, make_signer
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, Description, SoftChip, personalise

Row = tuple[str, float, str, str]
MADE = datetime(2025, 1, 1, tzinfo=UTC)
NOW = MADE + timedelta(days=300)
RUNS = 20
FRAME = bytes.fromhex("FFC0 000B 08 0213 019D 01 011100")  # grey, 413 by 531
PORTRAIT = b"\xff\xd8" + FRAME + b"\xff\xda" + seeded(b"portrait")(18_000)


@dataclass(frozen=True)
class Case:
    """A signed document and the trust that accepts it."""

    document: ChipDocument
    trust: TrustStore
    authority: bytes


def make_case(
    authority_kind: str,
    signer_kind: str,
    authentication: str,
    pace: tuple[str, ...] = (),
    chip_authentication: tuple[str, ...] = (),
) -> Case:
    rng = seeded(f"{authority_kind} {signer_kind}".encode())
    authority = make_authority("FR", at=MADE - timedelta(days=90), rng=rng, kind=authority_kind)
    signer = make_signer(authority, at=MADE - timedelta(days=1), rng=rng, kind=signer_kind)
    description = Description(
        surname="Lefèvre",
        given_names="Zoë",
        number="24AA12345",
        birth_date=PartialDate(1990, 5, 17),
        sex="F",
        nationality="FRA",
        issuer="FRA",
        expires=date(2034, 2, 28),
        portrait=PORTRAIT,
        active_authentication=authentication,
        pace=pace,
        chip_authentication=chip_authentication,
    )
    document = personalise(description, signer, rng=rng, at=MADE)
    revocations = make_revocation_list(authority, [], at=NOW)
    return Case(document, TrustStore.of([authority.certificate], [revocations]), authority.certificate)


@dataclass
class Meter:
    """A chip that knows how much processor time was its own."""

    chip: SoftChip
    spent: float = 0.0

    def __call__(self, apdu: bytes) -> bytes:
        start = time.process_time()
        answer = self.chip.transmit(apdu)
        self.spent += time.process_time() - start
        return answer


def read(case: Case, *, extended: bool) -> tuple[RawDocument, float, Traffic]:
    """One reading: the document, the terminal's milliseconds, the traffic."""
    chip, traffic = Meter(SoftChip(case.document, seeded(b"silicon"))), Traffic()
    found = run(first_contact(), chip)
    protocol = read_document(case.document.access, contact=found, rng=seeded(b"terminal"), extended=extended)
    chip.spent, start = 0.0, time.process_time()
    raw = run(protocol, chip, traffic)
    return raw, 1000 * (time.process_time() - start - chip.spent), traffic


def median_ms(action: Callable[[], object], runs: int = RUNS) -> float:
    times = []
    for _ in range(runs):
        start = time.process_time()
        action()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def reading_rows(name: str, case: Case, least: int) -> list[Row]:
    found: list[Row] = []
    for form, extended in (("extended", True), ("short", False)):
        readings = [read(case, extended=extended) for _ in range(RUNS)]
        traffic = readings[0][2]
        milliseconds = statistics.median(reading[1] for reading in readings)
        size = 1024 if extended else 223
        title = f"chip read, {name}, {form}"
        found += [
            (title, milliseconds, "ms", f"terminal processor time, reads of {size} bytes"),
            (title, traffic.round_trips, "round trips", f"after the first contact; {least} is the goal"),
            (title, traffic.commands, "commands", "a naive relay makes one round trip of each"),
            (title, traffic.bytes, "bytes", "commands and answers"),
        ]
    return [*found, (f"memory of a reading, {name}", memory_kb(case), "kB", "at its peak, less the portrait")]


def memory_kb(case: Case) -> float:
    """What a reading holds at most, chip and modules left out as far as they were there before."""
    chip = SoftChip(case.document, seeded(b"silicon"))
    found = run(first_contact(), chip)
    protocol = read_document(case.document.access, contact=found, rng=seeded(b"terminal"), extended=False)
    tracemalloc.start()
    run(protocol, chip)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - len(PORTRAIT)) / 1000


def checking_rows(name: str, case: Case) -> list[Row]:
    raw, _, _ = read(case, extended=True)
    document = passive_authentication(raw, case.trust, at=NOW)
    chip = median_ms(lambda: prove_chip(document, raw))
    return [(f"proof of the chip, {name}", chip, "ms", "verification of " + " and ".join(prove_chip(document, raw)))]


def rows() -> list[Row]:
    """Everything measured here: (name, value, unit, note)."""
    elliptic = make_case("secp256r1", "secp256r1", "secp256r1")
    rsa = make_case("rsa-4096", "rsa-2048", "rsa-2048")
    permit = make_case("secp256r1", "secp256r1", "secp256r1", ("ECDH-GM-AES-128/13",), ("ECDH-AES-128/13",))
    passport = make_case("rsa-4096", "rsa-2048", "none", ("ECDH-GM-AES-256/13",), ("ECDH-3DES/13",))
    readings = reading_rows("BAC, AA", elliptic, 3) + reading_rows("PACE, CA AES, AA", permit, 4)
    readings += reading_rows("PACE, CA 3DES", passport, 4)
    return readings + checking_rows("P-256", elliptic) + checking_rows("RSA-2048", rsa)


def main() -> None:
    for name, value, unit, note in rows():
        print(f"{name:48} {value:10.2f} {unit:12} {note}")


if __name__ == "__main__":
    main()
