"""The terminal's end of a chip: opening a channel, sending protected batches, opening their answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emrtd import bac, pace
from emrtd.apdu import OK, CommandApdu, ResponseApdu, parse_response
from emrtd.channel import Session
from emrtd.errors import (
    ChannelBroken,
    NoTravelDocument,
    UnexpectedAnswer,
    WrongAccessKey,
)
from emrtd.exchange import Batch, Command, Protocol
from emrtd.files import CARD_ACCESS, select_application, select_file, select_master_file
from emrtd.keys import Access, MrzKey
from emrtd.pace import Opening, PaceInfo
from emrtd.rng import Rng

MASTER_FILE_ANSWERS = (OK, 0x6A82, 0x6A86, 0x6A87, 0x6982, 0x6A81, 0x6D00, 0x6985, 0x6E00, 0x6700, 0x6B00)
PROBE_REFUSALS = (0x6700, 0x6A82, 0x6A86, 0x6A87, 0x6982, 0x6985, 0x6D00, 0x6E00, 0x6F00, 0x6B00)
TRIES_LEFT = tuple(range(0x63C1, 0x63D0))  # MSE:Set AT warns that the password was tried wrongly before
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
    """An open channel and its counter. ``extended`` says that the chip takes extended length.

    After PACE one message is left, ``opening``: it goes first in the first batch, followed by the selection
    of the application inside the channel. ``protocol`` names how the channel was made.
    """

    session: Session
    extended: bool
    protocol: str
    opening: Opening | None = None
    alive: bool = True

    def protect(self, steps: tuple[Step, ...], note: str, progress: tuple[float, float]) -> Batch:
        """Compute all commands ahead: command n is sent with counter + 2n + 1, answered with + 2n + 2."""
        channel, counter = self.session.channel, self.session.counter
        first = () if self.opening is None else (Step(select_application()),)
        commands = tuple(
            Command(channel.protect_command(step.command, counter + 2 * index + 1), step.allowed)
            for index, step in enumerate(first + steps)
        )
        plain = () if self.opening is None else (Command(self.opening.command.encode()),)
        return Batch(plain + commands, note, progress)

    def open(self, answers: tuple[bytes, ...]) -> tuple[Answer, ...]:
        """Open the answers to the last batch and move the counter on. Raises ChannelBroken; on the first
        batch after PACE also WrongAccessKey and NoTravelDocument.

        9303-11 9.8.3: a chip may answer an error unprotected. Some then end the channel, some do not count
        the command, some go on. If the answers after it still verify it went on; if none came after it,
        nobody can know, and the channel is given up.
        """
        opening, self.opening = self.opening, None
        if opening is not None:
            return self._open_first(opening, answers)
        opened = tuple(self._open(index, answer) for index, answer in enumerate(answers))
        counter = self.session.counter + 2 * len(answers)
        self.session = replace(self.session, counter=counter)
        self.alive = bool(opened) and not opened[-1].plain
        return opened

    def _open_first(self, opening: Opening, answers: tuple[bytes, ...]) -> tuple[Answer, ...]:
        """The answers to the opening message and to the selection, then those to the batch."""
        if not answers:
            self.alive = False
            return ()
        response = parse_response(answers[0])
        if response.status != OK:
            raise _refusal(response)
        opening.check(response.data)
        opened = self.open(answers[1:])
        if opened and opened[0].status != OK:
            raise NoTravelDocument(f"the chip refuses the application (status {opened[0].status:04X})")
        return opened[1:]

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
    return Terminal(bac.complete(begun, response.data), takes_extended, "BAC")


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


def open_with_pace(info: PaceInfo, access: Access, rng: Rng, *, extended: bool) -> Protocol[Terminal]:
    """Do PACE up to its last message: two round trips; the last one opens the first batch.

    Extended length is tried on the selection of EF.CardAccess, outside any channel. Raises ChannelBroken,
    UnexpectedAnswer, WrongAccessKey.
    """
    flight, mapping = pace.begin(info, access, rng)
    before: tuple[Command, ...] = (Command(select_master_file().encode(), MASTER_FILE_ANSWERS),)
    probe = (Command(replace(select_file(CARD_ACCESS.file_id), extended=True).encode(), (OK, *PROBE_REFUSALS)),)
    before += probe if extended else ()
    choose, *rest = (command.encode() for command in flight)
    commands = (*before, Command(choose, (OK, *TRIES_LEFT)), *map(Command, rest))
    answers = [parse_response(answer) for answer in (yield Batch(commands, "access", (0.0, 0.02)))]
    if len(answers) != len(commands) or answers[-1].status != OK:
        raise _refusal(answers[-1])
    command, agreement = pace.agree(mapping, answers[-2].data, answers[-1].data, rng)
    (answer,) = yield Batch((Command(command.encode()),), "access", (0.02, 0.05))
    response = parse_response(answer)
    if response.status != OK:
        raise _refusal(response)
    opening, session = pace.complete(agreement, response.data)
    return Terminal(session, extended and answers[1].status == OK, info.name, opening)


def _refusal(response: ResponseApdu) -> WrongAccessKey | UnexpectedAnswer:
    """63xx, 6982, 6985 and 6988 all occur for a key that does not open (9303-11 4.3.4 leaves it open)."""
    status = response.status
    if status >> 8 == 0x63 or status in (0x6982, 0x6983, 0x6985, 0x6988, 0x6A80):
        return WrongAccessKey(status & 0x0F if status >> 4 == 0x63C else None)
    return UnexpectedAnswer("the chip refuses the access protocol", status)
