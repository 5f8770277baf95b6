"""RFC 9901 as its text has it: the examples verify and reveal what they should, and what §7.1 refuses is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alicem import jose
from alicem.credential import sdjwt
from alicem.jose import BadToken

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc9901.json").read_text("utf-8"))
ISSUER = jose.public_key(VECTORS["issuer_jwk"])
FORMS = [(row, form) for row in VECTORS["examples"] for form in ("issuance", "presentation") if form in row]


def payload_of(issuer_jwt: str) -> dict[str, Any]:
    """The examples' headers have different types; their signatures are ES256 all the same."""
    head, body, signature = issuer_jwt.split(".")
    header = json.loads(jose.unb64(head))
    parts = jose.Unverified(header, jose.unb64(body), f"{head}.{body}".encode(), jose.unb64(signature))
    jose.check(parts, ISSUER)
    return parts.json()


@pytest.mark.parametrize(("row", "form"), FORMS, ids=[f"{row['section']} {form}" for row, form in FORMS])
def test_the_examples_verify(row: dict[str, Any], form: str) -> None:
    token = sdjwt.parse(row[form])
    claims = sdjwt.reveal(payload_of(token.issuer_jwt), token.disclosures)
    if form == "presentation":
        assert claims == row["verified"]
    else:
        assert "..." not in json.dumps(claims) and "_sd" not in json.dumps(claims)


@pytest.mark.parametrize(
    "row", [row for row in VECTORS["examples"] if "kb_payload" in row], ids=lambda row: row["section"]
)
def test_the_key_binding_of_the_examples_is_over_what_is_shown(row: dict[str, Any]) -> None:
    token = sdjwt.parse(row["presentation"])
    holder = jose.public_key(payload_of(token.issuer_jwt)["cnf"]["jwk"])
    assert jose.verify(token.key_binding, holder, "kb+jwt") == row["kb_payload"]
    assert token.sd_hash == row["kb_payload"]["sd_hash"]


def text(*array: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(array).encode()).decode().rstrip("=")


def digest(disclosure: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).decode().rstrip("=")


NAME, ELEMENT = text("s", "given_name", "Zoë"), text("s", "FR")
INNER = text("s", "locality", "Besançon")
OUTER = text("s", "address", {"_sd": [digest(INNER)], "country": "FR"})
DEEP = {"a": []}
for _ in range(40):
    DEEP = {"a": [DEEP]}


def reveal(payload: dict[str, Any], *texts: str) -> dict[str, Any]:
    return sdjwt.reveal(payload, sdjwt.parse("~".join(["j", *texts, ""])).disclosures)


def test_members_of_members_and_elements_of_arrays_are_revealed() -> None:
    payload = {"_sd": [digest(OUTER), "decoy"], "nationalities": ["VN", {"...": digest(ELEMENT)}, {"...": "decoy2"}]}
    assert reveal(payload, OUTER, INNER, ELEMENT) == {
        "address": {"country": "FR", "locality": "Besançon"},
        "nationalities": ["VN", "FR"],
    }
    assert reveal(payload, OUTER) == {"address": {"country": "FR"}, "nationalities": ["VN"]}
    assert reveal(payload) == {"nationalities": ["VN"]}


REFUSED = {
    "a disclosure of nothing that was signed": ({"_sd": []}, [NAME]),
    "an inner one without its outer one": ({"_sd": [digest(OUTER)]}, [INNER]),
    "a decoy that somebody fills": ({"_sd": ["decoy"]}, [NAME]),
    "a digest twice in a list": ({"_sd": [digest(NAME), digest(NAME)]}, [NAME]),
    "a digest twice in two places": ({"_sd": [digest(NAME)], "x": {"_sd": [digest(NAME)]}}, [NAME]),
    "a digest twice that nobody discloses": ({"_sd": ["d", "d"]}, []),
    "a name that is there in clear": ({"_sd": [digest(NAME)], "given_name": "Ada"}, [NAME]),
    "two of the same name": (
        {"_sd": [digest(NAME), digest(text("t", "given_name", "Ada"))]},
        [NAME, text("t", "given_name", "Ada")],
    ),
    "an element where a member belongs": ({"_sd": [digest(ELEMENT)]}, [ELEMENT]),
    "a member where an element belongs": ({"n": [{"...": digest(NAME)}]}, [NAME]),
    "digests that are no list": ({"_sd": "d"}, []),
    "a digest that is no text": ({"_sd": [["d"]]}, []),
    "an element's digest that is no text": ({"n": [{"...": {}}]}, []),
    "a member named as an element": ({"n": {"...": "d", "x": 1}}, []),
    "another hash": ({"_sd_alg": "sha-512", "_sd": [digest(NAME)]}, [NAME]),
    "an end that is disclosed": ({"_sd": [digest(text("s", "exp", 1))]}, [text("s", "exp", 1)]),
    "a status that is disclosed": ({"_sd": [digest(text("s", "status", {}))]}, [text("s", "status", {})]),
    "a holder's key that is disclosed": ({"_sd": [digest(text("s", "cnf", {}))]}, [text("s", "cnf", {})]),
    "nested too deep": (DEEP, []),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "texts"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(payload: dict[str, Any], texts: list[str]) -> None:
    with pytest.raises(BadToken):
        reveal(payload, *texts)


@pytest.mark.parametrize(
    "flawed",
    [
        text("s", "_sd", 1),
        text("s", "...", 1),
        text("s"),
        text("s", "a", 1, 2),
        text("s", 7, 1),
        text(7, "a", 1),
        text(7, 1),
        jose.b64(b"{}"),
        jose.b64(b"["),
        "!",
        "",
        NAME + "=",
    ],
)
def test_what_is_no_disclosure_is_refused(flawed: str) -> None:
    with pytest.raises(BadToken):
        sdjwt.parse(f"j~{flawed}~")


@pytest.mark.parametrize("token", ["", "j", f"j~{NAME}~{NAME}~", "j" + "~" * 70])
def test_what_is_no_compact_form_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        sdjwt.parse(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "_sd", "...", "_sd_alg", "n"]), JSON, max_size=5))
def test_any_payload_is_revealed_or_refused_by_name(payload: dict[str, Any]) -> None:
    try:
        reveal(payload, NAME, ELEMENT)
    except BadToken:
        return
    raise AssertionError("two disclosures nobody signed went through")


@settings(max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, min_size=1, max_size=5), st.data())
def test_whatever_is_hidden_comes_back_as_it_was(claims: dict[str, Any], data: st.DataObject) -> None:
    """Each member hidden at the top, a drawn part of them shown."""
    names = [name for name in claims if name not in sdjwt.RESERVED and not _has_marks(claims[name])]
    made = {name: text("salt", name, claims[name]) for name in names}
    shown = data.draw(st.sets(st.sampled_from(names))) if names else set()
    found = reveal({"_sd": [digest(one) for one in made.values()]}, *(made[name] for name in shown))
    assert found == {name: claims[name] for name in shown}


def _has_marks(value: Any) -> bool:
    return any(mark in json.dumps(value) for mark in ('"_sd"', '"..."'))
