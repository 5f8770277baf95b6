"""What a citizen sees of six months, says was not them, and blocks; and the letters that tell them."""

from __future__ import annotations

import asyncio
import html
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from broker_peers import ANGELA, Clock, Provider, Serve, Service, free_port, hidden
from sqlalchemy import Connection, select

from alicem.broker import BrokerSettings, kept
from alicem.broker.app import app as application
from alicem.demo.mailbox import Letter, MailBox
from alicem.settings import Mail
from alicem.store import Store


def codes_on(page: httpx.Response) -> list[str]:
    return re.findall(r'name="report" value="(\w{12})"', page.text)


def text_of(page: httpx.Response) -> str:
    return html.unescape(re.sub(r"<[^>]+>|\s+", " ", page.text))


@pytest.fixture
def posted(serve: Serve, settings: BrokerSettings, clock: Clock, box: tuple[MailBox, int]) -> str:
    """A broker that writes letters."""
    mail = Mail("127.0.0.1", box[1], "broker@courriel.example", tls="none")
    with_mail = replace(settings, mail=mail, support="support@courriel.example")
    return serve(application(with_mail, clock), int(settings.origin.rsplit(":", 1)[1]))


def letters(box: MailBox, to: str, count: int) -> list[Letter]:
    """Once so many have come."""
    deadline = time.monotonic() + 20
    while len(box.letters(to)) < count:
        assert time.monotonic() < deadline, "no letter came"
        time.sleep(0.02)
    return box.letters(to)


def test_the_page_is_closed_to_who_has_not_signed_in(timed: str) -> None:
    service = Service(timed)
    service.code()
    assert codes_on(service.get("/history")) == [], "being recognised does not open it"
    assert 'action="/history/enter"' in service.get("/history").text


def test_the_page_shows_what_was_done_and_no_value(timed: str, clock: Clock) -> None:
    service = Service(timed)
    service.code()
    clock.pass_by(minutes=20)
    page = service.open_history()
    assert page.url.path == "/history" and len(codes_on(page)) == 2
    said = text_of(service.get("/history?lang=en"))
    assert "Service town" in said and "Petit fournisseur" in said and "Substantial" in said
    assert "identifier, given names, birth name" in said
    assert not [value for value in ANGELA.values() if value in said]


def test_another_person_sees_nothing_of_it(timed: str, provider: Provider) -> None:
    Service(timed).code()
    provider.claims |= {"family_name": "AUTRE"}
    assert len(codes_on(Service(timed).open_history())) == 1


def test_six_months_later_it_is_gone(timed: str, clock: Clock, settings: BrokerSettings) -> None:
    service = Service(timed)
    service.code()
    clock.pass_by(days=182)
    assert len(codes_on(service.open_history())) == 2
    clock.pass_by(days=2)
    assert len(codes_on(service.open_history())) == 2, "the first is no longer shown"
    store = Store(settings.database.url)
    asyncio.run(store.write(lambda connection: kept.expire(connection, int(clock().timestamp()))))
    left = asyncio.run(store.read(lambda connection: connection.execute(select(kept.history.c.at)).scalars().all()))
    store.close()
    assert min(left) > clock().timestamp() - kept.SIX_MONTHS


def test_the_page_closes_after_ten_minutes_and_on_request(timed: str, clock: Clock) -> None:
    service = Service(timed)
    assert codes_on(service.open_history())
    service.post("/history", close="yes")
    assert not codes_on(service.get("/history"))
    assert codes_on(service.open_history())
    clock.pass_by(minutes=11)
    assert not codes_on(service.get("/history"))


def test_a_blocked_provider_serves_nobody_in_this_name(
    timed: str, provider: Provider, settings: BrokerSettings
) -> None:
    (settings.providers / "other.toml").write_text((settings.providers / "small.toml").read_text())
    service = Service(timed)
    service.code()
    assert codes_on(service.open_history())
    service.post("/history", block="small")
    assert service.at_information() is None, "a browser that was recognised through it is not"
    page = service.through_provider(service.begin())
    assert "<code data-failure>blocked_by_you" in page.text and "DUBOIS" not in page.text
    assert service.other("town").open_history().url.path == "/choice", "nor does it open the history"
    provider.claims |= {"given_name": "Somebody Else"}
    assert Service(timed).code(), "another person uses it as before"


def test_who_is_known_is_not_offered_what_they_blocked(timed: str, settings: BrokerSettings, clock: Clock) -> None:
    text = (settings.providers / "small.toml").read_text()
    (settings.providers / "other.toml").write_text(text.replace("Petit fournisseur", "Grand fournisseur"))
    clock.pass_by(seconds=2)
    service = Service(timed)
    service.code()
    page = service.at_information()
    assert page is not None
    choice = f"/choice?sign_in={page.url.params['sign_in']}"
    assert "Grand fournisseur" in service.get(choice).text
    service.open_history()
    service.post("/history", block="other")
    assert "Grand fournisseur" not in service.get(choice).text
    assert "Petit fournisseur" in service.get(choice).text


