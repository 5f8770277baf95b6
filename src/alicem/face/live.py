"""The live check of one person against one portrait: frames in, hints and actions out, a verdict at the end.

A neutral face first, which is the measure of everything after; then the colours of the screen; then each action is
told only when its turn has come, is looked for until its time is over, and ends the check if it is done out of turn.
Everything stays in this object, in memory; the process that holds it ends with the step.
"""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from alicem.face.actions import PERFORMED, Baseline, Movement, Watch, baseline, is_neutral, movement
from alicem.face.attacks import relief
from alicem.face.camera import SCORE, Camera, signs
from alicem.face.challenge import Action, Challenge, Colour, kind
from alicem.face.compare import PortraitError, portrait_template
from alicem.face.configuration import Configuration
from alicem.face.decide import Findings, Reason, Verdict, decide
from alicem.face.embed import Template
from alicem.face.eyes import EyeRegion, opening_of, region
from alicem.face.gathered import Gathered
from alicem.face.hints import Hint, about_pose
from alicem.face.images import UnusableImageError
from alicem.face.look import Follower, Look
from alicem.face.measure import worth
from alicem.face.models import Models
from alicem.face.pace import Arrival, Pace
from alicem.face.reflection import COLOUR_MS


class Phase(StrEnum):
    NEUTRAL = "neutral"  # the face at rest is measured
    COLOURS = "colours"  # the screen changes its colour
    PAUSE = "pause"  # back to rest, until the next action is told
    ACTION = "action"
    DONE = "done"


@dataclass(frozen=True)
class Progress:
    phase: Phase
    done: int  # actions seen so far
    total: int
    action: Action | None  # told now; never an action to come
    remaining_ms: float  # before this phase is over
    colour: Colour | None = None  # the screen's, now
    eyes: EyeRegion | None = None  # where the lids are, while they are asked


FIRST_FRAMES, FIRST_MS = 8, 700.0  # the neutral face: as many good frames, over as long
REST_MS = 250.0  # back to neutral for as long before the next action is told
GONE_MS = 2500.0  # without a face, or with several, once the check has begun
CROWD_MS = 1000.0
EYES_STEP_MS = 20.0
SHUT_FRAMES = 2  # whole pictures with closed eyes, before the cuts of the eyes count
EYES_AFTER_MS = 400.0  # without a whole picture, nobody knows any more where the eyes are
SETTLE_MS = 1500.0  # before the person is asked to come back to rest

SPOILED_BY = {
    Hint.NO_FACE: Reason.ABSENT,
    Hint.SEVERAL_FACES: Reason.SEVERAL,
    Hint.MORE_LIGHT: Reason.LIGHT,
    Hint.LESS_LIGHT: Reason.LIGHT,
    Hint.UNREADABLE: Reason.FRAMES,
}


