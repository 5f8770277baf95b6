"""The session process: the one short-lived place that sees chip answers, portrait and frames in clear.

It opens what the phone sealed to its key, reads the chip, compares the face, tells the session what was proven, and ends. Warmed ahead of
time, then shut into its sandbox, and only then a person's: it has no network and no file, and when it ends the kernel clears its pages.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import face, jose
from alicem.enrolment import life
from alicem.enrolment.document import DocumentLines, Proven, read_chip, read_lines
from alicem.enrolment.link import TRY_SECONDS, Interrupted, Link, TooLate
from alicem.enrolment.seal import Seal
from alicem.enrolment.warming import Prepared, warm
from alicem.jose import BadToken
from alicem.reasons import Refused
from emrtd.pki.trust import TrustStore

GAP_SECONDS = 3.0
FIRST_FRAME_SECONDS = 20.0  # cameras take their time to start
PICTURES = ("frame", "eyes")


@dataclass(frozen=True)
class Setup:
    """What the session says when it opens the process."""

    accepted: tuple[str, ...]
    challenge_seed: str | None
    seal_key: dict[str, str]


def main() -> None:
    """Start afresh, serve one session over standard input, end. Arguments: the trust folder, the file of the operator's face networks."""
    live(0, warm(*map(Path, sys.argv[2:])), Path(sys.argv[1]))


def live(descriptor: int, prepared: Prepared, trust_folder: Path) -> None:
    """One session over `descriptor`, from the last preparations to the end."""
    life.live(descriptor, trust_folder, lambda link, trust: serve(link, prepared, trust))


def serve(link: Link, prepared: Prepared, trust: TrustStore) -> None:
    setup = _open(link)
    proven = _document(link, setup, trust)
    link.tell("document", **proven.facts())
    portrait, camera = proven.document.portrait.image, None
    while True:
        order, camera = wait_for_face(link, camera)
        check = _check(prepared, portrait, setup, order)
        check.camera = camera
        link.tell("face", **try_face(link, check))


def wait_for_face(link: Link, camera: face.Camera | None) -> tuple[dict[str, Any], face.Camera | None]:
    """The session's order of a try, and the camera last described. Pictures sent a moment too early or too late are nobody's fault."""
    while (order := link.line()).get("do") != "face":
        if order.get("type") == "camera":
            camera = _camera(link.opened(order))
        elif order.get("do") != "resumed" and order.get("type") not in PICTURES:
            raise BadToken("only the session speaks between the steps")
    return order, camera


def _check(prepared: Prepared, portrait: bytes, setup: Setup, order: dict[str, Any]) -> face.LiveCheck:
    rng = None if setup.challenge_seed is None else Random(setup.challenge_seed)  # noqa: S311 - tests alone; production refuses it
    challenge = face.draw(rng, without=order["without"], colours=order["colours"])
    switched = {name: order[name] for name in ("colours_required", "virtual_camera_signs")}
    configuration = replace(prepared.configuration, **switched)
    return face.LiveCheck(prepared.models, portrait, challenge, configuration)


def _camera(plain: bytes) -> face.Camera:
    try:
        return face.read_camera(plain)
    except face.BadCameraError as error:
        raise BadToken(str(error)) from error


def _open(link: Link) -> Setup:
    order = link.line()
    if order.get("do") != "open":
        raise BadToken("the session opens first")
    own = ec.generate_private_key(ec.SECP256R1())
    link.seal = Seal(own, jose.public_key(order["seal_key"]), order["session"])
    return Setup(tuple(order["accepted"]), order["challenge_seed"], jose.public_jwk(own.public_key()))


def _document(link: Link, setup: Setup, trust: TrustStore) -> Proven:
    """Steps 3 and 4. What another try may mend goes back to step 3; everything else is final."""
    while True:
        lines = _lines(link, setup)
        try:
            return read_chip(link, lines, trust, os.urandom, _now)
        except Refused as refusal:
            if "retry" not in refusal.reason.next:
                raise
            link.send(
                "refused", reason=refusal.reason.name, next=list(refusal.reason.next), tries_left=None, final=False
            )


def _lines(link: Link, setup: Setup) -> DocumentLines:
    while True:
        link.send("step", step=3, name="document", seal_key=setup.seal_key)
        try:
            _, plain = link.wait_for("mrz")
            return read_lines(plain, setup.accepted, _now().date())
        except Interrupted:
            continue
        except Refused as refusal:
            if "retry" not in refusal.reason.next:
                raise
            link.send(
                "refused", reason=refusal.reason.name, next=list(refusal.reason.next), tries_left=None, final=False
            )


def try_face(link: Link, check: face.LiveCheck) -> dict[str, Any]:
    """One try of step 5: its outcome, reason, scores and thresholds; `interrupted` where the connection was lost."""
    teller = _Teller(link, check)
    deadline = time.monotonic() + TRY_SECONDS
    wait = FIRST_FRAME_SECONDS
    try:
        teller.tell()
        while not check.done:
            kind, plain = link.wait_for("camera", *PICTURES, seconds=min(wait, deadline - time.monotonic()))
            if kind == "camera":
                check.camera = _camera(plain)
                continue
            wait = GAP_SECONDS
            _see(link, check, teller, kind, plain)
    except TooLate:
        check.give_up()
    except Interrupted:
        return {"outcome": "interrupted"}
    verdict = check.verdict()
    return {
        "outcome": str(verdict.outcome),
        "reason": str(verdict.reason) if verdict.reason is not None else None,
        "missed": str(verdict.missed) if verdict.missed is not None else None,
        "scores": {name: round(float(value), 4) for name, value in verdict.scores.items()},
        "thresholds": {name: round(float(value), 4) for name, value in verdict.thresholds.items()},
        "at": _now().isoformat(),
    }


def _see(link: Link, check: face.LiveCheck, teller: _Teller, kind: str, plain: bytes) -> None:
    """On a busy machine fewer pictures are looked at, the newest."""
    at, received = int.from_bytes(plain[:8], "big"), time.monotonic() * 1000
    if kind == "eyes":
        if not link.waits("eyes"):
            check.add_eyes(plain[8:], at)
    elif link.waits("frame"):
        check.pass_over(at, received)
    else:
        teller.hint(check.add_frame(plain[8:], at, received))
    teller.tell()


class _Teller:
    """Tells the phone what to do when it changes, never ahead of time."""

    def __init__(self, link: Link, check: face.LiveCheck) -> None:
        self._link, self._check = link, check
        self._action: str | None = None
        self._colour: str | None = None
        self._hint: str | None = None

    def tell(self) -> None:
        """The colour of the screen and the action, where they changed."""
        progress = self._check.progress
        if progress.colour != self._colour:
            self._colour = progress.colour
            self._link.send("light", colour=progress.colour or "none")
        action = str(progress.action) if progress.action is not None else "none"
        if action != self._action:
            self._action = action
            told = {"action": action, "index": progress.done, "of": progress.total}
            eyes = {"eyes": list(astuple(progress.eyes))} if progress.eyes is not None else {}
            self._link.send("action", **told, slot_ms=round(progress.remaining_ms), **eyes)

    def hint(self, hint: face.Hint | None) -> None:
        name = str(hint) if hint is not None else None
        if name != self._hint:
            self._hint = name
            self._link.send("hint", hint=name or "none")


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