def test_a_block_is_lifted_through_another_provider(timed: str, settings: BrokerSettings, clock: Clock) -> None:
    (settings.providers / "other.toml").write_text((settings.providers / "small.toml").read_text())
    clock.pass_by(seconds=2)
    service = Service(timed)
    service.open_history()
    service.post("/history", block="small")
    stranger = Service(timed)
    stranger.post("/history", unblock="small")
    assert "blocked_by_you" in service.through_provider(service.begin()).text
    through_other = Service(timed)
    page = through_other.get(through_other.post("/history/enter").headers["location"])
    to_provider = through_other.post("/depart", sign_in=hidden(page), provider="other")
    back = through_other.browser.get(to_provider.headers["location"]).headers["location"]
    page = through_other.get(through_other.get(back).headers["location"])
    through_other.get(through_other.send(page).headers["location"])
    through_other.post("/history", unblock="small")
    assert service.through_provider(service.begin()).url.path == "/information"


def test_a_report_names_the_code_once_and_offers_to_block(
    posted: str, box: tuple[MailBox, int], clock: Clock, tmp_path: Path
) -> None:
    service = Service(posted)
    service.code()
    clock.pass_by(minutes=1)
    code = codes_on(service.open_history())[-1]
    back = service.post("/history", report=code).headers["location"]
    page = service.get(back)
    spelled = "-".join((code[:4], code[4:8], code[8:]))
    assert 'role="alert"' in page.text and spelled in page.text
    assert codes_on(page).count(code) == 0 and 'class="danger" name="block" value="small"' in page.text
    assert page.text.count("C’est par lui que vous êtes ici") == 2, "said wherever it can be blocked"
    assert service.post("/history", report=code).headers["location"] == "/history", "once"
    file = tmp_path / "broker.toml"
    file.write_text(
        f'origin = "{posted}"\nservices = "s"\nproviders = "p"\nkey_file = "k"\npseudonym_file = "f"\n'
        '[database]\nurl = "sqlite:///broker.db"\n'
    )
    command = [sys.executable, "-m", "alicem", "broker", "reports", "--json", "--config", str(file)]
    [told] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (told["code"], told["service"], told["provider"]) == (code, "town-id", "small") and "person" not in told
    [support] = letters(box[0], "support@courriel.example", 1)
    assert spelled in support.text and "Service town" in support.text
    assert not [value for value in ANGELA.values() if value in support.text]


def test_nobody_reports_a_row_of_somebody_else(timed: str, provider: Provider, clock: Clock) -> None:
    service = Service(timed)
    service.code()
    clock.pass_by(minutes=1)
    [*_, code] = codes_on(service.open_history())
    provider.claims |= {"family_name": "AUTRE"}
    thief = Service(timed)
    thief.open_history()
    assert thief.post("/history", report=code).headers["location"] == "/history"
    assert code in codes_on(service.get("/history"))


def test_an_unusual_sign_in_is_told_and_a_usual_one_is_not(posted: str, box: tuple[MailBox, int], clock: Clock) -> None:
    service = Service(posted)
    service.code()
    [letter] = letters(box[0], ANGELA["email"], 1)
    assert "Service town" in letter.subject and "Petit fournisseur" in letter.text
    assert re.search(r"Code de session\s: \w{4}-\w{4}-\w{4}", letter.text)
    assert "heure de Paris" in letter.text and f"{posted}/history" in letter.text
    assert not [ANGELA[name] for name in ("given_name", "family_name", "birthdate") if ANGELA[name] in letter.text]
    clock.pass_by(minutes=30)
    service.code()  # same browser, provider, service
    clock.pass_by(minutes=30)
    service.other("private", "openid given_name").code()
    assert len(letters(box[0], ANGELA["email"], 2)) == 2
    stranger = Service(posted)
    stranger.get("/?lang=en")
    stranger.code()
    newest = letters(box[0], ANGELA["email"], 3)[0]
    assert "this browser is not known as yours" in newest.text and "this provider" not in newest.text


def test_a_letter_waits_sealed_and_is_given_up_in_a_day(
    serve: Serve, settings: BrokerSettings, clock: Clock, tmp_path: Path
) -> None:
    mail = Mail("127.0.0.1", free_port(), "broker@courriel.example", tls="none")
    origin = serve(application(replace(settings, mail=mail), clock), int(settings.origin.rsplit(":", 1)[1]))
    Service(origin).code()
    store = Store(settings.database.url)

    def look(connection: Connection) -> None:
        [waiting] = connection.execute(select(kept.letters)).all()
        assert ANGELA["email"].encode() not in waiting.sealed
        assert kept.due(connection, waiting.expires, 10, waiting.expires) == []
        kept.expire(connection, waiting.expires)
        assert connection.execute(select(kept.letters)).all() == []

    asyncio.run(store.write(look))
    store.close()
    files = b"".join(file.read_bytes() for file in tmp_path.glob("broker.db*"))
    assert ANGELA["email"].encode() not in files


def test_the_cookies_of_the_page_are_strict(timed: str) -> None:
    service = Service(timed)
    page = service.get(service.post("/history/enter").headers["location"])
    page = service.through_provider(hidden(page))
    lines = [one.lower() for one in service.send(page).headers.get_list("set-cookie")]
    assert {one.partition("=")[0] for one in lines} == {"__host-broker-history", "__host-broker-known"}
    for line in lines:
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= {part.strip() for part in line.split(";")}


@pytest.mark.parametrize("path", ["/history", "/history/enter", "/depart", "/decide", "/sign-out"])
@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"origin": "http://evil.example"}])
def test_forms_come_from_our_pages_alone(timed: str, path: str, headers: dict[str, str]) -> None:
    assert httpx.post(timed + path, data={"close": "yes"}, headers=headers).status_code == 403
