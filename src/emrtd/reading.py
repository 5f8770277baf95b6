"""Read a travel document over any distance, in as few round trips as can honestly be had.

After the first contact BAC takes three batches: authenticate; read every file; let the chip prove itself. PACE takes
four: nonce and mapping; key agreement; the terminal's token with every read behind it; the chip's proof.
`emrtd.reading_plan` decides what the batches hold and what, if anything, must be asked again.

The proof of PACE's chip authentication mapping is of the chip in one channel, and EF.CardSecurity does not say whose
files it belongs to. So each channel so made reads the security object anew, which ties all other files to that chip.

A chip that advertises PACE is never opened with BAC. DG3 and DG4 are never selected.
"""

from __future__ import annotations

from collections.abc import Mapping

from emrtd.contact import FIRST_CONTACT, Contact, look_again, read_contact
from emrtd.errors import AccessNumberNeedsPace, PaceNotSupported, ReadRefused, TagLost
from emrtd.exchange import Answers, Protocol
from emrtd.files import DG1, DG2, DG11, DG14, DG15, SOD, group_file
from emrtd.keys import Access, Can
from emrtd.lds.security_infos import parse_security_infos
from emrtd.pace import CHIP_AUTHENTICATION, PaceInfo, supported
from emrtd.passive import RawDocument
from emrtd.proofs import Proofs
from emrtd.reading_plan import ReadingPlan, gatherings
from emrtd.rng import Rng
from emrtd.steps import Place
from emrtd.terminal import Terminal, open_with_bac, open_with_pace

DEFAULT_FILES = (DG1, DG2, DG11, DG14, DG15)
SESSIONS_MAX, BATCHES_MAX = 6, 40


def read_document(
    access: Access,
    *,
    rng: Rng,
    contact: Answers = (),
    files: tuple[int, ...] = DEFAULT_FILES,
    extended: bool = True,
    resume: Mapping[int, Mapping[int, bytes]] | None = None,
) -> Protocol[RawDocument]:
    """Open the chip with what is printed on it, read `files` and the security object, let the chip prove itself.

    `contact` are the answers to `emrtd.contact.FIRST_CONTACT`, which is asked here, for one round trip more, where it
    is (); `files` are data group numbers; `extended` says that the reading device carries extended length; `resume` is
    ``TagLost.read`` of an interrupted reading.
    Files the chip does not have are simply not in the result.

    Raises WrongAccessKey, PaceNotSupported, AccessNumberNeedsPace, NoTravelDocument, TagLost (its
    ``read`` is kept for `resume`), ReadRefused, UnexpectedAnswer, ChannelBroken, MalformedFile.
    """
    wanted = tuple(map(group_file, dict.fromkeys(files)))
    met = yield from look_again(read_contact(contact or (yield FIRST_CONTACT)))
    pace = _advertised(met)
    found = gatherings(wanted, resume or {}, card_security=pace is not None and pace.mapping == CHIP_AUTHENTICATION)
    reading = ReadingPlan(found, Proofs(rng), card_access=met.card_access)
    challenge = met.challenge
    for _ in range(SESSIONS_MAX):
        if pace is not None and pace.mapping == CHIP_AUTHENTICATION:
            reading.files[SOD.file_id].forget()  # a mapping vouches for what its own channel carried, and no more
        terminal = yield from _open(access, pace, met, challenge, rng, extended=extended and met.extended)
        yield from _read_all(reading, terminal)
        if reading.complete:
            return reading.document(terminal.protocol)
        challenge = b""  # one challenge opens one channel
    raise ReadRefused("the chip ended its channel again and again")


def _advertised(contact: Contact) -> PaceInfo | None:
    """The way of PACE to use; None where the chip advertises none at all. Raises PaceNotSupported."""
    if contact.card_access is None:
        return None
    infos = parse_security_infos(contact.card_access)
    info = supported(infos)
    if info is None and infos.pace:
        raise PaceNotSupported("the chip advertises no standardised way of PACE; BAC must not be used")
    return info


def _open(
    access: Access, pace: PaceInfo | None, contact: Contact, challenge: bytes, rng: Rng, *, extended: bool
) -> Protocol[Terminal]:
    if pace is not None:
        place: Place = "application" if contact.in_application and contact.application else "master file"
        return (yield from open_with_pace(pace, access, rng, place=place, extended=extended))
    if isinstance(access, Can):
        raise AccessNumberNeedsPace("a card access number opens PACE only, which the chip does not offer")
    return (yield from open_with_bac(access, challenge, rng, extended=extended))


def _read_all(reading: ReadingPlan, terminal: Terminal) -> Protocol[None]:
    """Batches until nothing is missing or the channel has ended."""
    for _ in range(BATCHES_MAX):
        if reading.complete or not terminal.alive:
            return
        steps = reading.plan(terminal.place, extended=terminal.extended)
        try:
            answers = yield terminal.protect(steps, "reading", (max(0.05, reading.progress), 1.0))
        except TagLost as lost:
            reading.absorb(steps, terminal.open(steps, lost.answers))
            read = {file_id: item.pieces for file_id, item in reading.files.items()}
            raise TagLost(lost.answers, read) from lost
        opened = terminal.open(steps, answers)
        reading.proofs.mapping = terminal.mapping or reading.proofs.mapping
        reading.absorb(steps, opened)
    raise ReadRefused("the chip gives no progress")
