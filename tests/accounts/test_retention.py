"""Retention: what has outlived its term goes whole, nothing goes early, and a wrong clock does not empty the database."""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from account_world import TestPhone, World
from sqlalchemy import Connection, select, update

from alicem import jose, journal
from alicem.accounts import records, retention, tables
from alicem.accounts.retention import Report, TooMany
from alicem.credential import Status
from alicem.credential.records import statuses
from alicem.settings import Retention

KEPT = Retention()


def run(world: World, at: datetime | None = None, **more: Any) -> Report:
    now = at or world.clock()
    return asyncio.run(retention.run(world.store, KEPT, now=now, rng=secrets.token_bytes, **more))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def note(world: World, phone: TestPhone, **months: str) -> None:
    """Write another `used_month` or `checked_month`."""
    number = world.row(phone).account
    world.do(lambda c: c.execute(update(tables.accounts).where(tables.accounts.c.number == number).values(**months)))


def numbers(world: World) -> list[int]:
    return list(world.do(lambda c: c.execute(select(tables.accounts.c.number)).scalars().all()))


def crowd(world: World, due: int, living: int = 0) -> None:
    """Accounts of 2020 that are `due`, and others that are not; numbers from 1."""

    def write(connection: Connection) -> None:
        for number in range(1, due + living + 1):
            month = "2020-01" if number <= due else "2026-11"
            records.add_account(
                connection,
                number=number,
                state="active",
                used_month=month,
                checked_month=month,
                fingerprint=f"k:{number}",
                suspension=number.to_bytes(32, "big"),
            )

    world.do(write)


def values(world: World) -> set[str]:
    """Every value of every table."""
    found: set[str] = set()
    for rows in json.loads(world.dump()).values():
        found.update(value for row in rows for value in row)
    return found


@pytest.mark.parametrize(
    ("months", "activate", "last_day", "reason"),
    [
        ({"used_month": "2031-11"}, True, "2031-11-30T23:59:59", "identity_check"),
        ({"used_month": "2026-11"}, True, "2028-11-30T23:59:59", "idle"),
        ({"used_month": "2026-11"}, False, "2027-01-31T23:59:59", "unfinished"),
        ({"checked_month": "2026-12", "used_month": "2026-12"}, True, "2028-12-31T23:59:59", "idle"),
        ({"checked_month": "2026-12", "used_month": "2026-12"}, False, "2027-02-28T23:59:59", "unfinished"),
    ],
)
def test_a_term_ends_with_the_month_that_completes_it(
    world: World, months: dict[str, str], activate: bool, last_day: str, reason: str
) -> None:
    note(world, world.enrol(activate=activate), **months)
    world.clock.at = at(last_day)
    assert run(world) == Report()
    world.clock.advance(seconds=1)
    assert run(world) == replace(Report(), **{reason: 1})
    assert run(world) == Report()
    assert numbers(world) == []


def test_whoever_was_checked_again_was_not_idle(world: World) -> None:
    phone = world.enrol()
    note(world, phone, used_month="2026-11", checked_month="2030-05")
    assert run(world, at("2032-05-31T23:59:59")) == Report()
    assert run(world, at("2032-06-01T00:00:00")) == Report(idle=1)


def test_whoever_signs_in_stays(world: World) -> None:
    phone = world.enrol()
    for _ in range(3):
        world.clock.advance(days=600)
        assert run(world) == Report()
        assert phone.instruct().status == 200


@pytest.mark.parametrize("state", ["suspended", "locked"])
def test_an_account_that_was_never_activated_is_unfinished_whatever_became_of_it(world: World, state: str) -> None:
    unused, used = world.enrol("1", activate=False), world.enrol("2", suspension_code="1" * 20)
    for phone in (unused, used):
        number = world.row(phone).account
        world.do(lambda c, number=number: records.set_state(c, number, state))
    stays = world.row(used).account
    assert run(world, at("2027-02-01T00:00:00")) == Report(unfinished=1)
    assert numbers(world) == [stays]


@pytest.mark.parametrize("stage", ["issued", "joining", "void"])
def test_a_phone_that_was_never_activated_goes_alone(world: World, stage: str) -> None:
    first = world.enrol()
    waiting = world.enrol(activate=False, suspension_code="1" * 20)
    row = world.row(waiting)
    world.do(lambda c: records.update_phone(c, row.id, stage=stage))
    assert run(world, at("2027-01-31T23:59:59")) == Report()
    assert run(world, at("2027-02-01T00:00:00")) == Report(phones=1)
    assert world.row(waiting) is None
    revoked = world.do(
        lambda c: c.execute(select(statuses.c.value).where(statuses.c.idx == row.status_index)).scalar_one()
    )
    assert revoked == Status.REVOKED
    assert first.instruct().status == 200


