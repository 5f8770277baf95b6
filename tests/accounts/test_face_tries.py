"""How often a document's face may be tried: counted refusals, tries begun, and what an accepted try leaves."""

from datetime import timedelta

from account_world import World

from alicem.accounts import face_tries, records

NAMES = ("k2:doc", "k1:doc")


def begin(world: World, name: str = NAMES[0]) -> int:
    return int(world.do(lambda c: face_tries.begin(c, name, world.clock())))


def end(world: World, number: int, accepted: bool = False, counted: bool = False) -> None:
    world.do(lambda c: face_tries.end(c, number, accepted=accepted, counted=counted))


def since(world: World, days: int = 7) -> tuple[int, int]:
    found = world.do(lambda c: face_tries.since(c, NAMES, world.clock() - timedelta(days=days)))
    return (int(found[0]), int(found[1]))


def test_a_try_is_there_from_its_beginning(world: World) -> None:
    number = begin(world)
    assert since(world) == (1, 0)
    end(world, number, counted=True)
    assert since(world) == (1, 1)


def test_breaking_off_is_a_try_that_does_not_count(world: World) -> None:
    begin(world)
    end(world, begin(world))
    assert since(world) == (2, 0)


def test_an_accepted_try_leaves_nothing(world: World) -> None:
    end(world, begin(world), accepted=True)
    assert since(world) == (0, 0)
    assert NAMES[0] not in world.dump()


def test_tries_under_an_earlier_key_are_seen_and_others_are_not(world: World) -> None:
    end(world, begin(world, NAMES[1]), counted=True)
    begin(world, "k2:another")
    assert since(world) == (1, 1)


def test_a_week_forgets(world: World) -> None:
    end(world, begin(world), counted=True)
    world.clock.advance(days=7, seconds=1)
    assert since(world) == (0, 0)
    world.do(lambda c: records.expire(c, world.clock(), 7))
    assert world.do(lambda c: c.exec_driver_sql("select count(*) from face_tries").scalar()) == 0
