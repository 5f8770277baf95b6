"""What to ask a chip next, and what its answers teach.

Lengths are not known when the first batch is computed, so it reads by guess, ordered so that a wrong guess
costs nothing: small files first, the portrait last and open-ended, stopped by the chip at the end of the
file. Whatever is missing afterwards (a file longer than guessed, a chip that gives less per read than asked,
a channel that broke) is asked again, by then with known lengths; sizes step down a ladder, and a chip that
ends its channel at an error is not asked by guess a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emrtd.active_authentication import internal_authenticate
from emrtd.apdu import OK
from emrtd.errors import MalformedFile, ReadRefused
from emrtd.files import (
    COM,
    DG15,
    NEVER_SELECTED,
    SOD,
    group_file,
    read_binary,
    read_content,
    select_file,
)
from emrtd.gathering import HEADER_MAX, Gathering
from emrtd.lds.com import parse_com
from emrtd.passive import RawDocument
from emrtd.terminal import Answer, Step

EXTENDED_READ = 1024
SHORT_READS = (223, 192, 160, 128, 112, 64)  # the ladder: what chips were found to take, downwards
SMALLEST_READ = 16
GUESSES = {COM.file_id: 30, SOD.file_id: 2500, 0x0101: 95, 0x0102: 0x8000}
GUESS = 440  # DG11, DG14, DG15: two short reads
STEPS_MAX, REFUSALS_MAX = 400, 2

END_OF_FILE, WRONG_OFFSET, WRONG_LENGTH, CORRECT_LENGTH = 0x6282, 0x6B00, 0x6700, 0x6C
NO_FILE = (0x6A82, 0x6A83, 0x6A86, 0x6A88, 0x6982, 0x6985, 0x6986, 0x6283, 0x6400)
NO_ACTIVE_AUTHENTICATION = (
    0x6300, 0x6400, 0x6700, 0x6900, 0x6982, 0x6984, 0x6985, 0x6986, 0x6A80, 0x6A81, 0x6A82, 0x6A86, 0x6A88,
    0x6B00, 0x6D00, 0x6E00, 0x6F00,
)  # fmt: skip


@dataclass(frozen=True)
class ReadStep(Step):
    """A step and the file it serves; ``length`` 0 for SELECT, -1 for INTERNAL AUTHENTICATE."""

    file_id: int = 0
    offset: int = 0
    length: int = 0


@dataclass
class ReadingPlan:
    """Everything a reading has learned of its chip: `plan` asks, `absorb` learns, `document` ends."""

    files: dict[int, Gathering]
    challenge: bytes
    response: bytes = b""
    challenge_refusals: int = 0
    size: int = EXTENDED_READ
    careful: bool = False
    card_access: bytes | None = field(default=None, repr=False)

    @property
    def wants_challenge(self) -> bool:
        key = self.files.get(group_file(DG15).file_id)
        return bool(key and not key.absent and not self.response and self.challenge_refusals < REFUSALS_MAX)

    @property
    def progress(self) -> float:
        wanted = sum(min(item.total or item.guess, 20_000) for item in self.files.values() if not item.absent)
        return min(1.0, sum(item.gathered for item in self.files.values()) / max(1, wanted))

    def plan(self, *, extended: bool) -> tuple[ReadStep, ...]:
        """The next batch: what is missing of every file, the portrait last; () when all is here."""
        size = self.size if extended else min(self.size, SHORT_READS[0])
        if self.careful:
            self._believe_com()
        pending = [item for item in self.files.values() if not item.done]
        steps = [step for item in pending[:-1] for step in self._read_file(item, size, extended)]
        if self.wants_challenge:
            command = internal_authenticate(self.challenge, extended=extended)
            steps.append(ReadStep(command, (OK, *NO_ACTIVE_AUTHENTICATION), length=-1))
        for item in pending[-1:]:
            steps += self._read_file(item, size, extended, last=True)
        return tuple(steps[:STEPS_MAX])

    def _believe_com(self) -> None:
        """Do not ask for files that EF.COM does not list, where asking in vain costs the channel.

        EF.COM is not signed, but hiding a file gains nothing: the security object lists what was signed.
        """
        com = self.files[COM.file_id]
        if com.done and not com.absent:
            listed = {
                group_file(number).file_id for number in parse_com(com.content()).groups if number not in NEVER_SELECTED
            }
            for file_id, item in self.files.items():
                item.absent = item.absent or file_id not in listed | {COM.file_id, SOD.file_id}

    def _read_file(self, item: Gathering, size: int, extended: bool, *, last: bool = False) -> Iterable[ReadStep]:
        file_id = item.file.file_id
        yield ReadStep(select_file(file_id), (OK,) if last else (OK, *NO_FILE), file_id)
        known = item.total is not None
        go_on: tuple[int, ...] = (OK, END_OF_FILE)
        if not known:  # the portrait is open-ended: the chip stops the batch where the file ends
            go_on = (OK,) if last else (OK, END_OF_FILE, WRONG_OFFSET, *NO_FILE)
        for start, end in ((0, HEADER_MAX),) if self.careful and not known else item.gaps:
            for offset in range(start, end, size):
                length = min(size, end - offset) if known or self.careful else size
                yield ReadStep(read_binary(offset, length, extended=extended), go_on, file_id, offset, length)

    def absorb(self, steps: tuple[ReadStep, ...], answers: tuple[Answer, ...]) -> None:
        """Learn from the answers. A plain error followed by nothing good is the one that counts."""
        selected = 0
        for index, (step, answer) in enumerate(zip(steps, answers, strict=False)):
            if step.length == -1:
                self._absorb_challenge(answer)
            elif step.length == 0:
                selected = step.file_id if answer.status == OK else 0
                self._absorb_select(step, answer)
            elif selected == step.file_id:
                self._absorb_read(step, answer)
            if answer.plain and all(later.plain for later in answers[index:]):
                self.careful = True  # what follows only says that the channel is closed: guess no more
                return

    def _absorb_challenge(self, answer: Answer) -> None:
        if answer.status == OK and answer.data:
            self.response = answer.data
        else:
            self.challenge_refusals += 1 if answer.plain else REFUSALS_MAX

    def _absorb_select(self, step: ReadStep, answer: Answer) -> None:
        """A file is absent if the chip says so inside the channel, or outside it more than once."""
        item = self.files[step.file_id]
        if answer.status == OK:
            return
        item.refusals += 1
        item.absent = not answer.plain or item.refusals >= REFUSALS_MAX or answer.status == 0x6A82

    def _absorb_read(self, step: ReadStep, answer: Answer) -> None:
        item = self.files[step.file_id]
        data = read_content(step.command, answer.data) if answer.status in (OK, END_OF_FILE) else b""
        if data:
            item.add(step.offset, data)
        short = len(data) < step.length
        if answer.status == END_OF_FILE and short:
            item.end = step.offset + len(data)
        elif answer.status == OK and short:
            self._absorb_short(item, step, len(data))
        elif answer.status == WRONG_OFFSET:
            item.end = _nearer(item.end, step.offset) if item.gathered else item.end
        elif answer.status not in (OK, END_OF_FILE):
            self._absorb_refusal(item, step, answer)

    def _absorb_short(self, item: Gathering, step: ReadStep, length: int) -> None:
        """A success with fewer bytes: the end of the file, or the most this chip gives."""
        total = item.total
        if total is not None and step.offset + length < total and length:
            self.size = max(SMALLEST_READ, min(self.size, length))
        elif not length:
            item.end = _nearer(item.end, step.offset)

    def _absorb_refusal(self, item: Gathering, step: ReadStep, answer: Answer) -> None:
        """A file the chip does not let read, or a size it does not take: step down the ladder."""
        item.refusals += 1
        if answer.status in NO_FILE:
            item.absent = not answer.plain or item.refusals >= REFUSALS_MAX
        elif answer.status >> 8 == CORRECT_LENGTH and answer.status & 0xFF:
            self.size = max(SMALLEST_READ, min(self.size, answer.status & 0xFF))
        else:
            lower = [size for size in SHORT_READS if size < min(step.length, self.size)]
            if not lower:
                raise ReadRefused(f"{item.file.name} cannot be read", answer.status)
            self.size, self.careful = lower[0], True

    def document(self, protocol: str) -> RawDocument:
        """What was read, when `plan` has nothing left. Raises MalformedFile without a security object."""
        contents = {file_id: item.content() for file_id, item in self.files.items() if not item.absent}
        sod, com = contents.pop(SOD.file_id, None), contents.pop(COM.file_id, None)
        if sod is None:
            raise MalformedFile("SOD", "the chip has none")
        groups = {file_id - 0x0100: content for file_id, content in contents.items()}
        return RawDocument(
            sod=sod,
            groups=groups,
            com=com,
            card_access=self.card_access,
            challenge=self.challenge if self.response else b"",
            response=self.response,
            protocol=protocol,
        )


def _nearer(end: int | None, offset: int) -> int:
    return offset if end is None else min(end, offset)


def gatherings(files: tuple[int, ...], resume: Mapping[int, Mapping[int, bytes]]) -> dict[int, Gathering]:
    """The files in reading order: short ones first, the longest, which is left open-ended, last."""
    wanted = [COM, SOD, *(group_file(number) for number in dict.fromkeys(files))]
    wanted.sort(key=lambda file: GUESSES.get(file.file_id, GUESS))
    found = {file.file_id: Gathering(file, GUESSES.get(file.file_id, GUESS)) for file in wanted}
    for file_id, pieces in resume.items():
        if file_id in found:
            found[file_id].resume(pieces)
    return found