def test_nothing_is_left_of_an_erased_account_and_the_journal_still_holds(world: World) -> None:
    gone, stays = world.enrol("1"), world.enrol("2", suspension_code="1" * 20)
    note(world, gone, checked_month="2020-01", used_month="2020-01")
    row, key = world.row(gone), world.ring.signing("journal", world.clock())
    world.do(lambda c: journal.seal(c, key, world.clock()))
    account = world.do(
        lambda c: c.execute(select(tables.accounts).where(tables.accounts.c.number == row.account)).one()
    )
    thumbprint = jose.thumbprint(gone.device_key.public_key())
    marks = {str(row.account), account.fingerprint, str(account.suspension), thumbprint, row.device_key}
    marks |= {str(row.pin_key), str(row.share), str(row.last_instruction)}
    assert marks <= values(world)
    assert run(world) == Report(identity_check=1)
    assert marks & values(world) == set()
    status = select(statuses.c.value).where(statuses.c.idx == row.status_index)
    assert world.do(lambda c: c.execute(status).scalar_one()) == Status.REVOKED
    told = world.do(lambda c: c.exec_driver_sql("select event, account, content from journal order by number").all())
    assert told[-1] == ("account_expired", None, b'{"by":"identity_check"}')
    assert [(one.event, one.content) for one in told if one.account is None][:-1] == [
        ("account_enrolled", None),
        ("account_activated", None),
    ]
    world.do(lambda c: journal.seal(c, key, world.clock()))
    assert world.do(lambda c: journal.verify(c, world.ring.signing_all("journal"))) == len(told)
    assert stays.instruct().status == 200


def test_a_great_many_go_in_batches_between_which_others_write(world: World) -> None:
    crowd(world, due=450, living=20)
    told: list[tuple[int, int]] = []
    left: list[int] = []

    async def both() -> Report:
        async def look() -> None:
            while True:
                left.append(
                    await world.store.write(lambda c: c.exec_driver_sql("select count(*) from accounts").scalar_one())
                )

        looking = asyncio.create_task(look())
        report = await retention.run(
            world.store,
            KEPT,
            now=world.clock(),
            rng=secrets.token_bytes,
            whatever_share=True,
            progress=lambda done, total: told.append((done, total)),
        )
        looking.cancel()
        return report

    assert asyncio.run(both()) == Report(identity_check=450)
    assert told == [(0, 450), (100, 450), (200, 450), (300, 450), (400, 450), (450, 450), (0, 0)]
    assert {370, 270, 170, 70} <= set(left)
    assert len(numbers(world)) == 20


def test_an_account_that_is_used_in_the_meantime_stays(world: World) -> None:
    crowd(world, due=3)

    def use(done: int, total: int) -> None:
        with world.store.engine.begin() as connection:
            records.touch(connection, 2, world.clock())
            connection.execute(
                update(tables.accounts).where(tables.accounts.c.number == 2).values(checked_month="2026-11")
            )

    assert run(world, progress=use) == Report(identity_check=2)
    assert numbers(world) == [2]


def test_what_breaks_off_is_gone_on_with(world: World) -> None:
    crowd(world, due=250)
    left = [150]

    def fails(size: int) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("no more randomness")
        return secrets.token_bytes(size)

    with pytest.raises(OSError, match="randomness"):
        asyncio.run(retention.run(world.store, KEPT, now=world.clock(), rng=fails, whatever_share=True))
    assert len(numbers(world)) == 150  # the first batch is whole, of the second is nothing
    assert run(world, whatever_share=True) == Report(identity_check=150)


@pytest.mark.parametrize(
    ("due", "living", "refused"),
    [(100, 0, False), (101, 0, True), (150, 1350, False), (151, 1349, True), (101, 1_000, False)],
)
def test_a_share_that_only_a_wrong_clock_explains_is_refused(
    world: World, due: int, living: int, refused: bool
) -> None:
    crowd(world, due, living)
    before = world.dump()
    if refused:
        with pytest.raises(TooMany, match=f"{due} of {due + living} accounts") as error:
            run(world)
        assert (error.value.due, error.value.accounts) == (due, due + living)
        assert world.dump() == before
    assert run(world, whatever_share=True) == Report(identity_check=due)
    assert len(numbers(world)) == living


def test_a_clock_a_century_ahead_is_stopped_and_one_set_back_erases_nothing(world: World) -> None:
    crowd(world, due=0, living=120)
    phone = world.enrol("1", activate=False)
    assert run(world, datetime(1970, 1, 1, tzinfo=UTC)) == Report()
    assert run(world, datetime(1, 1, 1, tzinfo=UTC)) == Report()
    with pytest.raises(TooMany):
        run(world, datetime(2126, 11, 21, tzinfo=UTC))
    assert world.row(phone) is not None
    assert len(numbers(world)) == 121


def test_a_use_under_a_clock_set_back_shortens_nothing(world: World) -> None:
    phone = world.enrol()
    note(world, phone, checked_month="2024-01")
    world.clock.at = at("1970-01-01T12:00:00")
    assert phone.instruct().status == 200
    assert run(world, at("2028-11-30T23:59:59")) == Report()
    assert run(world, at("2028-12-01T00:00:00")) == Report(idle=1)


def test_the_share_is_the_operator_s(world: World) -> None:
    crowd(world, due=120)
    trusting = replace(KEPT, most_at_once=1.0)
    report = asyncio.run(retention.run(world.store, trusting, now=world.clock(), rng=secrets.token_bytes))
    assert report == Report(identity_check=120)


def test_terms_are_the_operator_s(world: World) -> None:
    world.enrol()
    short = replace(KEPT, idle_years=1)
    run_at: Callable[[str], Report] = lambda text: asyncio.run(  # noqa: E731
        retention.run(world.store, short, now=at(text), rng=secrets.token_bytes)
    )
    assert run_at("2027-11-30T23:59:59") == Report()
    assert run_at("2027-12-01T00:00:00") == Report(idle=1)
