"""The life of an account as one table of states and events (docs/protocols/approval.md, *The life of an account*)."""

from __future__ import annotations

from enum import StrEnum

from alicem.credential import Status


class State(StrEnum):
    ENROLLED = "enrolled"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LOCKED = "locked"
    CLOSED = "closed"
    EXPIRED = "expired"


class Event(StrEnum):
    """Each is a row of the journal, named by `JOURNAL`."""

    ENROL = "enrol"
    ACTIVATE = "activate"
    RENEW = "renew"
    SUSPEND = "suspend"
    CLONE = "clone"
    LOCK = "lock"
    REACTIVATE = "reactivate"
    CLOSE = "close"
    EXPIRE = "expire"


class Stage(StrEnum):
    """How far a phone is. `issued`: its first right code brings the account (back) and removes the earlier phones. `joining`: its first right
    code leaves them. `void`: a suspension came in between, its enrolment is worth nothing any more."""

    ISSUED = "issued"
    JOINING = "joining"
    ACTIVE = "active"
    VOID = "void"


class NotAllowed(Exception):
    """This event means nothing in this state."""


LIVING = (State.ENROLLED, State.ACTIVE, State.SUSPENDED, State.LOCKED)
"""What the database can hold; closed and expired accounts are erased."""

LIFE: dict[tuple[State | None, Event], State] = {
    (None, Event.ENROL): State.ENROLLED,
    (State.ENROLLED, Event.ACTIVATE): State.ACTIVE,
    (State.ACTIVE, Event.RENEW): State.ACTIVE,
    **{(state, Event.SUSPEND): State.SUSPENDED for state in LIVING},
    **{(state, Event.CLONE): State.SUSPENDED for state in LIVING},
    (State.ENROLLED, Event.LOCK): State.LOCKED,
    (State.ACTIVE, Event.LOCK): State.LOCKED,
    (State.SUSPENDED, Event.REACTIVATE): State.ACTIVE,
    (State.LOCKED, Event.REACTIVATE): State.ACTIVE,
    **{(state, Event.CLOSE): State.CLOSED for state in LIVING},
    **{(state, Event.EXPIRE): State.EXPIRED for state in LIVING},
}

STATUS: dict[State, Status] = {
    State.ENROLLED: Status.VALID,
    State.ACTIVE: Status.VALID,
    State.SUSPENDED: Status.SUSPENDED,
    State.LOCKED: Status.SUSPENDED,
    State.CLOSED: Status.REVOKED,
    State.EXPIRED: Status.REVOKED,
}
"""What the status list says of the credentials of the account's phones."""

JOURNAL: dict[Event, str] = {
    Event.ENROL: "account_enrolled",
    Event.ACTIVATE: "account_activated",
    Event.RENEW: "account_renewed",
    Event.SUSPEND: "account_suspended",
    Event.CLONE: "clone_suspected",
    Event.LOCK: "account_locked",
    Event.REACTIVATE: "account_reactivated",
    Event.CLOSE: "account_closed",
    Event.EXPIRE: "account_expired",
}

REFUSAL: dict[State, str] = {
    State.ENROLLED: "account_not_active",
    State.ACTIVE: "account_not_active",
    State.SUSPENDED: "account_suspended",
    State.LOCKED: "account_locked",
}
"""Why an instruction is refused that has no place in this state (an active account: by a phone that is not); a row of reasons.toml."""

_ALL = (
    "open",
    "approve",
    "suspend",
    "close",
    "change",
    "adopt",
    "suspension_code",
    "remove_others",
    "renew",
    "copy",
    "record",
    "activate",
)
_FIRST = ("activate",)

ALLOWED: dict[tuple[State, Stage], tuple[str, ...]] = {
    (State.ENROLLED, Stage.ISSUED): ("activate", "close"),
    (State.ACTIVE, Stage.ISSUED): _FIRST,
    (State.ACTIVE, Stage.JOINING): _FIRST,
    (State.ACTIVE, Stage.ACTIVE): _ALL,
    (State.SUSPENDED, Stage.ISSUED): _FIRST,
    (State.SUSPENDED, Stage.VOID): ("close",),
    (State.SUSPENDED, Stage.ACTIVE): ("close", "renew", "record"),
    (State.LOCKED, Stage.ISSUED): _FIRST,
    (State.LOCKED, Stage.JOINING): _FIRST,
}
"""Which instructions a phone at this stage may give while its account is in this state; nothing where there is no row. Reactivation has no
instruction of its own: it is the first right code of a phone enrolled since."""


def after(state: State | None, event: Event) -> State:
    """The state that follows; None: no account yet. Raises `NotAllowed`."""
    try:
        return LIFE[state, event]
    except KeyError as error:
        raise NotAllowed(f"{event} in state {state}") from error
