"""The first contact: what anyone may ask a chip, before any key (ICAO 9303-11 4.2).

A phone runs it by itself on finding a chip and sends the answers along, so that the terminal, which may be far away,
begins with knowledge: does the chip speak PACE, does it take extended length, and, where it speaks BAC alone, its
challenge. The batch stops by itself where EF.CardAccess was read: a chip with PACE is asked nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emrtd.apdu import OK, ResponseApdu, parse_response
from emrtd.bac import GET_CHALLENGE, NONCE
from emrtd.errors import MalformedApdu, NoTravelDocument
from emrtd.exchange import Answers, Batch, Command, Protocol
from emrtd.files import (
    CARD_ACCESS,
    IDENTITY_APPLICATION,
    read_binary,
    select_application,
    select_file,
    select_master_file,
)

REFUSED = (
    0x6A82, 0x6A86, 0x6A87, 0x6A81, 0x6A80, 0x6A88, 0x6982, 0x6985, 0x6986, 0x6900, 0x6999, 0x6D00, 0x6E00, 0x6F00,
    0x6700, 0x6400, 0x6300,
)  # fmt: skip
"""What chips were found to say instead of a file, an application or a challenge that they do not give."""
END_OF_FILE, WRONG_OFFSET, CORRECT_LENGTH = 0x6282, 0x6B00, 0x6C
GO_ON = (OK, END_OF_FILE, WRONG_OFFSET, CORRECT_LENGTH << 8 | NONCE, *REFUSED)
READ = 112  # bytes, twice: the most that every chip met gives, and more than any EF.CardAccess met has
SMALL_READ = 64
CARD_ACCESS_MAX = 1 << 10

_PROBE = replace(select_file(CARD_ACCESS.file_id), extended=True)
FIRST_CONTACT = Batch(
    (
        Command(select_master_file().encode(), GO_ON),  # refused by many chips, never fatal
        Command(_PROBE.encode(), GO_ON),  # does the chip take extended length?
        Command(select_file(CARD_ACCESS.file_id).encode(), GO_ON),
        Command(read_binary(0, READ).encode(), GO_ON),
        Command(read_binary(READ, READ).encode(), REFUSED),  # with EF.CardAccess the contact ends here
        Command(select_application().encode(), GO_ON),
        Command(select_file(CARD_ACCESS.file_id).encode(), GO_ON),  # some show it only in the application
        Command(read_binary(0, READ).encode(), REFUSED),
        Command(replace(GET_CHALLENGE, extended=True).encode(), GO_ON),
        Command(GET_CHALLENGE.encode()),
    ),
    "contact",
    (0.0, 0.0),
)
SELECTED_EXTENDED, SELECTED, FIRST, SECOND, APPLICATION, _, IN_APPLICATION, CHALLENGED_EXTENDED, CHALLENGED = range(
    1, 10
)


@dataclass(frozen=True)
class Contact:
    """What the chip told. ``card_access`` is None where it shows none; ``challenge`` b"" where it gave none.

    ``in_application`` says that EF.CardAccess lies there, and PACE is done there; ``extended`` that the chip takes
    extended length, as far as it could be told; ``read_size`` what it gives at most to one read, 0 where it gave all.
    """

    card_access: bytes | None = None
    in_application: bool = False
    challenge: bytes = field(default=b"", repr=False)
    extended: bool = False
    application: bool = False
    read_size: int = 0


def first_contact() -> Protocol[Answers]:
    """The first contact as a protocol, for a reader that is driven like the rest."""
    return (yield FIRST_CONTACT)


def read_contact(answers: Answers) -> Contact:
    """What the answers to `FIRST_CONTACT` tell; a phone that left it out tells nothing. Raises MalformedApdu."""
    if len(answers) > len(FIRST_CONTACT.commands):
        raise MalformedApdu(f"{len(answers)} answers to the first contact")
    got = dict(enumerate(parse_response(answer) for answer in answers))
    shown, there = _read(got, FIRST) + _read(got, SECOND), _read(got, IN_APPLICATION)
    there = there if there[:1] == bytes((CARD_ACCESS.tag,)) else b""  # EF.CVCA has the same identifier there
    return Contact(
        card_access=(shown or there)[:CARD_ACCESS_MAX] or None,
        in_application=bool(there) and not shown,
        challenge=_challenge(got, CHALLENGED),
        extended=_ok(got, SELECTED_EXTENDED) or bool(_challenge(got, CHALLENGED_EXTENDED)),
        application=_ok(got, APPLICATION),
        read_size=_read_size(got),
    )


def _ok(got: dict[int, ResponseApdu], index: int) -> bool:
    return index in got and got[index].status == OK


def _read(got: dict[int, ResponseApdu], index: int) -> bytes:
    return got[index].data if index in got and got[index].status in (OK, END_OF_FILE) else b""


def _challenge(got: dict[int, ResponseApdu], index: int) -> bytes:
    return got[index].data if _ok(got, index) and len(got[index].data) == NONCE else b""


def _read_size(got: dict[int, ResponseApdu]) -> int:
    """What to ask next time, where a read of EF.CardAccess was refused for its length or may have been cut."""
    for index in (FIRST, IN_APPLICATION):
        if index in got and got[index].status >> 8 == CORRECT_LENGTH:
            return got[index].status & 0xFF or READ
        if _ok(got, index - 1) and index in got and got[index].status == 0x6700:
            return SMALL_READ
    return READ if _ok(got, IN_APPLICATION) and len(got[IN_APPLICATION].data) == READ else 0


def look_again(contact: Contact) -> Protocol[Contact]:
    """One more look where the first told too little: smaller reads, or the application of French identity cards.

    Nothing is asked where nothing is missing. Raises NoTravelDocument.
    """
    if contact.read_size:
        contact = replace(contact, card_access=(yield from _read_card_access(contact)), read_size=0)
    elif contact.card_access is None and not contact.application:
        found = yield from _in_identity_application()
        contact = replace(contact, card_access=found, in_application=True)
    return contact


def _read_card_access(contact: Contact) -> Protocol[bytes | None]:
    where = select_application() if contact.in_application else select_master_file()
    size = min(contact.read_size, READ)
    head = (Command(where.encode(), (OK, *REFUSED)), Command(select_file(CARD_ACCESS.file_id).encode()))
    reads = (Command(read_binary(at, size).encode()) for at in range(0, READ * 2, size))
    return _joined((yield Batch((*head, *reads), "contact")), 2)


def _in_identity_application() -> Protocol[bytes]:
    """French identity cards refuse the master file, and the travel application before PACE."""
    head = select_application(IDENTITY_APPLICATION), select_file(CARD_ACCESS.file_id)
    reads = read_binary(0, READ), read_binary(READ, READ)
    found = _joined((yield Batch(tuple(Command(one.encode()) for one in (*head, *reads)), "contact")), 2)
    if found is None:
        raise NoTravelDocument("the chip has neither a travel document nor EF.CardAccess")
    return found


def _joined(answers: Answers, skip: int) -> bytes | None:
    responses = [parse_response(answer) for answer in answers[skip:]]
    read = b"".join(response.data for response in responses if response.status in (OK, END_OF_FILE))
    return read[:CARD_ACCESS_MAX] or None
