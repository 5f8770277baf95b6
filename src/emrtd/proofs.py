"""How a chip is asked to prove itself while it is read, and what its answers leave to be checked.

Chip authentication comes first, since some chips refuse active authentication before it; active authentication
follows in the new channel. Both travel in the batch after the one that read the keys. A chip that showed its key by
its PACE mapping need not show it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emrtd import chip_authentication
from emrtd.active_authentication import CHALLENGE, internal_authenticate
from emrtd.apdu import OK
from emrtd.chip_authentication import Agreement, Evidence, Offer
from emrtd.contact import WRONG_OFFSET
from emrtd.errors import ChannelBroken, Malformed
from emrtd.files import CARD_SECURITY, DG1, DG14, DG15, group_file, select_file
from emrtd.gathering import Gathering
from emrtd.lds.security_infos import parse_dg14
from emrtd.pace import ChipMapping
from emrtd.rng import Rng
from emrtd.steps import Answer, ReadStep

REFUSALS_MAX = 2
SHOWN, INFOS, KEY = (group_file(number).file_id for number in (DG1, DG14, DG15))
NO_FILE = (0x6A82, 0x6A83, 0x6A86, 0x6A88, 0x6982, 0x6985, 0x6986, 0x6283, 0x6400)
NO_PROOF = (
    *NO_FILE, 0x6300, 0x6700, 0x6900, 0x6984, 0x6A80, 0x6A81, WRONG_OFFSET, 0x6D00, 0x6E00, 0x6F00,
)  # fmt: skip


@dataclass
class Proofs:
    """What was asked and answered so far. ``mapping`` is what PACE left, where it left anything."""

    rng: Rng
    challenge: bytes = field(default=b"", repr=False)
    response: bytes = field(default=b"", repr=False)
    mapping: ChipMapping | None = None
    evidence: Evidence | None = None
    agreement: Agreement | None = field(default=None, repr=False)
    challenge_refusals: int = 0
    agreement_refusals: int = 0
    offers: tuple[Offer, ...] | None = field(default=None, repr=False)

    def missing(self, files: Mapping[int, Gathering]) -> bool:
        """Whether the chip is still to be asked for anything, as far as its `files` are known."""
        return self._wants_challenge(files) or self._offer(files) is not None

    def steps(self, files: Mapping[int, Gathering], *, extended: bool) -> Iterable[ReadStep]:
        """What to ask now: nothing until it is known which keys the chip has."""
        infos, key = files.get(INFOS), files.get(KEY)
        if (infos and not infos.done) or (key and not (key.done or key.gathered)):
            return
        offer = self._offer(files)
        if offer is not None:
            yield from self._agree(offer)
        if self._wants_challenge(files):
            self.challenge = self.challenge or self.rng(CHALLENGE)
            command = internal_authenticate(self.challenge, extended=extended)
            yield ReadStep(command, (OK, *NO_PROOF), kind="challenge")

    def _agree(self, offer: Offer) -> Iterable[ReadStep]:
        try:
            self.agreement = chip_authentication.agree(offer, self.rng)
        except ChannelBroken:  # a key with which nothing can be agreed: the document's fault, told when it is checked
            self.agreement_refusals = REFUSALS_MAX
            return
        *first, last = self.agreement.commands
        yield from (ReadStep(command, kind="agree") for command in first)
        yield ReadStep(last, kind="agree", then=self.agreement.session)
        yield ReadStep(select_file(SHOWN), (OK, *NO_FILE), kind="shown")

    def _wants_challenge(self, files: Mapping[int, Gathering]) -> bool:
        key = files.get(KEY)
        return bool(key and not key.absent and not self.response and self.challenge_refusals < REFUSALS_MAX)

    def _offer(self, files: Mapping[int, Gathering]) -> Offer | None:
        infos, security = files.get(INFOS), files.get(CARD_SECURITY.file_id)
        shown = self.mapping is not None and security is not None and not security.absent
        if infos is None or infos.absent or not infos.done or self.evidence or shown:
            return None
        if self.agreement_refusals >= REFUSALS_MAX:
            return None
        if self.offers is None:  # read once: keys are validated, which takes time
            self.offers = _offers(infos.content())
        return self.offers[0] if self.offers else None

    def absorb(self, step: ReadStep, answer: Answer) -> None:
        """Learn from the answer to a step of "agree", "shown" or "challenge".

        A refusal inside the channel is final; one outside it may be an accident, and is asked once more.
        """
        weight = 1 if answer.plain else REFUSALS_MAX
        if step.kind == "shown" and self.agreement:
            self.evidence = self.agreement.evidence(answer.raw, answer.counter)
        elif step.kind == "agree" and answer.status != OK:
            self.agreement_refusals += weight
        elif step.kind == "challenge" and answer.status == OK and answer.data:
            self.response = answer.data
        elif step.kind == "challenge":
            self.challenge_refusals += weight


def _offers(content: bytes) -> tuple[Offer, ...]:
    """What DG14 offers; nothing where it cannot be read, which is told when the document is checked."""
    try:
        return chip_authentication.offers(parse_dg14(content))
    except Malformed:
        return ()
