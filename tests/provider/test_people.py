"""Everybody of `people.toml`, from the chip and the State's answer to what a service gets."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path as File
from typing import Any

import pytest

from alicem.credential.issue import claims as credential_claims
from alicem.enrolment.identity import civil_identity, require_age
from alicem.enrolment.mail import valid_address
from alicem.enrolment.registry_client import CivilStatus, civil_status
from alicem.evidence import CivilIdentity, DocumentFacts, Evidence, Level, Path
from alicem.provider.claims import CLAIMS, SCOPES, claims_of, emit
from alicem.reasons import Refused
from emrtd.names import parse_names

PEOPLE: dict[str, Any] = tomllib.loads((File(__file__).parent / "people.toml").read_text("utf-8"))
ANYBODY = PEOPLE.pop("person")
TODAY = date(2026, 11, 22)
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def text(value: Any) -> Any:
    """A long text is told by how it is made."""
    if isinstance(value, dict):
        return value.get("head", "") + value["repeat"] * value["times"] + value.get("tail", "")
    return value


def of(case: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name: text(value) for name, value in (ANYBODY[part] | case.get(part, {})).items()}


def said_by_the_chip(case: Mapping[str, Any]) -> dict[str, Any]:
    person = ANYBODY | case
    primary, secondary = parse_names(person["zone"].ljust(39, "<"))
    names = {"primary": primary, "secondary": secondary, "names_full": len(person["zone"]) == 39}
    return {**names, "birthdate": person["born"], "sex": person["sex"], "nationality": person["nationality"]}


def answered_by_the_state(case: Mapping[str, Any]) -> CivilStatus:
    """As the client of the registry takes it: an answer of another form closes the door."""
    answer = of(case, "registry")
    answer["usage_name"] = answer["usage_name"] or None
    try:
        return civil_status(json.loads(json.dumps(answer)))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("registry_unavailable") from error


def enrolled(case: Mapping[str, Any]) -> Evidence:
    identity = civil_identity(said_by_the_chip(case), answered_by_the_state(case))
    require_age(identity, 18, TODAY)
    return evidence_of(identity, valid_address(text((ANYBODY | case)["email"])))


def evidence_of(identity: CivilIdentity, email: str) -> Evidence:
    document = DocumentFacts("passport", "FRA", date(2034, 1, 1), bytes(32), "AA", "k:00")
    return Evidence(
        path=Path.FACE,
        level=Level.HIGH,
        identity=identity,
        document=document,
        email=email,
        checks=(),
        terms_version="2026-11",
        biometrics_consent_at=AT,
        agents=(),
        registry_checked_at=AT,
        specimen=True,
    )


def userinfo_of(evidence: Evidence, *scopes: str) -> dict[str, str]:
    held = json.loads(json.dumps(dict(credential_claims(evidence))))
    return emit(claims_of(scopes), held)


SERVED = {name: case for name, case in PEOPLE.items() if "refused" not in case}
REFUSED = {name: case for name, case in PEOPLE.items() if "refused" in case}


@pytest.mark.parametrize("name", SERVED)
def test_what_a_service_gets_of_them(name: str) -> None:
    expected = {claim: value for claim, value in of(SERVED[name], "userinfo").items() if value}
    assert userinfo_of(enrolled(SERVED[name]), *SCOPES) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_where_their_enrolment_ends(name: str) -> None:
    with pytest.raises(Refused) as refused:
        enrolled(REFUSED[name])
    assert refused.value.reason.name == REFUSED[name]["refused"]


@pytest.mark.parametrize("name", SERVED)
def test_the_form_is_franceconnects(name: str) -> None:
    """The table of its rules, written down a second time."""
    got = userinfo_of(enrolled(SERVED[name]), *SCOPES)
    assert got.keys() <= CLAIMS.keys()
    assert all(1 <= len(got.get(claim, "-")) <= 256 for claim in ("given_name", "family_name", "preferred_username"))
    assert got["gender"] in ("male", "female", "unspecified")
    assert [len(part) for part in got["birthdate"].split("-")] == [4, 2, 2]
    assert ("birthplace" in got) == (got["birthcountry"] == "99100")
    assert all(len(got.get(claim, "99100")) == 5 for claim in ("birthplace", "birthcountry"))
    assert got["email"].isascii() and got["email"].count("@") == 1


@pytest.mark.parametrize(
    ("scopes", "claims"),
    [
        ("openid", ""),
        ("openid email", "email"),
        ("openid birth", "birthplace birthcountry"),
        ("openid birthplace", "birthplace"),
        ("openid profile", "given_name family_name birthdate gender preferred_username"),
        ("openid identite_pivot", "given_name family_name birthdate gender birthplace birthcountry"),
        # what FranceConnect+ and FranceConnect ask
        ("openid profile email preferred_username birthplace birthcountry", " ".join(CLAIMS)),
        ("openid profile email birth", " ".join(CLAIMS)),
        ("openid phone address nationality photo", ""),
    ],
)
def test_no_claim_that_was_not_asked(scopes: str, claims: str) -> None:
    everything = enrolled({"registry": {"usage_name": "Bernard"}})
    assert userinfo_of(everything, *scopes.split()).keys() == set(claims.split())


def test_there_are_enough_of_them_and_of_each_kind() -> None:
    assert len(SERVED) >= 60 and len(REFUSED) >= 40
    forms = {"registry_unavailable", "email_invalid"}
    assert {case["refused"] for case in REFUSED.values()} == forms | {
        "registry_mismatch",
        "birthplace_unknown",
        "holder_is_minor",
    }