class LiveCheck:
    """`add_frame` for each frame; `progress` says what to show; `verdict` when `done`."""

    def __init__(
        self, models: Models, portrait: bytes, challenge: Challenge, configuration: Configuration | None = None
    ) -> None:
        self._models = models
        self._challenge = challenge
        self._configuration = configuration or Configuration()
        self._thresholds = self._configuration.thresholds
        self._follower = Follower(models)
        self._gathered = Gathered(models, self._configuration)
        self._watch = Watch(self._thresholds.limits)
        self._phase = Phase.NEUTRAL
        self._index = 0
        self._pace = Pace(self._thresholds.attacks["drift_ms"])
        self._began: float | None = None
        self._hints: Counter[Hint] = Counter()
        self._trouble: tuple[Hint, float] | None = None
        self._neutral: list[Look] = []
        self._still: Look | None = None
        self._baseline: Baseline | None = None
        self._colours = 0  # shown so far
        self._eyes: EyeRegion | None = None
        self._last: tuple[Look, Movement] | None = None
        self._last_eyes = 0.0
        self._shut = 0  # whole pictures of this action with closed eyes
        self._best: Look | None = None  # of this pause
        self.camera: Camera | None = None  # as the phone described it
        self._rested: float | None = None
        self._taken = False  # a template of this action
        self._spoiled: Reason | None = None
        self._missed: Action | None = None
        self._misplaced: Action | None = None
        self._portrait = self._read_portrait(portrait)

    def _read_portrait(self, portrait: bytes) -> Template | None:
        try:
            return portrait_template(self._models, portrait, self._thresholds.compare.matchers)
        except (UnusableImageError, PortraitError):
            self._end(spoiled=Reason.PORTRAIT)
            return None

    @property
    def done(self) -> bool:
        return self._phase is Phase.DONE

    @property
    def current_action(self) -> Action | None:
        return self._challenge.actions[self._index] if self._phase is Phase.ACTION else None

    @property
    def current_colour(self) -> Colour | None:
        return self._challenge.colours[self._colours - 1] if self._phase is Phase.COLOURS else None

    @property
    def progress(self) -> Progress:
        left = max(0.0, self._limit() - self._spent(self._pace.at))
        total, eyes = len(self._challenge.actions), self._eyes if self._phase is Phase.ACTION else None
        return Progress(self._phase, self._index, total, self.current_action, left, self.current_colour, eyes)

    def _spent(self, at: float) -> float:
        """Milliseconds of this phase."""
        return 0.0 if self._began is None else at - self._began

    def add_frame(self, jpeg: bytes, at: float, received: float | None = None) -> Hint | None:
        """`at`: when the phone took it, in its milliseconds; `received`: when it came, in ours."""
        if self.done:
            return None
        hint = self._arrive(jpeg, at, received)
        if self._pace.broken is not None:
            self._end(spoiled=self._pace.broken)
        elif not self.done and self._spent(self._pace.at) > self._limit():
            self._out_of_time()
        return hint

    def add_eyes(self, jpeg: bytes, at: float) -> None:
        """The part of a picture that `progress.eyes` names, taken between two pictures: lids are faster than these. Bad ones are left out."""
        if self.done or self._last is None or self._eyes is None or self.current_action is not Action.BLINK:
            return
        look, moved = self._last
        opening = opening_of(self._models, jpeg, self._eyes, look) if self._eyes_follow(look, at) else None
        if opening is not None and self._baseline is not None:
            moved = replace(moved, opening=opening / self._baseline.opening)
            self._act(look, moved, self._watch.see(at, moved), at)

    def _eyes_follow(self, look: Look, at: float) -> bool:
        """In order, not faster than a camera, and not long after the face was last seen."""
        if at - self._last_eyes < EYES_STEP_MS or not look.at < at < look.at + EYES_AFTER_MS:
            return False
        self._last_eyes = at
        return True

    def pass_over(self, at: float, received: float | None = None) -> None:
        """A frame that nobody looks at, because a newer one is here already: a busy machine sees fewer, never late ones."""
        if not self.done:
            self._pace.arrives(at, received, looked_at=False)

    def _arrive(self, jpeg: bytes, at: float, received: float | None) -> Hint | None:
        match self._pace.arrives(at, received):
            case Arrival.SKIP:
                return None
            case Arrival.FAULT:
                return Hint.UNREADABLE
        if self._began is None:
            self._began = at
        hint = self._see(jpeg, at)
        if hint is Hint.UNREADABLE:
            self._pace.fault()
        return hint

    def give_up(self) -> None:
        """The time for the whole step is over, or the person left."""
        if not self.done:
            self._out_of_time()

    def verdict(self) -> Verdict:
        finished = self._index == len(self._challenge.actions)
        turned = any(kind(action) == "turn" for action in self._challenge.actions)
        return decide(
            Findings(
                spoiled=self._spoiled,
                missed=self._missed,
                misplaced=self._misplaced,
                finished=finished,
                turned=turned,
                colours_required=self._configuration.colours_required,
                scores=self._scores(),
                thresholds=self._configuration.limits,
            )
        )

    def _see(self, jpeg: bytes, at: float) -> Hint | None:
        self._gathered.stream.frame(jpeg, at)
        look = self._follower.look(jpeg, at)
        hint = look if isinstance(look, Hint) else look.hint
        if hint is not None:
            self._hints[hint] += 1
        if isinstance(look, Hint):
            return self._without_face(look, at)
        self._trouble = None
        if self._baseline is not None:
            self._gathered.stream.face(look.mesh, look.measure.yaw, at)
        return self._follow(look)

    def _follow(self, look: Look) -> Hint | None:
        if self._baseline is None:
            return self._first_look(look)
        moved = movement(look.measure, self._baseline)
        self._last = (look, moved)
        seen = self._watch.see(look.at, moved)
        if self._phase is Phase.COLOURS:
            return self._show_colours(look, seen)
        if self._phase is Phase.PAUSE:
            return self._pause(look, moved, seen)
        self._shut += PERFORMED[Action.BLINK](moved, self._thresholds.limits)
        self._act(look, moved, seen, look.at)
        return look.hint

    def _first_look(self, look: Look) -> Hint | None:
        if (hint := look.hint or about_pose(look.measure)) is not None:
            if look.hint is None:
                self._hints[hint] += 1
            return hint
        self._neutral.append(look)
        if len(self._neutral) >= FIRST_FRAMES and look.at - self._neutral[0].at >= FIRST_MS:
            self._baseline = baseline([one.measure for one in self._neutral])
            best = sorted(self._neutral, key=lambda one: -worth(one.measure))[:2]
            for one in best:
                self._gathered.at_rest(one)
            self._still = best[0]
            self._neutral.clear()
            self._enter(Phase.COLOURS if self._challenge.colours else Phase.PAUSE, look.at)
            if self._phase is Phase.COLOURS:
                self._next_colour(look.at)
        return None

    def _show_colours(self, look: Look, seen: frozenset[Action]) -> Hint | None:
        """One colour after the other, before a face at rest."""
        if seen:
            self._end(misplaced=next(iter(seen)))
            return None
        self._gathered.reflection.look(look)
        if self._spent(look.at) >= COLOUR_MS * self._colours:
            if self._colours < len(self._challenge.colours):
                self._next_colour(look.at)
            else:
                self._gathered.reflection.show(None, look.at)
                self._enter(Phase.PAUSE, look.at)
        return look.hint or about_pose(look.measure)

    def _next_colour(self, at: float) -> None:
        self._gathered.reflection.show(self._challenge.colours[self._colours], at)
        self._colours += 1

    def _pause(self, look: Look, moved: Movement, seen: frozenset[Action]) -> Hint | None:
        """At rest again; what was just asked may end, nothing else may begin. The light of the last colour may still be on its way."""
        if self._index == 0 and self._challenge.colours:
            self._gathered.reflection.look(look)
        ending = kind(self._challenge.actions[self._index - 1]) if self._index else ""
        if any(kind(action) != ending for action in seen):
            self._end(misplaced=next(iter(seen)))
            return None
        if not is_neutral(moved, self._thresholds.limits):
            self._rested = None
            if self._spent(look.at) < SETTLE_MS:
                return look.hint
            self._hints[Hint.BACK_TO_NEUTRAL] += 1
            return Hint.BACK_TO_NEUTRAL
        if self._rested is None:
            self._rested = look.at
        if look.hint is None and (self._best is None or worth(look.measure) > worth(self._best.measure)):
            self._best = look
        pause = max(REST_MS, self._challenge.pauses_ms[self._index])
        if look.at - self._rested >= pause:
            if self._best is not None:
                self._gathered.at_rest(self._best)
            self._enter(Phase.ACTION, look.at)
            self._shut, self._eyes = 0, region(look) if self.current_action is Action.BLINK else None
        return look.hint

    def _act(self, look: Look, moved: Movement, seen: frozenset[Action], at: float) -> None:
        wanted = self._challenge.actions[self._index]
        if self._shut < SHUT_FRAMES:  # whole pictures must say the same, or the eyes might be another's
            seen -= {Action.BLINK}
        others = seen - {wanted}
        if others:
            self._end(misplaced=next(iter(others)))
        elif wanted in seen:
            if kind(wanted) == "turn" and self._still is not None:
                self._gathered.relief = relief(self._still, look)
            self._index += 1
            self._enter(Phase.PAUSE if self._index < len(self._challenge.actions) else Phase.DONE, at)
        elif not self._taken and self._begun(moved):
            self._gathered.in_action(look)
            self._taken = True

    def _begun(self, moved: Movement) -> bool:
        """Half way into any action: the moment to make sure that it is still the same person."""
        return not is_neutral(moved, self._thresholds.limits)

    def _enter(self, phase: Phase, at: float) -> None:
        self._phase, self._began, self._rested, self._taken, self._best = phase, at, None, False, None
        self._hints.clear()

    def _limit(self) -> float:
        patience = self._thresholds.patience
        limits = {
            Phase.NEUTRAL: patience.neutral,
            Phase.COLOURS: patience.pause + COLOUR_MS * len(self._challenge.colours),
            Phase.ACTION: patience.action,
            Phase.PAUSE: patience.pause,
        }
        return limits.get(self._phase, 0.0)

    def _without_face(self, hint: Hint, at: float) -> Hint:
        if hint is Hint.UNREADABLE:
            return hint
        if self._trouble is None or self._trouble[0] is not hint:
            self._trouble = (hint, at)
        limit = CROWD_MS if hint is Hint.SEVERAL_FACES else GONE_MS
        if self._baseline is not None and at - self._trouble[1] > limit:
            self._end(spoiled=SPOILED_BY[hint])
        return hint

    def _out_of_time(self) -> None:
        """What spoiled most of the frames is the cause; without such, the action was not done."""
        hint, count = next(iter(self._hints.most_common(1)), (None, 0))
        if hint is not None and count >= 5:
            self._end(spoiled=SPOILED_BY.get(hint, Reason.FRAMING))
        elif self._pace.rate < self._thresholds.attacks["rate"]:
            self._end(spoiled=Reason.TOO_SLOW)
        elif self._baseline is None:
            self._end(spoiled=Reason.ABSENT)
        else:
            self._end(missed=self._challenge.actions[self._index])

    def _end(
        self,
        spoiled: Reason | None = None,
        missed: Action | None = None,
        misplaced: Action | None = None,
    ) -> None:
        self._spoiled, self._missed, self._misplaced = spoiled, missed, misplaced
        self._phase = Phase.DONE

    def _scores(self) -> dict[str, float]:
        pace = {"rate": self._pace.rate, "drift_ms": self._pace.drift, SCORE: float(len(signs(self.camera)))}
        return pace | self._gathered.scores(self._portrait)
