"""Trust: passive authentication with a whole list loaded, beside OpenSSL; importing and loading that list.

The list is the German one of ../shared/data where it is at hand, else as many specimen authorities. Times are
processor time of this process, the median of several runs.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from bench.chip import NOW, RUNS, Case, Row, make_case, median_ms, read
from emrtd import tlv
from emrtd.passive import RawDocument, passive_authentication
from emrtd.pki import bundle
from emrtd.pki.collection import Collection, collect
from emrtd.pki.specimen import make_authority
from emrtd.rng import seeded

LISTS = Path(__file__).parents[2] / "shared" / "data" / "trust"
LIST_AT = datetime(2026, 8, 1, tzinfo=UTC)
CERTIFICATES = 588


def the_list() -> tuple[str, list[tuple[str, bytes]], list[bytes]]:
    """Its name, its files and the roots it is believed under."""
    if LISTS.is_dir():
        file = LISTS / "DE_ML_2026-05-28.ml"
        return "German list", [(file.name, file.read_bytes())], [(LISTS / "DE_ROOT_CA_CSCA07.cer").read_bytes()]
    rng = seeded(b"bench")
    made = (make_authority("UT", at=NOW - timedelta(days=9), rng=rng, kind="secp256r1") for _ in range(CERTIFICATES))
    return "specimen list", [(f"{number}.der", one.certificate) for number, one in enumerate(made)], []


def import_rows(name: str, files: list[tuple[str, bytes]], roots: list[bytes]) -> tuple[list[Row], Collection]:
    def gather() -> Collection:
        return collect(files, roots=roots, at=LIST_AT)

    found = gather()
    index, certificates = bundle.dump(found)
    usable = sum(held.verdict.standing != "unusable" for held in found.held)
    beside = sum(_peer_can_use(held.entry.der) for held in found.held)
    size = len(index) + len(certificates)
    rows: list[Row] = [
        (f"import, {name}", median_ms(gather, 5), "ms", "signature of the list, every certificate read and verified"),
        (f"load, {name}", median_ms(lambda: bundle.load(index, certificates)), "ms", f"index and bundle, {size} bytes"),
        (f"usable keys, {name}", usable, "certificates", f"of {len(found.held)}; `cryptography` alone: {beside}"),
    ]
    return rows, found


def _peer_can_use(der: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # serial numbers that are not positive
            x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def checking_rows(name: str, case: Case, among: Collection) -> list[Row]:
    """Passive authentication with the list loaded and the case's own State in it."""
    own = [("authority", case.authority), *(("list", held.der) for held in case.trust.revocations)]
    trust = bundle.load(*bundle.dump(collect(own, roots=[], at=NOW, onto=among)))
    raw, _, _ = read(case, extended=True)
    ours = median_ms(lambda: passive_authentication(raw, trust, at=NOW), 5 * RUNS)
    note = f"bytes to verdict, {len(trust.entries)} certificates loaded, every group hashed"
    rows: list[Row] = [(f"passive authentication, {name}", ours, "ms", note)]
    peer = openssl_ms(case, raw)
    if peer is not None:
        told = "processor time of openssl cms -verify less that of openssl version: signature and path only"
        rows += [
            (f"openssl cms -verify, {name}", peer, "ms", told),
            (f"passive authentication / openssl, {name}", ours / peer, "ratio", "less than 1 is faster"),
        ]
    return rows


def openssl_ms(case: Case, raw: RawDocument) -> float | None:
    """What OpenSSL's own program takes for the security object's signature and path; None without it."""
    with tempfile.TemporaryDirectory() as folder:
        sod, root = Path(folder, "sod.der"), Path(folder, "root.pem")
        sod.write_bytes(tlv.expect(raw.sod, 0x77).value)
        root.write_bytes(x509.load_der_x509_certificate(case.authority).public_bytes(Encoding.PEM))
        verify = [
            "openssl", "cms", "-verify", "-inform", "DER", "-in", str(sod), "-CAfile", str(root),
            "-purpose", "any", "-no_check_time", "-out", str(Path(folder, "content")),
        ]  # fmt: skip
        try:
            spent = [(_child_ms(verify), _child_ms(["openssl", "version"])) for _ in range(5 * RUNS)]
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None
    # the mean, and in turn: the kernel counts a child's time in steps about as long as the difference
    return max(0.01, statistics.mean(whole - start_up for whole, start_up in spent))


def _child_ms(command: list[str]) -> float:
    """Processor time of a program, in its own code and in the kernel's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def rows() -> list[Row]:
    """Everything measured here: (name, value, unit, note)."""
    elliptic = make_case("secp256r1", "secp256r1", "secp256r1")
    rsa = make_case("rsa-4096", "rsa-2048", "rsa-2048")
    imported, found = import_rows(*the_list())
    return imported + checking_rows("P-256", elliptic, found) + checking_rows("RSA-2048", rsa, found)
