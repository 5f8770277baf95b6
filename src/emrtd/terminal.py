"""The terminal's end of a chip: opening a channel, sending protected batches, opening their answers."""

from __future__ import annotations

from dataclasses import dataclass

from emrtd import bac, pace
from emrtd.apdu import OK, CommandApdu, ResponseApdu, chain, parse_response
from emrtd.channel import Session
from emrtd.contact import GO_ON
from emrtd.errors import ChannelBroken, NoTravelDocument, UnexpectedAnswer, WrongAccessKey
from emrtd.exchange import Answers, Batch, Command, Protocol
from emrtd.files import select_application, select_master_file
from emrtd.keys import Access, MrzKey
from emrtd.pace import ChipMapping, Opening, PaceInfo
from emrtd.rng import Rng
from emrtd.steps import Answer, Place, Step

TRIES_LEFT = tuple(range(0x63C1, 0x63D0))  # MSE:Set AT warns that the password was tried wrongly before
PLAIN_DATA_MAX = 255
SHORT_DATA_MAX = 223  # of a command that is protected by AES: with padding and checksum, 255 bytes


@dataclass(frozen=True)
class _Sent:
    """One protected command: which step it belongs to, and whether it is the last part of it."""

    step: int
    last: bool
    session: Session
    renewed: bool


@dataclass
class Terminal:
    """An open channel and its counter. ``extended`` says that the chip takes extended length.

    After PACE one message is left, ``opening``: it goes first in the first batch. ``protocol`` names how the channel
    was made, ``place`` what is selected, ``mapping`` what the chip showed of itself by PACE.
    """

    session: Session
    extended: bool
    protocol: str
    place: Place
    opening: Opening | None = None
    mapping: ChipMapping | None = None
    alive: bool = True
    _sent: tuple[_Sent, ...] = ()

    def protect(self, steps: tuple[Step, ...], note: str, progress: tuple[float, float]) -> Batch:
        """Compute all commands ahead: command n is sent with counter + 2n + 1, answered with + 2n + 2."""
        session, renewed = self.session, False
        commands: list[Command] = [] if self.opening is None else [Command(self.opening.command.encode())]
        sent: list[_Sent] = []
        for index, step in enumerate(steps):
            parts = (step.command,) if self.extended else chain(step.command, SHORT_DATA_MAX)
            for part in parts:
                last = part is parts[-1]
                apdu = session.channel.protect_command(part, session.counter + 1)
                commands.append(Command(apdu, step.allowed if last else (OK,)))
                session = session.after(2)
                sent.append(_Sent(index, last, session, renewed))
            if step.then is not None:
                session, renewed = step.then, True
        self._sent = tuple(sent)
        return Batch(tuple(commands), note, progress)

    def open(self, steps: tuple[Step, ...], answers: Answers) -> tuple[Answer, ...]:
        """The answers to `steps`, and the counter moved on. Raises ChannelBroken; on the first batch after PACE
        also WrongAccessKey.

        9303-11 9.8.3: a chip may answer an error unprotected. Some then end the channel, some do not count
        the command, some go on. If the answers after it still verify it went on; if none came after it,
        nobody can know, and the channel is given up. An answer that does not open in a channel made anew by chip
        authentication is no fault of the wire: it is what a copied chip answers, and ends the answers.
        """
        answers = self._open_opening(answers)
        opened: list[Answer] = []
        self.alive = bool(answers)
        for sent, raw in zip(self._sent, answers, strict=False):
            answer = _open(sent, raw)
            self._go_on(sent, steps[sent.step], answer)
            if sent.last or answer.status != OK:
                opened.append(answer)
            self.alive = not answer.plain
            if answer.plain and not answer.status:
                break
        return tuple(opened)

    def _go_on(self, sent: _Sent, step: Step, answer: Answer) -> None:
        done = sent.last and answer.status == OK
        self.session = step.then if done and step.then else sent.session
        self.place = step.place if done and step.place else self.place

    def _open_opening(self, answers: Answers) -> Answers:
        """Check the answer to the opening message, if it was sent; the answers after it."""
        opening, self.opening = self.opening, None
        if opening is None or not answers:
            return answers
        response = parse_response(answers[0])
        if response.status != OK:
            raise _refusal(response)
        self.mapping = opening.check(response.data)
        self.alive = True
        return answers[1:]


