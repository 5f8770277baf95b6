"""The whole journey of personas between separate processes, and every way it can go wrong, each ending in its own reason."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alicem.demo import personas
from alicem.demo.headless import Report, examine, way_in
from alicem.demo.services import SERVICES
from alicem.demo.town import Town

ELSEWHERE = {"zoe", "joao", "camille_renewed"}
"""Whose journeys other tests make."""
PEOPLE = {name: one for name, one in personas.load().items() if name not in ELSEWHERE}
WELCOME = [name for name, one in PEOPLE.items() if one.refused is None]
REFUSED = [name for name, one in PEOPLE.items() if one.refused is not None]
WRONG = {
    "document": "document_not_authentic",
    "chip": "chip_is_copy",
    "code": "code_wrong",
    "face": "face_not_same_person",
}
SERVICE = {"letizia": "banque", "mael": "jeux", "yasmine": "sante"}
"""Where people sign in; the others at the public service, which asks everything."""
AT_ONCE = 3
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def reports(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Report]]:
    """All journeys, a few at a time. Each person has a phone folder of their own."""
    cases = [(name, "") for name in PEOPLE] + [
        (WELCOME[index % len(WELCOME)], wrong) for index, wrong in enumerate(WRONG)
    ]
    found: dict[tuple[str, str], Report] = {}
    # One document has one account: the same person's second journey closes the first account, so wrongs come after.

    async def one(case: tuple[str, str], gate: asyncio.Semaphore) -> None:
        async with gate:
            phone = tmp_path_factory.mktemp(f"{case[0]}-{case[1]}")
            found[case] = await way_in(town, PEOPLE[case[0]], case[1], lambda *_: None, phone, _service(case[0]))

    async def main() -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(one(case, gate) for case in cases if not case[1]))
        await asyncio.gather(*(one(case, gate) for case in cases if case[1]))

    asyncio.run(main())
    yield found


def _service(name: str) -> str:
    return SERVICE.get(name, "demarches")


@pytest.fixture(scope="module")
def left(town: Town, reports: dict[tuple[str, str], Report]) -> dict[str, Any]:
    """What is found of everybody once all journeys are over."""
    assert reports
    return examine(town, list(PEOPLE.values()))


@pytest.mark.parametrize("name", WELCOME)
def test_the_service_receives_the_identity_that_chip_and_registry_hold(
    reports: dict[tuple[str, str], Report], name: str
) -> None:
    report = reports[name, ""]
    assert report.refused_because is None
    service = SERVICES[_service(name)]
    asked = {claim: value for claim, value in PEOPLE[name].expected.items() if claim in service.claims}
    learned = {"over_18": True} if service.name == "jeux" else asked
    assert report.service == {"claims": learned, "acr": service.level}
    assert report.ok


@pytest.mark.parametrize("name", REFUSED)
def test_who_may_not_enrol_is_told_why(reports: dict[tuple[str, str], Report], name: str) -> None:
    report = reports[name, ""]
    assert (report.ok, report.refused_because) == (False, PEOPLE[name].refused)


@pytest.mark.parametrize(("wrong", "reason"), WRONG.items())
def test_what_goes_wrong_ends_in_its_own_reason(
    reports: dict[tuple[str, str], Report], wrong: str, reason: str
) -> None:
    (report,) = [report for (_, went), report in reports.items() if went == wrong]
    assert (report.ok, report.refused_because, report.service) == (False, reason, None)


def test_a_chip_is_read_in_few_round_trips(reports: dict[tuple[str, str], Report]) -> None:
    assert all(report.chip["round_trips"] <= 7 for report in reports.values() if report.chip)
    assert min(report.chip["round_trips"] for report in reports.values() if report.chip) == 3


def test_the_receipt_tells_what_was_checked_and_erased_and_names_no_one(reports: dict[tuple[str, str], Report]) -> None:
    receipt = reports[WELCOME[0], ""].receipt
    assert receipt is not None
    names = [one["name"] for one in receipt["checked"]]
    assert names == [
        "device_key",
        "email",
        "passive_authentication",
        "chip_authentication",
        "registry",
        "liveness",
        "face_comparison",
    ]
    assert {one["what"] for one in receipt["erased"]} >= {"portrait", "frames", "embeddings"}
    assert PEOPLE[WELCOME[0]].document.surname not in str(receipt)


def test_nothing_personal_is_found_in_the_providers_files(left: dict[str, Any]) -> None:
    assert left["identity_found"] == []
    assert {*left["searched"]} >= {"family_name", "given_names", "birthdate", "document_number", "email", "address"}


def test_nothing_of_a_face_is_found_in_the_providers_files_and_processes(left: dict[str, Any]) -> None:
    assert left["face"]["found"] == []
    assert left["face"]["processes"] + left["face"]["unreadable"] >= 1 or sys.platform != "linux"


def test_the_log_has_no_line_about_a_person(town: Town, reports: dict[tuple[str, str], Report]) -> None:
    assert reports
    log = (town.provider_folder / "alicem.log").read_text("utf-8")
    assert '"event": "refused"' in log and '"step": "confirmation"' in log
    assert not any(persona.email in log or persona.document.surname in log for persona in PEOPLE.values())


def test_the_state_writes_to_each_new_holder(town: Town, reports: dict[tuple[str, str], Report]) -> None:
    assert reports
    letters = httpx.get(f"{town.stage}/letters", trust_env=False).json()["letters"]
    assert sum(letter["kind"] == "paper" for letter in letters) >= len(WELCOME)


def test_nothing_is_left_in_the_providers_temporary_folder(town: Town, reports: dict[tuple[str, str], Report]) -> None:
    assert reports
    assert list(Path(town.provider_folder / "tmp").iterdir()) == []
