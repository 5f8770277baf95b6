"""`alicem chip specimen`: a State that is none, and documents of people who are nobody."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from alicem.cli.chip_files import write_private
from alicem.cli.says import USAGE, err, fail, out
from emrtd import mrz
from emrtd.errors import EmrtdError
from emrtd.pki.revocation import load_revocation_list
from emrtd.pki.specimen import Authority, make_revocation_list
from emrtd.softchip.specimen_file import (
    Specimen,
    State,
    examples,
    issue,
    make_state,
    parse_specimen,
    specimen_portrait,
)


def listing(json_: Annotated[bool, typer.Option("--json", help="as JSON, to standard output")] = False) -> None:
    """List the descriptions that come with the library."""
    found = {name: text.splitlines()[0].lstrip("# ") for name, text in examples().items()}
    if json_:
        out(found)
    else:
        typer.echo("\n".join(f"{name:26} {first}" for name, first in found.items()))


def specimen(
    what: Annotated[str, typer.Argument(metavar="NAME|FILE", help="a description: its name, or a TOML file")],
    into: Annotated[
        Path | None, typer.Option("--into", help="folder for the document, its keys and the trust in its State")
    ] = None,
    portrait: Annotated[
        Path | None, typer.Option("--portrait", help="JPEG or JPEG 2000 of 240 × 320 (default: a silhouette)")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="print the description instead, to begin a file of one's own")
    ] = False,
) -> None:
    """Make a specimen document, and the State that signs it where the folder has none yet."""
    name, text = _described(what)
    if show:
        typer.echo(text, nl=False)
        return
    if into is None:
        fail("--into names the folder for what is made", USAGE)
    try:
        picture = specimen_portrait() if portrait is None else portrait.read_bytes()
        _make(name, parse_specimen(text), picture, into, datetime.now(UTC))
    except EmrtdError as error:
        fail(f"{what}: {error}", USAGE)
    except OSError as error:
        fail(f"{error.filename or into}: {error.strerror}", USAGE)


def _described(what: str) -> tuple[str, str]:
    """Name and text of a description: a bundled one, else a file."""
    known = examples()
    if what in known:
        return what, known[what]
    path = Path(what)
    try:
        return path.stem, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        fail(f"no description {what}: neither a TOML file nor one of {', '.join(known)}", USAGE)


def _make(name: str, described: Specimen, picture: bytes, into: Path, now: datetime) -> None:
    """Everything in `into`: NAME.json, NAME.mrz and NAME.can, state-*.pem, trust/."""
    authority, label = _state(described.state, into, now)
    issued = issue(described, authority, picture, at=now, rng=secrets.token_bytes)
    revoked = [issued.signer.serial] if described.flaws.signer == "revoked" else []
    _trust(authority, label, into / "trust", revoked, now)
    written = [into / f"{name}.json", into / f"{name}.mrz"]
    _replace(written[0], issued.document.to_bytes())
    zone = mrz.compose(described.description(picture, now.date()).mrz)
    _replace(written[1], ("\n".join(zone) + "\n").encode("ascii"))
    if described.document.can:
        written.append(into / f"{name}.can")
        _replace(written[-1], described.document.can.encode("ascii") + b"\n")
    typer.echo("\n".join(str(one) for one in (*written, into / "trust")))


def _state(state: State, into: Path, now: datetime) -> tuple[Authority, str]:
    """The State of this folder for this country and kind of key; founded where there is none."""
    label = f"{state.country}-{state.authority}{'-pss' if state.pss else ''}"
    path = into / f"state-{label}.pem"
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return Authority.from_pem(path.read_bytes(), pss=state.pss), label
    authority = make_state(state, at=now, rng=secrets.token_bytes)
    write_private(path, authority.to_pem())
    err.print(f"Founded a specimen State: {path}", markup=False)
    return authority, label


def _trust(authority: Authority, label: str, folder: Path, revoked: list[int], now: datetime) -> None:
    """Certificate and revocation list; what was revoked once stays so."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{label}.crl"
    before = load_revocation_list(path.read_bytes()).serials if path.exists() else frozenset[int]()
    path.write_bytes(make_revocation_list(authority, {*before, *revoked}, at=now))
    (folder / f"{label}.cer").write_bytes(authority.certificate)


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    write_private(path, content)
