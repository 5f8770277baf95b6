"""Single sign-on: ten minutes at eidas2, never above, shown again each time, ended by a sign-out."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from broker_peers import ANGELA, Clock, Provider, Service, payload, query

from alicem.broker import BrokerSettings


def test_a_browser_is_recognised_for_ten_minutes(timed: str, provider: Provider, clock: Clock) -> None:
    first = Service(timed)
    token = payload(first.redeem(first.code()).json()["id_token"])
    logins = len([one for one in provider.seen if one[0] == "login"])
    clock.pass_by(minutes=9)
    second = first.other("private")
    page = second.at_information()
    assert page is not None and "still recognised" in second.get(str(page.url) + "&lang=en").text
    again = payload(second.redeem(query(second.send(page))["code"]).json()["id_token"])
    assert (again["acr"], again["auth_time"]) == ("eidas2", token["auth_time"])
    assert again["sub"] != token["sub"]
    assert len([one for one in provider.seen if one[0] == "login"]) == logins, "nobody was asked again"
    clock.pass_by(minutes=2)
    assert first.other("town").at_information() is None


@pytest.mark.parametrize(
    "changes",
    [{"acr_values": "eidas3"}, {"acr_values": "eidas1"}, {"prompt": "login"}, {"max_age": "60"}],
    ids=str,
)
def test_what_the_person_is_asked_anew_for(timed: str, changes: dict[str, str | None]) -> None:
    service = Service(timed)
    service.code()
    assert service.at_information() is not None
    assert service.at_information(**changes) is None


@pytest.mark.parametrize("level", ["eidas1", "eidas3"])
def test_only_eidas2_is_remembered(timed: str, settings: BrokerSettings, clock: Clock, level: str) -> None:
    file = settings.providers / "small.toml"
    file.write_text(file.read_text().replace('"eidas1", "eidas2"', '"eidas1", "eidas2", "eidas3"'))
    clock.pass_by(seconds=2)
    service = Service(timed)
    service.code()
    page = service.through_provider(service.begin(acr_values=level))
    assert "code" in query(service.send(page))
    assert service.at_information() is None, "and what was remembered before is forgotten"


def test_a_service_that_refuses_the_provider_is_not_told(timed: str) -> None:
    service = Service(timed)
    service.code()
    assert service.other("closed").at_information() is None


def test_the_box_is_ticked_again(timed: str) -> None:
    service = Service(timed)
    service.code()
    private = service.other("private")
    page = private.at_information()
    assert page is not None and 'name="consent"' in page.text


def test_another_browser_is_not_recognised(timed: str) -> None:
    service, stranger = Service(timed), Service(timed)
    service.code()
    assert stranger.at_information() is None


def test_a_way_out_to_another_provider(timed: str) -> None:
    service = Service(timed)
    service.code()
    page = service.at_information()
    assert page is not None
    number = page.url.params["sign_in"]
    assert f'href="/choice?sign_in={number}"' in page.text
    assert service.through_provider(number).url.path == "/information"


def test_nothing_of_it_can_be_read_in_the_database(timed: str, tmp_path: Path) -> None:
    service = Service(timed)
    service.code()
    files = b"".join(file.read_bytes() for file in tmp_path.glob("broker.db*"))
    assert not [value for value in ANGELA.values() if value.encode() in files]
    assert service.cookie["__Host-broker"].encode() not in files


def test_a_sign_out_ends_it_here_and_at_the_provider(timed: str, provider: Provider) -> None:
    service = Service(timed)
    hint = service.redeem(service.code()).json()["id_token"]
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": f"{Service.BACK}/out", "state": "s/t?"}
    out = service.get(f"{timed}/end_session?{httpx.QueryParams(asked)}")
    assert out.headers["location"].startswith(f"{provider.issuer}/end?")
    back = service.browser.get(out.headers["location"]).headers["location"]
    told = dict(provider.seen)["end"]
    assert told["client_id"] == provider.client_id
    assert told["post_logout_redirect_uri"] == f"{timed}/logged-out/small"
    assert payload(told["id_token_hint"])["sub"] == "person-1"
    assert httpx.get(back).headers["location"] == f"{Service.BACK}/out?state=s%2Ft%3F"
    assert httpx.get(back).headers["location"] == "/signed-out", "once"
    assert service.at_information() is None


def test_the_person_ends_it_alone(timed: str, provider: Provider) -> None:
    service = Service(timed)
    service.code()
    provider.discovery_issuer = "http://127.0.0.1:9"  # the provider's own sign-out is then nowhere
    assert service.post("/sign-out").headers["location"] == "/signed-out"
    provider.discovery_issuer = None
    assert service.at_information() is None


def test_no_other_site_signs_anybody_out(timed: str) -> None:
    service = Service(timed)
    service.code()
    assert service.get("/end_session").status_code == 200
    forged = httpx.post(f"{timed}/sign-out", headers={"origin": "http://evil.example", **service._headers()})
    assert forged.status_code == 403
    assert service.at_information() is not None