def _open(sent: _Sent, raw: bytes) -> Answer:
    outer, counter = parse_response(raw), sent.session.counter
    if not outer.data and outer.status != OK:
        return Answer(outer.status, b"", plain=True, raw=raw, counter=counter)
    try:
        if not outer.data:
            raise ChannelBroken("a success that is not protected")
        inner = sent.session.channel.open_response(raw, counter)
    except ChannelBroken:
        if not sent.renewed:
            raise
        return Answer(0, b"", plain=True, raw=raw, counter=counter)
    return Answer(inner.status, inner.data, raw=raw, counter=counter)


def open_with_bac(access: MrzKey, challenge: bytes, rng: Rng, *, extended: bool) -> Protocol[Terminal]:
    """Do BAC: one round trip with the challenge of the first contact, else two.

    Raises NoTravelDocument, WrongAccessKey, UnexpectedAnswer, ChannelBroken.
    """
    challenge = challenge or (yield from _challenge())
    command, begun = bac.begin(access.seed, challenge, rng(bac.NONCE + bac.KEY_MATERIAL))
    (answer,) = yield Batch((Command(command.encode()),), "access", (0.02, 0.05))
    response = parse_response(answer)
    if response.status != OK:
        raise _refusal(response)
    return Terminal(bac.complete(begun, response.data), extended, "BAC", "application")


def _challenge() -> Protocol[bytes]:
    commands = Command(select_application().encode()), Command(bac.GET_CHALLENGE.encode())
    answers = yield Batch(commands, "access", (0.0, 0.02))
    opened = [parse_response(answer) for answer in answers]
    if opened[0].status != OK:
        raise NoTravelDocument(f"the chip refuses the application (status {opened[0].status:04X})")
    last = opened[-1]
    if len(answers) != len(commands) or last.status != OK:
        raise UnexpectedAnswer("the chip gives no challenge", last.status)
    return last.data


def open_with_pace(info: PaceInfo, access: Access, rng: Rng, *, place: Place, extended: bool) -> Protocol[Terminal]:
    """Do PACE up to its last message: two round trips; the last one opens the first batch.

    `place` is where EF.CardAccess was found. Raises ChannelBroken, UnexpectedAnswer, WrongAccessKey.
    """
    flight, mapping = pace.begin(info, access, rng)
    where = select_master_file() if place == "master file" else select_application()
    commands = [Command(where.encode(), GO_ON), *_plain(flight[0], extended, (OK, *TRIES_LEFT))]
    commands += [part for message in flight[1:] for part in _plain(message, extended)]
    answers = [parse_response(answer) for answer in (yield Batch(tuple(commands), "access", (0.0, 0.02)))]
    if len(answers) != len(commands) or answers[-1].status != OK:
        raise _refusal(answers[-1])
    nonce = answers[1 + len(_plain(flight[0], extended))].data
    command, agreement = pace.agree(mapping, nonce, answers[-1].data, rng)
    last = parse_response((yield Batch(_plain(command, extended), "access", (0.02, 0.05)))[-1])
    if last.status != OK:
        raise _refusal(last)
    opening, session = pace.complete(agreement, last.data)
    return Terminal(session, extended, info.name, place, opening)


def _plain(command: CommandApdu, extended: bool, allowed: tuple[int, ...] = (OK,)) -> tuple[Command, ...]:
    """A command as it is sent unprotected, in parts where it is long and the chip takes no extended length."""
    parts = (command,) if extended else chain(command, PLAIN_DATA_MAX)
    return tuple(Command(part.encode(), allowed if part is parts[-1] else (OK,)) for part in parts)


def _refusal(response: ResponseApdu) -> WrongAccessKey | UnexpectedAnswer:
    """63xx, 6982, 6985 and 6988 all occur for a key that does not open (9303-11 4.3.4 leaves it open)."""
    status = response.status
    if status >> 8 == 0x63 or status in (0x6982, 0x6983, 0x6985, 0x6988, 0x6A80):
        return WrongAccessKey(status & 0x0F if status >> 4 == 0x63C else None)
    return UnexpectedAnswer("the chip refuses the access protocol", status)
