"""From what was measured to a verdict: a table of rules, read from the top, the first that speaks decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from alicem.face.camera import SCORE
from alicem.face.challenge import Action


class Outcome(StrEnum):
    ACCEPT = "accept"
    REFUSE = "refuse"
    DOUBTFUL = "doubtful"  # the office decides


class Reason(StrEnum):
    """Rows of the service's table of refusals."""

    ABSENT = "face_absent"
    SEVERAL = "face_several"
    FRAMING = "face_framing"
    LIGHT = "face_light"
    TOO_SLOW = "face_too_slow"
    FRAMES = "face_frames"
    NOT_LIVE = "face_not_live"
    ATTACK = "face_attack"
    NOT_SAME_PERSON = "face_not_same_person"
    DOUBTFUL = "face_doubtful"
    PORTRAIT = "face_portrait"
    NO_REFLECTION = "face_no_reflection"


@dataclass(frozen=True)
class Verdict:
    """`missed` is the action that was not seen in its turn; scores and thresholds share their names."""

    outcome: Outcome
    reason: Reason | None
    missed: Action | None
    scores: Mapping[str, float]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Findings:
    """All that the rules look at. A score that could not be measured is absent."""

    spoiled: Reason | None = None  # the picture, or the person's presence, ended the check
    missed: Action | None = None
    misplaced: Action | None = None  # done when another action was asked, or none
    finished: bool = False
    turned: bool = False  # a turn was part of the challenge
    colours_required: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def under(self, name: str) -> bool:
        return self.scores.get(name, float("-inf")) < self.thresholds[name]

    def over(self, name: str) -> bool:
        return self.scores.get(name, float("inf")) > self.thresholds[name]


Rule = tuple[Callable[[Findings], bool], Outcome, Reason]

RULES: tuple[Rule, ...] = (
    (lambda f: f.missed is not None or f.misplaced is not None, Outcome.REFUSE, Reason.NOT_LIVE),
    (lambda f: not f.finished or f.under("rate"), Outcome.REFUSE, Reason.TOO_SLOW),
    (lambda f: f.over("frozen_ms"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.over("repeated"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.over("jump"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.over("leap"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.over("gap_ms"), Outcome.REFUSE, Reason.ABSENT),
    (lambda f: "screen" in f.scores and f.over("screen"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: SCORE in f.thresholds and f.over(SCORE), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.under("one_person"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: "relief" in f.scores and f.under("relief"), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: any(f.over(name) for name in f.thresholds if name.startswith("attack_")), Outcome.REFUSE, Reason.ATTACK),
    (lambda f: f.under("doubtful"), Outcome.REFUSE, Reason.NOT_SAME_PERSON),
    (
        lambda f: f.under("reflection") and (f.colours_required or "reflection" in f.scores),
        Outcome.REFUSE,
        Reason.NO_REFLECTION,
    ),
    (lambda f: f.under("same_person"), Outcome.DOUBTFUL, Reason.DOUBTFUL),
    (lambda f: f.turned and "relief" not in f.scores, Outcome.DOUBTFUL, Reason.DOUBTFUL),
    (lambda f: "screen" not in f.scores, Outcome.DOUBTFUL, Reason.DOUBTFUL),
)


def decide(findings: Findings) -> Verdict:
    outcome, reason = _outcome(findings)
    missed = findings.missed or findings.misplaced
    return Verdict(outcome, reason, missed, dict(findings.scores), dict(findings.thresholds))


def _outcome(findings: Findings) -> tuple[Outcome, Reason | None]:
    if findings.spoiled is not None:
        return Outcome.REFUSE, findings.spoiled
    for applies, outcome, reason in RULES:
        if applies(findings):
            return outcome, reason
    return Outcome.ACCEPT, None
