"""The terminal's end of a chip: opening a channel, sending protected batches, opening their answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emrtd import bac
from emrtd.apdu import OK, CommandApdu, ResponseApdu, parse_response
from emrtd.bac import Session
from emrtd.errors import (
    ChannelBroken,
    NoTravelDocument,
    UnexpectedAnswer,
    WrongAccessKey,
)
from emrtd.exchange import Batch, Command, Protocol
from emrtd.files import select_application
from emrtd.keys import MrzKey
from emrtd.rng import Rng

CHALLENGE_REFUSALS = (0x6700, 0x6B00, 0x6C08, 0x6D00, 0x6E00, 0x6F00, 0x6A86, 0x6985)


@dataclass(frozen=True)
class Step:
    """One plain command of a batch to come; a reading adds what the answer is for."""

    command: CommandApdu
    allowed: tuple[int, ...] = (OK,)


@dataclass(frozen=True)
class Answer:
    """An answer opened. ``plain`` says that it came unprotected: an error that may have ended the channel."""

    status: int
    data: bytes = field(repr=False)
    plain: bool = False


@dataclass
class Terminal:
    """An open channel and its counter. ``extended`` says that the chip takes extended length."""

    session: Session
    extended: bool
    alive: bool = True

    def protect(self, steps: tuple[Step, ...], note: str, progress: tuple[float, float]) -> Batch:
        """Compute all commands ahead: command n is sent with counter + 2n + 1, answered with + 2n + 2."""
        channel, counter = self.session.channel, self.session.counter
        commands = (
            Command(channel.protect_command(step.command, counter + 2 * index + 1), step.allowed)
            for index, step in enumerate(steps)
        )
        return Batch(tuple(commands), note, progress)

    def open(self, answers: tuple[bytes, ...]) -> tuple[Answer, ...]:
        """Open the answers to the last batch and move the counter on. Raises ChannelBroken.

        9303-11 9.8.3: a chip may answer an error unprotected. Some then end the channel, some do not count
        the command, some go on. If the answers after it still verify it went on; if none came after it,
        nobody can know, and the channel is given up.
        """
        opened = tuple(self._open(index, answer) for index, answer in enumerate(answers))
        counter = self.session.counter + 2 * len(answers)
        self.session = replace(self.session, counter=counter)
        self.alive = bool(opened) and not opened[-1].plain
        return opened

    def _open(self, index: int, answer: bytes) -> Answer:
        outer = parse_response(answer)
        if not outer.data:
            if outer.status == OK:
                raise ChannelBroken("a success that is not protected")
            return Answer(outer.status, b"", plain=True)
        inner = self.session.channel.open_response(answer, self.session.counter + 2 * index + 2)
        return Answer(inner.status, inner.data)


def open_with_bac(access: MrzKey, rng: Rng, *, extended: bool) -> Protocol[Terminal]:
    """Select the application and do BAC: two round trips.

    With `extended` (the reading device can carry it) the challenge is first asked in extended form: a chip
    that cannot read that form says so here, where no channel can be lost by it, and a second, short GET
    CHALLENGE gives the challenge that counts. Raises NoTravelDocument, WrongAccessKey, UnexpectedAnswer,
    ChannelBroken.
    """
    challenge, takes_extended = yield from _challenge(extended)
    command, begun = bac.begin(access.seed, challenge, rng(bac.NONCE + bac.KEY_MATERIAL))
    (answer,) = yield Batch((Command(command.encode()),), "access", (0.02, 0.05))
    response = parse_response(answer)
    if response.status != OK:
        raise _refusal(response)
    return Terminal(bac.complete(begun, response.data), takes_extended)


def _challenge(extended: bool) -> Protocol[tuple[bytes, bool]]:
    probe = (Command(replace(bac.GET_CHALLENGE, extended=True).encode(), (OK, *CHALLENGE_REFUSALS)),)
    commands = (
        Command(select_application().encode()),
        *(probe if extended else ()),
        Command(bac.GET_CHALLENGE.encode()),
    )
    answers = yield Batch(commands, "access", (0.0, 0.02))
    opened = [parse_response(answer) for answer in answers]
    if opened[0].status != OK:
        raise NoTravelDocument(f"the chip refuses the application (status {opened[0].status:04X})")
    last = opened[-1]
    if len(answers) != len(commands) or last.status != OK:
        raise UnexpectedAnswer("the chip gives no challenge", last.status)
    return last.data, extended and opened[1].status == OK and len(opened[1].data) == bac.NONCE


def _refusal(response: ResponseApdu) -> WrongAccessKey | UnexpectedAnswer:
    """63xx, 6982, 6985 and 6988 all occur for a key that does not open (9303-11 4.3.4 leaves it open)."""
    status = response.status
    if status >> 8 == 0x63 or status in (0x6982, 0x6983, 0x6985, 0x6988, 0x6A80):
        return WrongAccessKey("the chip refuses the access key")
    return UnexpectedAnswer("the chip refuses basic access control", status)
