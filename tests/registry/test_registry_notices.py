"""What is declared at the registry reaches the provider: in order, however often one of them goes away, and never after it was overtaken."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from registry_and_provider import FARID, ZOE, ZOE_PERMIT, Provider, Registry, until

from alicem.registry import RegistrySettings, declare
from alicem.registry.app import app
from alicem.settings import SettingsError, read


def declared_at(registry: Registry, word: str, number: str, at: datetime) -> None:
    """As a command whose clock says `at`."""
    asyncio.run(registry.database.write(lambda c: declare(c, number, word, at=at, rng=bytes)))


def test_a_declaration_in_another_process_suspends_within_two_seconds(provider: Provider, registry: Registry) -> None:
    provider.enrol(ZOE, FARID)
    registry.start()
    done = registry.warm.alicem("registry", "stolen", ZOE, "--config", str(registry.config), folder=registry.folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert until(lambda: provider.state(ZOE) == "suspended") < 2.0
    until(lambda: registry.owed() == [])
    assert provider.told() == ["stolen"]
    assert provider.state(FARID) == "active"
    assert "24AB12345" not in registry.log()


def test_nothing_is_lost_and_nothing_overtakes_while_both_go_away(provider: Provider, registry: Registry) -> None:
    provider.enrol(ZOE, FARID)
    registry.start()
    provider.stop()
    for word, number in (("lost", ZOE), ("cancelled", FARID), ("stolen", ZOE), ("cancelled", ZOE)):
        registry.declare(word, number)
    until(lambda: "notices wait" in registry.log())
    registry.kill()
    assert [notice for notice, _ in registry.owed()] == ["lost", "cancelled", "stolen", "cancelled"]
    registry.start()
    provider.start()
    until(lambda: registry.owed() == [])
    assert provider.told() == ["lost", "cancelled", "stolen", "cancelled"]
    assert (provider.state(ZOE), provider.state(FARID)) == ("suspended", "suspended")


def test_a_document_found_again_takes_back_what_was_not_accepted(provider: Provider, registry: Registry) -> None:
    provider.enrol(ZOE, FARID)
    registry.start()
    provider.stop()
    for word, number in (("lost", ZOE), ("stolen", ZOE), ("lost", FARID), ("found", ZOE)):
        registry.declare(word, number)
    assert registry.owed() == [("lost", 0)]
    provider.start()
    until(lambda: registry.owed() == [])
    assert provider.told() == ["lost"]
    assert (provider.state(ZOE), provider.state(FARID)) == ("active", "suspended")


def test_found_is_told_to_nobody_and_brings_no_account_back(provider: Provider, registry: Registry) -> None:
    provider.enrol(ZOE, FARID)
    registry.start()
    registry.declare("lost", ZOE)
    until(lambda: registry.owed() == [])
    registry.declare("found", ZOE)
    registry.declare("lost", FARID)
    until(lambda: provider.state(FARID) == "suspended")
    assert provider.state(ZOE) == "suspended"


def test_a_death_is_told_of_every_document_and_not_undone_by_finding_one(
    provider: Provider, registry: Registry
) -> None:
    provider.enrol(ZOE, FARID)
    provider.enrol(ZOE_PERMIT, kind="residence_permit")
    registry.declare("deceased", ZOE)
    registry.declare("found", ZOE)
    assert registry.owed() == [("deceased", 0), ("deceased", 0)]
    registry.start()
    until(lambda: registry.owed() == [])
    assert provider.told() == ["deceased", "deceased"]
    assert provider.state(ZOE_PERMIT, "residence_permit") == "suspended"
    assert provider.state(FARID) == "active"


def test_a_token_that_is_not_known_loses_nothing(provider: Provider, registry: Registry) -> None:
    provider.enrol(ZOE)
    right = (registry.folder / "notices.token").read_text()
    registry.use_token("x" * 40)
    registry.start()
    registry.declare("stolen", ZOE)
    until(lambda: "status=401" in registry.log())
    assert (registry.owed(), provider.state(ZOE)) == ([("stolen", 0)], "active")
    registry.kill()
    registry.use_token(right)
    registry.start()
    until(lambda: provider.state(ZOE) == "suspended")


def test_a_notice_that_is_called_malformed_keeps_back_its_own_document_alone(
    provider: Provider, registry: Registry
) -> None:
    provider.enrol(ZOE, FARID)
    declared_at(registry, "lost", ZOE, datetime.now(UTC) + timedelta(days=3))
    registry.declare("stolen", ZOE)
    registry.declare("lost", FARID)
    registry.start()
    until(lambda: provider.state(FARID) == "suspended")
    until(lambda: registry.owed() == [("lost", 1), ("stolen", 0)])
    assert provider.state(ZOE) == "active"
    assert "24AB12345" not in registry.log()


def test_a_document_without_an_account_is_accepted_like_any_other(provider: Provider, registry: Registry) -> None:
    registry.start()
    registry.declare("stolen", ZOE)
    until(lambda: registry.owed() == [])
    assert provider.told() == []


@pytest.mark.parametrize("word", ["lost", "deceased"])
def test_a_registry_that_tells_nobody_keeps_what_it_would_tell(registry: Registry, word: str) -> None:
    registry.config.write_text(
        "\n".join(line for line in registry.config.read_text().splitlines() if "notices" not in line)
    )
    registry.start()
    registry.declare(word, FARID)
    assert registry.owed() == [(word, 0)]


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("http://localhost", "localhost", "notices.url"),
        ("http://localhost:", "http://localhost:port", "notices.url"),
        ("http://localhost", "ftp://localhost", "notices.url"),
        ('token_file = "notices.token"', 'token_file = "none"', "No such file"),
        ('token_file = "notices.token"', 'token_file = "short"', "fewer than 32"),
        (', token_file = "notices.token"', "", "notices lacks one of token_file"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(registry: Registry, was: str, now: str, says: str) -> None:
    (registry.folder / "short").write_text("t" * 31)
    text = registry.config.read_text()
    assert was in text
    registry.config.write_text(text.replace(was, now))
    with pytest.raises(SettingsError, match=says):
        app(read(RegistrySettings, registry.config))
