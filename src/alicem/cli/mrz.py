"""`alicem mrz`: the machine-readable zone of a document, from pictures of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.mrzscan import FRAMES_MAX, Flaw, Reading, read
from alicem.mrzscan.pictures import PHOTOGRAPH
from alicem.pictures import Flaw as PictureFlaw

app = typer.Typer(no_args_is_help=True)
app.callback()(lambda: None)  # without one, a single command would lose its name

SAID = {
    PictureFlaw.TOO_MANY_BYTES: "The file is larger than a picture of a document is.",
    PictureFlaw.TOO_MANY_PIXELS: "The picture is larger than can be read.",
    PictureFlaw.TOO_SMALL: "The picture is too small.",
    PictureFlaw.FORMAT: "That is no JPEG, PNG or WebP picture.",
    PictureFlaw.BROKEN: "The picture is damaged.",
    Flaw.NO_ZONE: "No machine-readable zone is to be seen: two or three lines of letters, figures and <.",
    Flaw.CUT_OFF: "The machine-readable zone goes beyond the edge of the picture.",
    Flaw.SEVERAL_ZONES: "There are several machine-readable zones: show one document alone.",
    Flaw.UNCLEAR: "The machine-readable zone is there, but not clear enough: more light, no glare, closer, still.",
}


@app.command("read")
def reading(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", exists=True, dir_okay=False, help="frames of one document, the best first"),
    ],
    json_: Annotated[bool, typer.Option("--json", help="to standard output")] = False,
) -> None:
    """Print the lines of the zone. Frames are read until every check digit is right and each letter is sure."""
    if len(images) > FRAMES_MAX:
        fail(f"at most {FRAMES_MAX} pictures of one document", USAGE)
    try:
        found = read(_content(path) for path in images)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if json_:
        out(_tree(found))
    elif found.mrz is not None:
        typer.echo("\n".join(found.lines))
        if not found.names_sure:
            err.print("The check digits are right; they do not cover the names, of which a letter is in doubt.")
    if found.flaw is not None:
        if not json_:
            err.print(f"{found.flaw}: {SAID[found.flaw]}", style="bold red", markup=False)
        raise typer.Exit(REFUSED)


def _content(path: Path) -> bytes:
    """No more of it than tells that it is too long."""
    with path.open("rb") as file:
        return file.read(PHOTOGRAPH.bytes + 1)


def _tree(found: Reading) -> dict[str, object]:
    if found.mrz is None:
        return {"read": False, "reason": found.flaw, "frames": found.frames}
    fields = {name: value for name, value in asdict(found.mrz).items() if name not in ("kind", "warnings")}
    return {
        "read": True,
        "kind": found.mrz.kind,
        "lines": found.lines,
        **fields,
        "names_sure": found.names_sure,
        "frames": found.frames,
    }
