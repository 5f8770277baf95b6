"""The civil register's outcomes, each with its words and its way out, in both languages."""

from __future__ import annotations

import pytest
from broker_peers import Provider, Service, hidden, query

from alicem.broker.rnipp import Outcome

OUTCOMES = {
    "Oubliée": ("not_found", "INSEE"),
    "Martin": ("several", "INSEE"),
    "Épouse": ("marital_name", "birth name"),
    "Défunt": ("deceased", "town hall"),
    "Lente": ("time_out", "a few minutes"),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_has_its_words_and_its_way_out(origin: str, provider: Provider, name: str) -> None:
    outcome, way = OUTCOMES[name]
    provider.claims |= {"family_name": name, "given_name": "Agnès"}
    service = Service(origin)
    page = service.through_provider(service.begin())
    assert page.url.path == "/choice" and f"<code data-failure>register_{outcome}" in page.text
    assert way in service.get(f"{page.url}&lang=en").text
    assert name not in page.text, "a page of refusal names nobody"
    back = service.post("/depart", sign_in=hidden(page), provider="")
    assert query(back)["error"] == "access_denied"


def test_every_outcome_that_stops_somebody_is_tried() -> None:
    assert {one for one, _ in OUTCOMES.values()} | {"found", "rectified"} == set(Outcome)


def test_who_was_found_or_rectified_goes_on(origin: str, provider: Provider) -> None:
    for name, sent in (("DUBOIS", "DUBOIS"), ("Rectifiee", "RECTIFIÉE")):
        provider.claims |= {"family_name": name, "given_name": "Agnès"}
        service = Service(origin)
        page = service.through_provider(service.begin(prompt="login"))
        assert f'<span data-claim="family_name">{sent}' in page.text
