"""`alicem trust`: gather the authorities whose documents are believed, and see what was gathered."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.enrolment import trust
from emrtd.errors import Malformed
from emrtd.pki.bundle import origin_tree
from emrtd.pki.collection import Collection, Held, LeftOut, Origin, collect
from emrtd.pki.entry import Revocations
from emrtd.pki.sources import read_source
from emrtd.pki.verdict import validity

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="to standard output")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, help="master list, LDIF, certificate, CRL, PEM, or a folder")],
    into: Annotated[Path, typer.Option("--into", file_okay=False, help="the trust store; made if it is not there")],
    root: Annotated[
        list[Path] | None, typer.Option("--root", exists=True, help="certificate a master list is believed under")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="take a master list that no root answers for; it stays marked so")
    ] = False,
) -> None:
    """Add what FILE holds to the store: 1 if nothing of it could be taken, and then nothing is written."""
    roots = _roots(root or [])
    try:
        with trust.importing(into), Progress(console=err, transient=True) as bar:
            task = bar.add_task("certificates", total=None)
            at = datetime.now(UTC)
            before = trust.load_collection(into, at=at)
            found = collect(
                trust.read_files(file),
                roots=roots,
                at=at,
                unverified=unverified,
                onto=before,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
            taken = _taken(before, found)
            if taken:
                trust.save(into, found)
    except (OSError, Malformed) as error:
        fail(str(error))
    _tell(before, found)
    if not taken:
        fail(f"nothing of {file.name} was taken", REFUSED)


def _roots(files: list[Path]) -> list[bytes]:
    try:
        found = [
            der for file in files for _, content in trust.read_files(file) for der in read_source(content).certificates
        ]
    except (OSError, Malformed) as error:
        fail(f"--root: {error}", USAGE)
    if files and not found:
        fail("--root: no certificate", USAGE)
    return found


def _taken(before: Collection, found: Collection) -> bool:
    new = [origin for origin in found.origins if origin not in before.origins]
    return any(origin.certificates for origin in new) or set(found.revocations) != set(before.revocations)


def _tell(before: Collection, found: Collection) -> None:
    for origin in found.origins:
        if origin not in before.origins:
            err.print(_origin_line(origin), markup=False)
    for left in found.left_out:
        if left not in before.left_out:
            err.print(_left_out_line(left), style="yellow", markup=False)
    standings = Counter(held.verdict.standing for held in found.held)
    counts = ", ".join(f"{count} {standing.replace('_', ' ')}" for standing, count in standings.most_common())
    err.print(f"{len(found.held)} certificates in the store: {counts or 'none'}", markup=False)


def _origin_line(origin: Origin) -> str:
    signed = f", signed {origin.signed_at:%Y-%m-%d} under the root of {origin.root}" if origin.signed_at else ""
    warnings = f" ({', '.join(origin.warnings)})" if origin.warnings else ""
    known = f", {origin.duplicates} known before" if origin.duplicates else ""
    return f"{origin.name}: {origin.kind}, {origin.certificates} certificates{known}{signed}{warnings}"


def _left_out_line(left: LeftOut) -> str:
    return f"{left.origin or 'store'}: {left.what} not taken: {left.reason}"


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, metavar="DIR")], json: Json = False
) -> None:
    """Countries, generations and kinds of keys; what is of no use, and why."""
    at = datetime.now(UTC)
    try:
        found = trust.load_collection(folder, at=at)
        tree = _tree(found, at)
    except (OSError, Malformed) as error:
        fail(str(error))
    if json:
        out(tree)
        return
    _print(tree)


def _tree(found: Collection, at: datetime) -> dict[str, Any]:
    rows = [_certificate(held, at) for held in found.held]
    return {
        "origins": [origin_tree(origin) for origin in found.origins],
        "countries": _countries(rows, found.revocations, at),
        "keys": dict(Counter(row["key"] for row in rows).most_common()),
        "standings": dict(Counter(row["standing"] for row in rows).most_common()),
        "warnings": dict(Counter(warning for row in rows for warning in row["warnings"]).most_common()),
        "revocation_lists": [_revocation_list(held, at) for held in found.revocations],
        "certificates": rows,
        "left_out": [asdict(one) for one in found.left_out],
    }


def _certificate(held: Held, at: datetime) -> dict[str, Any]:
    certificate, verdict = held.entry.certificate, held.verdict
    return {
        "country": certificate.country,
        "subject": certificate.subject,
        "sha256": hashlib.sha256(certificate.der).hexdigest(),
        "key_id": certificate.key_id and certificate.key_id.hex(),
        "authority": held.entry.issues,
        "key": str(certificate.key),
        "signature": f"{certificate.scheme.kind} {certificate.scheme.hash}",
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "validity": validity(certificate, at),
        "vouched_for_by": held.entry.voucher,
        "standing": verdict.standing,
        "by": verdict.by and verdict.by.hex(),
        "reason": verdict.reason,
        "warnings": list(verdict.warnings),
        "origins": list(held.origins),
    }


def _countries(rows: list[dict[str, Any]], revocations: tuple[Revocations, ...], at: datetime) -> list[dict[str, Any]]:
    """A generation is a key: link certificates and renewals of one key are one generation."""
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["country"]].append(row)
    listed = {held.country: held.list.stale_at(at) for held in revocations}
    return [
        {
            "country": country,
            "certificates": len(group),
            "generations": len({row["key_id"] or row["sha256"] for row in group if row["authority"]}),
            "signers": sum(not row["authority"] for row in group),
            "keys": sorted({row["key"] for row in group}),
            "valid": sum(row["validity"] == "valid" for row in group),
            "unusable": sum(row["standing"] == "unusable" for row in group),
            "revocation_list": "none" if country not in listed else "stale" if listed[country] else "fresh",
        }
        for country, group in sorted(groups.items())
    ]


def _revocation_list(held: Revocations, at: datetime) -> dict[str, Any]:
    return {
        "country": held.country,
        "issuer": held.list.issuer,
        "this_update": held.list.this_update.isoformat(),
        "next_update": held.list.next_update and held.list.next_update.isoformat(),
        "stale": held.list.stale_at(at),
        "revoked": len(held.list.serials),
    }


def _print(tree: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table("country", "certificates", "generations", "signers", "valid", "revocation list", "keys", box=None)
    for row in tree["countries"]:
        numbers = (str(row[name]) for name in ("certificates", "generations", "signers", "valid"))
        table.add_row(row["country"] or "?", *numbers, row["revocation_list"], ", ".join(row["keys"]))
    console.print(table)
    for name in ("keys", "standings", "warnings"):
        counted = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in tree[name].items())
        console.print(f"{name}: {counted or 'none'}", markup=False)
    for row in tree["origins"]:
        under = f" under the root of {row['root']}" if row["root"] else ""
        console.print(f"from {row['name']}: {row['kind']}{under}, {row['certificates']} certificates", markup=False)
    for row in tree["certificates"]:
        if row["standing"] == "unusable":
            console.print(f"unusable: {row['country']} {row['sha256'][:16]}: {row['reason']}", markup=False)
    for row in tree["left_out"]:
        console.print(f"left out: {row['what']} of {row['origin']}: {row['reason']}", markup=False)
