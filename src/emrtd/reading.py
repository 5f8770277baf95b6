"""Read a travel document over any distance, in as few round trips as can honestly be had.

With BAC three batches suffice: ask a challenge; authenticate; then one batch that reads every file and does
active authentication. With PACE also three: nonce and mapping; key agreement; then the terminal's token
with everything else behind it. `emrtd.reading_plan` decides what that last batch holds and what, if
anything, must be asked again.

A chip that advertises PACE is never opened with BAC. DG3 and DG4 are never selected.
"""

from __future__ import annotations

from collections.abc import Mapping

from emrtd.active_authentication import CHALLENGE
from emrtd.apdu import OK, parse_response
from emrtd.errors import AccessNumberNeedsPace, MalformedApdu, PaceNotSupportedYet, ReadRefused, TagLost
from emrtd.exchange import Answers, Batch, Command, Protocol
from emrtd.files import CARD_ACCESS, DG1, DG2, DG11, DG14, DG15, read_binary, select_file, select_master_file
from emrtd.keys import Access, Can
from emrtd.lds.security_infos import parse_security_infos
from emrtd.pace import PaceInfo, supported
from emrtd.passive import RawDocument
from emrtd.reading_plan import END_OF_FILE, WRONG_OFFSET, ReadingPlan, gatherings
from emrtd.rng import Rng
from emrtd.terminal import MASTER_FILE_ANSWERS, Terminal, open_with_bac, open_with_pace

DEFAULT_FILES = (DG1, DG2, DG11, DG14, DG15)
SESSIONS_MAX, BATCHES_MAX = 6, 40
CARD_ACCESS_READ = 112  # bytes, twice: the most that every chip met gives, and more than any EF.CardAccess met has

FIRST_CONTACT = Batch(
    (
        Command(select_master_file().encode(), MASTER_FILE_ANSWERS),  # refused by many chips, never fatal
        Command(select_file(CARD_ACCESS.file_id).encode()),
        Command(read_binary(0, CARD_ACCESS_READ).encode(), (OK, END_OF_FILE)),
        Command(read_binary(CARD_ACCESS_READ, CARD_ACCESS_READ).encode(), (OK, END_OF_FILE, WRONG_OFFSET)),
    ),
    "contact",
)
"""What a phone runs by itself on finding a chip: EF.CardAccess, which every PACE chip shows to anyone."""


def first_contact() -> Protocol[Answers]:
    """The first contact as a protocol, for a reader that is driven like the rest."""
    return (yield FIRST_CONTACT)


def card_access(answers: Answers) -> bytes | None:
    """EF.CardAccess from the answers to `FIRST_CONTACT`; None where the chip has none. Raises MalformedApdu."""
    if len(answers) > len(FIRST_CONTACT.commands):
        raise MalformedApdu(f"{len(answers)} answers to the first contact")
    reads = [parse_response(answer) for answer in answers[2:]]  # after the master file and the selection
    read = b"".join(response.data for response in reads if response.status in (OK, END_OF_FILE))
    return read or None


def read_document(
    access: Access,
    *,
    card_access_answers: Answers,
    rng: Rng,
    files: tuple[int, ...] = DEFAULT_FILES,
    extended: bool = True,
    resume: Mapping[int, Mapping[int, bytes]] | None = None,
) -> Protocol[RawDocument]:
    """Open the chip with what is printed on it, read `files` and the security object, challenge the chip.

    `card_access_answers` are the answers to `FIRST_CONTACT`; `files` data group numbers; `extended` says
    that the reading device carries extended length; `resume` is ``TagLost.read`` of an interrupted reading.
    Files the chip does not have are simply not in the result.

    Raises WrongAccessKey, PaceNotSupportedYet, AccessNumberNeedsPace, NoTravelDocument, TagLost (its
    ``read`` is kept for `resume`), ReadRefused, UnexpectedAnswer, ChannelBroken, MalformedFile.
    """
    shown = card_access(card_access_answers)
    pace = _advertised(shown)
    reading = ReadingPlan(gatherings(files, resume or {}), rng(CHALLENGE), card_access=shown)
    for _ in range(SESSIONS_MAX):
        terminal = yield from _open(access, pace, rng, extended=extended)
        yield from _read_all(reading, terminal)
        if not reading.plan(extended=terminal.extended):
            return reading.document(terminal.protocol)
    raise ReadRefused("the chip ended its channel again and again")


def _advertised(shown: bytes | None) -> PaceInfo | None:
    """The way of PACE to use; None where the chip advertises none at all. Raises PaceNotSupportedYet."""
    if shown is None:
        return None
    infos = parse_security_infos(shown)
    info = supported(infos)
    if info is None and infos.pace:
        raise PaceNotSupportedYet("the chip advertises no way of PACE that is spoken here; BAC must not be used")
    return info


def _open(access: Access, pace: PaceInfo | None, rng: Rng, *, extended: bool) -> Protocol[Terminal]:
    if pace is not None:
        return (yield from open_with_pace(pace, access, rng, extended=extended))
    if isinstance(access, Can):
        raise AccessNumberNeedsPace("a card access number opens PACE only, which the chip does not offer")
    return (yield from open_with_bac(access, rng, extended=extended))


def _read_all(reading: ReadingPlan, terminal: Terminal) -> Protocol[None]:
    """Batches until nothing is missing or the channel has ended."""
    for _ in range(BATCHES_MAX):
        steps = reading.plan(extended=terminal.extended)
        if not steps or not terminal.alive:
            return
        try:
            answers = yield terminal.protect(steps, "reading", (max(0.05, reading.progress), 1.0))
        except TagLost as lost:
            reading.absorb(steps, terminal.open(lost.answers))
            read = {file_id: item.pieces for file_id, item in reading.files.items()}
            raise TagLost(lost.answers, read) from lost
        reading.absorb(steps, terminal.open(answers))
    raise ReadRefused("the chip gives no progress")
