"""Changes of an account's state: this module alone writes them, each with its journal row and the status of its credentials, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from alicem import journal
from alicem.accounts import records
from alicem.accounts.states import JOURNAL, STATUS, Event, Stage, State, after
from alicem.credential import Status, set_status

Random = Callable[[int], bytes]


def apply(
    connection: Connection, number: int, event: Event, *, by: str, now: datetime, rng: Random, **content: Any
) -> State:
    """Apply an event to an account; the state that follows. `by`: who or what brought it, `content`: more for the journal, naming no one.

    Raises `NotAllowed`. A closed or expired account is erased, phones and all; what the journal says of it loses account and content.
    """
    state = after(State(records.state_of(connection, number)), event)
    _tell_verifiers(connection, number, STATUS[state])
    if state in (State.CLOSED, State.EXPIRED):
        records.erase(connection, number)
        journal.append(connection, now, JOURNAL[event], rng, content={"by": by, **content})
        return state
    records.set_state(connection, number, state)
    if event in (Event.SUSPEND, Event.CLONE):
        records.void_phones(connection, number)
    journal.append(connection, now, JOURNAL[event], rng, account=number, content={"by": by, **content})
    return state


def first_code(connection: Connection, phone: Any, *, now: datetime, rng: Random) -> None:
    """The phone that was issued is active, and its account with it; unless it joins, the earlier phones are removed."""
    state = State(phone.state)
    joins = phone.stage == Stage.JOINING and state is State.ACTIVE
    apply(connection, phone.account, event_of(state), by="first_code", now=now, rng=rng)
    records.update_phone(connection, phone.id, stage=Stage.ACTIVE)
    if not joins:
        remove_phones(connection, phone.account, phone.id, by="first_code", now=now, rng=rng)


def event_of(state: State) -> Event:
    """What a first right code is to an account in this state."""
    return {State.ENROLLED: Event.ACTIVATE, State.ACTIVE: Event.RENEW}.get(state, Event.REACTIVATE)


def remove_phones(connection: Connection, number: int, keep: int, *, by: str, now: datetime, rng: Random) -> int:
    """Remove every phone of an account but one, their credentials revoked; how many."""
    removed = records.remove_phones(connection, number, keep)
    for index in removed:
        set_status(connection, index, Status.REVOKED)
    if removed:
        journal.append(
            connection, now, "phones_removed", rng, account=number, content={"by": by, "phones": len(removed)}
        )
    return len(removed)


def _tell_verifiers(connection: Connection, number: int, status: Status) -> None:
    for index in records.status_indices(connection, number):
        set_status(connection, index, status)
