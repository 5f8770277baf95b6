"""What to ask a chip next, and what its answers teach.

Lengths are not known when the first batch is computed, so it reads by guess, ordered so that a wrong guess
costs nothing: small files first, the portrait last and open-ended, stopped by the chip at the end of the
file. Whatever is missing afterwards (a file longer than guessed, a chip that gives less per read than asked,
a channel that broke) is asked again, by then with known lengths; sizes step down a ladder, and a chip that
ends its channel at an error is not asked by guess a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from emrtd.apdu import OK
from emrtd.contact import CORRECT_LENGTH, END_OF_FILE, GO_ON, WRONG_OFFSET
from emrtd.errors import Malformed, MalformedFile, NoTravelDocument, ReadRefused
from emrtd.files import (
    CARD_SECURITY,
    COM,
    GROUP_TAGS,
    SOD,
    ElementaryFile,
    read_binary,
    read_content,
    select_application,
    select_file,
    select_master_file,
)
from emrtd.gathering import HEADER_MAX, Gathering
from emrtd.lds.com import parse_com
from emrtd.lds.sod import parse_sod
from emrtd.passive import RawDocument
from emrtd.proofs import NO_FILE, Proofs
from emrtd.steps import Answer, Place, ReadStep

EXTENDED_READ = 1024
SHORT_READS = (223, 192, 160, 128, 112, 64)  # the ladder: what chips were found to take, downwards
SMALLEST_READ = 16
GUESSES = {COM.file_id: 30, SOD.file_id: 2500, CARD_SECURITY.file_id: 2500, 0x0101: 95, 0x0102: 0x8000, 0x010E: 892}
GUESS = 440  # DG11, DG15: two short reads; DG14 four, for the chip's proof waits for the whole of it
STEPS_MAX, REFUSALS_MAX = 400, 2


@dataclass
class ReadingPlan:
    """Everything a reading has learned of its chip: `plan` asks, `absorb` learns, `document` ends."""

    files: dict[int, Gathering]
    proofs: Proofs
    card_access: bytes | None = field(default=None, repr=False)
    size: int = EXTENDED_READ
    careful: bool = False

    @property
    def complete(self) -> bool:
        """Nothing is left to ask."""
        return all(item.done for item in self.files.values()) and not self.proofs.missing(self.files)

    @property
    def progress(self) -> float:
        wanted = sum(min(item.total or item.guess, 20_000) for item in self.files.values() if not item.absent)
        return min(1.0, sum(item.gathered for item in self.files.values()) / max(1, wanted))

    def plan(self, place: Place, *, extended: bool) -> tuple[ReadStep, ...]:
        """The next batch, from `place` on: what proves the chip, what is missing of every file, the portrait last."""
        return tuple(islice(self._wanted(place, extended=extended), STEPS_MAX))

    def _wanted(self, place: Place, *, extended: bool) -> Iterator[ReadStep]:
        """Everything still to ask, one after the other: a chip may claim to be long, and give single bytes."""
        size = self.size if extended else min(self.size, SHORT_READS[0])
        pending = [item for item in self.files.values() if not item.done]
        if self.careful:
            pending = self._surely_there(pending)
        outside = [item for item in pending if item.file.in_master_file]
        inside = [item for item in pending if not item.file.in_master_file]
        yield from self._outside(outside, place, size, extended)
        if place == "master file" or outside:
            yield ReadStep(select_application(), kind="place", place="application")
        yield from self.proofs.steps(self.files, extended=extended)
        for item in inside:
            yield from self._read_file(item, size, extended, last=item is inside[-1])

    def _outside(self, files: list[Gathering], place: Place, size: int, extended: bool) -> Iterable[ReadStep]:
        """EF.CardSecurity, in the master file."""
        if files and place == "application":
            yield ReadStep(select_master_file(), GO_ON, kind="place", place="master file")
        for item in files:
            yield from self._read_file(item, size, extended)

    def _surely_there(self, pending: list[Gathering]) -> list[Gathering]:
        """Where asking in vain costs the channel: EF.COM and the security object first, then what either of them lists.

        EF.COM is not signed and may leave groups out; the security object names all that were signed.
        """
        lists = [self.files[file.file_id] for file in (COM, SOD)]
        missing = [item for item in lists if not item.done]
        if missing:
            return [item for item in pending if item in missing or item.file.in_master_file]
        listed = _listed(lists[0], lambda content: parse_com(content).groups)
        signed = _listed(lists[1], lambda content: parse_sod(content).hashes)
        if listed or signed:
            for file_id, item in self.files.items():
                number = file_id - 0x0100
                item.absent = item.absent or (number in GROUP_TAGS and number not in listed | signed)
        return [item for item in pending if not item.absent]

    def _read_file(self, item: Gathering, size: int, extended: bool, *, last: bool = False) -> Iterable[ReadStep]:
        file_id = item.file.file_id
        yield ReadStep(select_file(file_id), (OK,) if last else (OK, *NO_FILE), kind="select", file_id=file_id)
        known, size = item.total is not None, min(size, item.limit)
        go_on: tuple[int, ...] = (OK, END_OF_FILE)
        if not known:  # the portrait is open-ended: the chip stops the batch where the file ends
            go_on = (OK,) if last else (OK, END_OF_FILE, WRONG_OFFSET, *NO_FILE)
        for start, end in ((0, HEADER_MAX),) if self.careful and not known else item.gaps:
            for offset in range(start, end, size):
                length = min(size, end - offset) if known or self.careful else size
                command = read_binary(offset, length, extended=extended)
                yield ReadStep(command, go_on, file_id=file_id, offset=offset, length=length)

    def absorb(self, steps: tuple[ReadStep, ...], answers: tuple[Answer, ...]) -> None:
        """Learn from the answers. A plain error followed by nothing good is the one that counts.

        Raises NoTravelDocument, ReadRefused, MalformedFile.
        """
        selected = 0
        for index, (step, answer) in enumerate(zip(steps, answers, strict=False)):
            if step.kind == "select":
                selected = step.file_id if answer.status == OK else 0
                self._absorb_select(step, answer)
            elif step.kind == "read":
                if selected == step.file_id:
                    self._absorb_read(step, answer)
            elif step.kind == "place":
                self._absorb_place(step, answer)
            else:
                self.proofs.absorb(step, answer)
            if answer.plain and all(later.plain for later in answers[index:]):
                self.careful = True  # what follows only says that the channel is closed: guess no more
                return

    def _absorb_place(self, step: ReadStep, answer: Answer) -> None:
        if step.place == "application" and answer.status != OK:
            raise NoTravelDocument(f"the chip refuses the application (status {answer.status:04X})")

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
        if answer.status in (OK, END_OF_FILE):
            if len(data) < step.length:
                self._absorb_short(item, step.offset + len(data), data, ended=answer.status == END_OF_FILE)
        elif answer.status == WRONG_OFFSET:
            self._absorb_wrong_offset(item, step)
        else:
            self._absorb_refusal(item, step, answer)

    def _absorb_short(self, item: Gathering, position: int, data: bytes, *, ended: bool) -> None:
        """Fewer bytes than asked: the end of the file, or, before the end that its header tells, the most that this
        chip gives, whether or not it calls it the end. At a real end that comes early, the next read has nothing."""
        total = item.total
        if data and total is not None and position < total:
            self.size = max(SMALLEST_READ, min(self.size, len(data)))
        elif ended or not data:
            item.end = _nearer(item.end, position)

    def _absorb_wrong_offset(self, item: Gathering, step: ReadStep) -> None:
        """Beyond the end of the file; or, at a place that the file must have, a size the chip does not take."""
        total = item.total
        if total is None and step.offset:
            item.end = _nearer(item.end, step.offset) if item.gathered else item.end
        elif step.offset <= item.reached and (total is None or step.offset < total):
            self._step_down(item, step, WRONG_OFFSET)

    def _step_down(self, item: Gathering, step: ReadStep, status: int) -> None:
        """The next size of the ladder; below it, the file ends where it is, or cannot be read."""
        lower = [size for size in SHORT_READS if size < step.length]
        if lower:
            self.size = min(self.size, lower[0])
        elif status == WRONG_OFFSET and step.offset:
            item.end = step.offset
        else:
            raise ReadRefused(f"{item.file.name} cannot be read", status)

    def _absorb_refusal(self, item: Gathering, step: ReadStep, answer: Answer) -> None:
        """A file the chip does not let read, or a size it does not take."""
        item.refusals += 1
        if answer.status in NO_FILE:
            item.absent = not answer.plain or item.refusals >= REFUSALS_MAX
        elif answer.status >> 8 == CORRECT_LENGTH and answer.status & 0xFF:
            self._absorb_correct_length(item, answer.status & 0xFF)
        else:
            self._step_down(item, step, answer.status)
            self.careful = True

    def _absorb_correct_length(self, item: Gathering, length: int) -> None:
        """6Cxx: what the chip gives to any read; or, where that is little, what is left of this file."""
        if length < SHORT_READS[-1]:
            item.limit = length
        else:
            self.size = min(self.size, length)

    def document(self, protocol: str) -> RawDocument:
        """What was read, when nothing is left. Raises MalformedFile without a security object."""
        contents = {file_id: item.content() for file_id, item in self.files.items() if not item.absent}
        sod, com, security = (contents.pop(file.file_id, None) for file in (SOD, COM, CARD_SECURITY))
        if sod is None:
            raise MalformedFile("SOD", "the chip has none")
        proofs = self.proofs
        return RawDocument(
            sod=sod,
            groups={file_id - 0x0100: content for file_id, content in contents.items()},
            com=com,
            card_access=self.card_access,
            card_security=security,
            challenge=proofs.challenge if proofs.response else b"",
            response=proofs.response,
            chip_authentication=proofs.evidence,
            chip_mapping=proofs.mapping,
            protocol=protocol,
        )


def _listed(item: Gathering, read: Callable[[bytes], Iterable[int]]) -> set[int]:
    """The data groups that a file lists; none where it is absent or cannot be read, which is told when it is checked."""
    try:
        return set() if item.absent else set(read(item.content()))
    except Malformed:
        return set()


def _nearer(end: int | None, offset: int) -> int:
    return offset if end is None else min(end, offset)


def gatherings(
    groups: tuple[ElementaryFile, ...], resume: Mapping[int, Mapping[int, bytes]], *, card_security: bool
) -> dict[int, Gathering]:
    """The files in reading order: short ones first, the longest, which is left open-ended, last."""
    wanted = [COM, SOD, *groups]
    wanted.sort(key=lambda file: GUESSES.get(file.file_id, GUESS))
    wanted = [CARD_SECURITY, *wanted] if card_security else wanted  # in the master file, where a session begins
    found = {file.file_id: Gathering(file, GUESSES.get(file.file_id, GUESS)) for file in wanted}
    for file_id, pieces in resume.items():
        if file_id in found:
            found[file_id].resume(pieces)
    return found
