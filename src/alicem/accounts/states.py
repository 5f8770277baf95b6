"""The life of an account as one table of states and events."""

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
    ACTIVATE = "activate"
    SUSPEND = "suspend"
    LOCK = "lock"
    CLONE = "clone"
    REACTIVATE = "reactivate"
    CLOSE = "close"
    EXPIRE = "expire"


class NotAllowed(Exception):
    """This event means nothing in this state."""


LIFE: dict[tuple[State, Event], State] = {
    (State.ENROLLED, Event.ACTIVATE): State.ACTIVE,
    (State.ENROLLED, Event.SUSPEND): State.SUSPENDED,
    (State.ENROLLED, Event.LOCK): State.LOCKED,
    (State.ENROLLED, Event.CLONE): State.SUSPENDED,
    (State.ACTIVE, Event.SUSPEND): State.SUSPENDED,
    (State.ACTIVE, Event.LOCK): State.LOCKED,
    (State.ACTIVE, Event.CLONE): State.SUSPENDED,
    (State.SUSPENDED, Event.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Event.CLONE): State.SUSPENDED,
    (State.SUSPENDED, Event.REACTIVATE): State.ACTIVE,
    (State.LOCKED, Event.SUSPEND): State.SUSPENDED,
    (State.LOCKED, Event.REACTIVATE): State.ACTIVE,
    **{(state, Event.CLOSE): State.CLOSED for state in (State.ENROLLED, State.ACTIVE, State.SUSPENDED, State.LOCKED)},
    **{(state, Event.EXPIRE): State.EXPIRED for state in (State.ENROLLED, State.ACTIVE, State.SUSPENDED, State.LOCKED)},
}
"""Closed and expired accounts are erased: nothing leads out of them."""

STATUS: dict[State, Status] = {
    State.ENROLLED: Status.VALID,
    State.ACTIVE: Status.VALID,
    State.SUSPENDED: Status.SUSPENDED,
    State.LOCKED: Status.SUSPENDED,
    State.CLOSED: Status.REVOKED,
    State.EXPIRED: Status.REVOKED,
}
"""What the status list says of the credential."""

REFUSAL: dict[State, str] = {
    State.ENROLLED: "account_not_active",
    State.SUSPENDED: "account_suspended",
    State.LOCKED: "account_locked",
}
"""Why a phone of an account in this state is refused; a row of reasons.toml."""


def after(state: State, event: Event) -> State:
    """The state that follows. Raises `NotAllowed`."""
    try:
        return LIFE[state, event]
    except KeyError as error:
        raise NotAllowed(f"{event} in state {state}") from error
