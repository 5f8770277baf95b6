"""The enrolment protocol against a phone that misbehaves, loses its connection, or is somebody else's."""

import contextlib
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.exceptions import InvalidStatus

from alicem import jose
from alicem.demo import personas
from alicem.demo.town import Town
from alicem.reasons import load
from wire import SUBPROTOCOL, Wire

ZOE = personas.load()["zoe"].document
LINES = {"kind": ZOE.kind, "number": ZOE.number, "birth_date": "880517", "expiry_date": f"{ZOE.expiry_date:%y%m%d}"}


def fresh_address() -> str:
    return f"{secrets.token_hex(6)}@courriel.example"


@pytest.mark.parametrize(
    "change",
    [
        {"device_key": ec.generate_private_key(ec.SECP256R1()), "aud": "https://elsewhere.example"},
        {"session": "another"},
        {"challenge": "bm90LXlvdXJz"},
        {"purpose": "resume"},
        {"iat": 0},
        {"typ": "kb+jwt"},
        {"seal_key": {"kty": "EC"}},
        {"terms_version": "1999-01"},
        {"path": "cellar"},
    ],
    ids=lambda change: list(change)[-1],
)
def test_a_flawed_proof_is_refused(wire: Wire, change: dict[str, Any]) -> None:
    with wire.connected():
        step = wire.hear("step")
        challenge = change.pop("challenge", step["challenge"])
        wire.say("choose", language="fr", key_kind="software", proof=wire.proof(challenge, **change))
        assert wire.closed() == 4401


MALFORMED: dict[str, Callable[[Wire], str]] = {
    "not json": lambda _: "{",
    "not an object": lambda _: "[]",
    "deep": lambda _: "[" * 60_000,
    "another version": lambda w: json.dumps({"v": 2, "type": "contact", "id": w.sent + 1}),
    "no id": lambda _: json.dumps({"v": 1, "type": "contact"}),
    "an id again": lambda w: json.dumps({"v": 1, "type": "contact", "id": w.sent, "email": "a@b.example"}),
    "an id that is true": lambda _: json.dumps({"v": 1, "type": "contact", "id": True}),
    "an unknown type": lambda w: json.dumps({"v": 1, "type": "dance", "id": w.sent + 1}),
    "out of order": lambda w: json.dumps({"v": 1, "type": "code", "id": w.sent + 1}),
    "a sealed message too early": lambda w: json.dumps({"v": 1, "type": "mrz", "id": w.sent + 1, "sealed": "AAAA"}),
    "neither address nor code": lambda w: json.dumps({"v": 1, "type": "contact", "id": w.sent + 1}),
}


@pytest.mark.parametrize("flaw", MALFORMED)
def test_a_malformed_message_ends_the_connection(wire: Wire, flaw: str) -> None:
    with wire.connected():
        wire.choose()
        wire.socket.send(MALFORMED[flaw](wire))
        assert wire.closed() == 4400


def test_a_message_too_large_ends_the_connection(wire: Wire) -> None:
    with wire.connected():
        wire.choose()
        wire.say("contact", email="x" * 170_000)
        assert wire.closed() == 1009


def test_sealed_messages_of_another_key_do_not_open(wire: Wire) -> None:
    with wire.connected():
        wire.choose()
        wire.contact(fresh_address())
        wire.say("mrz", sealed=jose.b64(secrets.token_bytes(60)))
        assert wire.closed() == 4400


def test_a_session_that_is_not_there_is_not_opened(wire: Wire) -> None:
    wire.session["url"] = "/enrolment/w1/nobody"
    with pytest.raises(InvalidStatus), wire.connected():
        pass


@pytest.mark.parametrize(
    "changes", [{"origin": "https://elsewhere.example"}, {"subprotocols": ["other"]}], ids=["origin", "subprotocol"]
)
def test_other_pages_and_other_protocols_are_not_served(wire: Wire, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus), wire.connected(**changes):
        pass


def test_the_servers_own_page_is_served(wire: Wire) -> None:
    with wire.connected(origin=wire.town.alicem):
        assert wire.choose()["step"] == 2
        assert wire.socket.subprotocol == SUBPROTOCOL


@pytest.mark.parametrize(("change", "reason"), [({"path": "office"}, "office_path"), ({}, "key_kind_refused")])
def test_step_one_refuses_with_a_way_on(wire: Wire, change: dict[str, Any], reason: str) -> None:
    with wire.connected():
        step = wire.hear("step")
        kind = "software" if change else "abacus"
        wire.say("choose", language="en", key_kind=kind, proof=wire.proof(step["challenge"], **change))
        refused = wire.hear("refused")
        assert (refused["reason"], refused["final"], refused["next"]) == (reason, True, list(load()[reason].next))
        assert wire.closed() == 4403


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b", "a b@c.example", "x" * 300 + "@a.example", None, 7, "a@b.example\r\nBcc: c@d.example"],
)
def test_an_address_that_is_none_is_said_to_be(wire: Wire, address: object) -> None:
    with wire.connected():
        wire.choose()
        wire.say("contact", email=address)
        assert wire.hear("refused")["reason"] == "email_invalid"
        assert wire.hear("step")["step"] == 2


def test_wrong_email_codes_are_counted_and_then_need_a_new_letter(wire: Wire) -> None:
    address = fresh_address()
    with wire.connected():
        wire.choose()
        wire.say("contact", email=address)
        right = ""
        for left in range(4, -1, -1):
            wire.hear("step")
            right = wire.letter(address)
            wire.say("contact", code=f"{(int(right) + 1) % 1_000_000:06d}")
            refused = wire.hear("refused")
            assert (refused["reason"], refused["tries_left"]) == ("email_code_wrong", left)
        assert wire.hear("refused")["reason"] == "email_code_expired"
        assert wire.hear("step")["email_sent"] is False
        wire.say("contact", email=address)
        wire.hear("step")
        new = wire.letter(address)
        if new != right:
            wire.say("contact", code=right)
            assert wire.hear("refused")["reason"] == "email_code_wrong"
            wire.hear("step")
        wire.say("contact", code=new)
        assert wire.hear("step")["step"] == 3
        wire.stop()


@pytest.mark.parametrize(
    ("change", "reason", "final"),
    [
        ({"number": ""}, "mrz_invalid", False),
        ({"birth_date": "88-05-17"}, "mrz_invalid", False),
        ({"expiry_date": "341332"}, "mrz_invalid", False),
        ({"lines": ["P<FRALEFEVRE<<ZOE", "x"]}, "mrz_invalid", False),
        ({"kind": "library_card"}, "document_type_not_accepted", True),
        ({"expiry_date": "200101"}, "document_expired", True),
    ],
)
def test_lines_that_are_not_right_are_said_to_be_before_the_chip_is_touched(
    wire: Wire, change: dict[str, Any], reason: str, final: bool
) -> None:
    with wire.connected():
        wire.choose()
        wire.contact(fresh_address())
        wire.say_sealed("mrz", json.dumps(LINES | change).encode())
        refused = wire.hear("refused")
        assert (refused["reason"], refused["final"]) == (reason, final)
        if not final:
            wire.say_sealed("mrz", json.dumps(LINES).encode())
            assert wire.hear("step")["step"] in (3, 4)
            wire.stop()


def test_a_lost_connection_is_resumed_by_its_own_phone(wire: Wire) -> None:
    address = fresh_address()
    with wire.connected():
        wire.choose()
        wire.say("contact", email=address)
        wire.hear("step")
    with wire.connected():
        wire.resume()
        step = wire.hear("step")
        assert (step["step"], step["email_sent"]) == (2, True)
        wire.say("contact", code=wire.letter(address))
        wire.document_step(wire.hear("step"))
    with wire.connected():
        wire.resume()
        assert wire.hear("step")["step"] == 3
        wire.say_sealed("mrz", json.dumps(LINES).encode())
        assert wire.hear("step")["step"] == 4
    with wire.connected():
        wire.resume()
        assert wire.hear("step")["step"] == 4
        wire.stop()


def test_a_stranger_cannot_resume(wire: Wire) -> None:
    with wire.connected():
        wire.choose()
    with wire.connected():
        wire.resume(device_key=ec.generate_private_key(ec.SECP256R1()))
        assert wire.closed() == 4401
    with wire.connected():  # and has spoilt nothing
        wire.resume()
        assert wire.hear("step")["step"] == 2


def test_a_second_connection_of_the_same_phone_takes_over(wire: Wire) -> None:
    other = Wire.__new__(Wire)
    other.__dict__ |= wire.__dict__
    with wire.connected():
        wire.choose()
        other.sent = wire.sent
        with other.connected():
            other.resume()
            assert other.hear("step")["step"] == 2
            assert wire.closed() == 4409
            other.contact(fresh_address())
            other.stop()


def test_stopping_is_one_message(wire: Wire) -> None:
    with wire.connected():
        wire.choose()
        wire.say("cancel")
        assert wire.hear("refused")["reason"] == "cancelled"
        assert wire.closed() == 4403


def test_answers_that_are_no_chips_are_refused_and_the_server_goes_on(wire: Wire) -> None:
    with wire.connected():
        wire.choose()
        wire.contact(fresh_address())
        wire.say_sealed("mrz", json.dumps(LINES).encode())
        assert wire.hear("step")["step"] == 4
        wire.say_sealed("chip_found", json.dumps({"answers": []}).encode())
        refused = wire.hear("chip_batch")
        for _ in range(10):  # another way to read is tried first
            wire.say_sealed("chip_answers", json.dumps({"answers": [jose.b64(b"\x6f\x00")]}).encode())
            refused = wire.hear("chip_batch", "refused")
            if refused["type"] == "refused":
                break
        assert refused["reason"] in ("chip_unreadable", "access_key_refused")
        assert refused["final"] is False
        assert wire.hear("step")["step"] == 3
        wire.stop()


def test_more_people_than_session_processes_wait_in_a_queue(town: Town) -> None:
    """Three session processes are allowed here. First in, first out; a lost connection keeps its place, who leaves loses it."""
    wires = [Wire(town) for _ in range(6)]
    with contextlib.ExitStack() as stack:
        for one in wires[:5]:
            stack.enter_context(one.connected())
            one.choose()
            one.prove_address()
        assert [one.hear("step", "queue").get("position", "in") for one in wires[:5]] == ["in", "in", "in", 1, 2]
        with wires[5].connected():
            wires[5].choose()
            wires[5].prove_address()
            assert wires[5].hear("step", "queue")["position"] == 3
        wires[3].stop()
        assert wires[4].hear("queue")["position"] == 1
        stack.enter_context(wires[5].connected())
        wires[5].resume()
        assert wires[5].hear("queue", "step")["position"] == 2
        wires[1].stop()
        assert wires[4].hear("queue", "step")["step"] == 3
        assert wires[5].hear("queue", "step")["position"] == 1
        wires[4].stop()
        wires[5].document_step(wires[5].hear("queue", "step"))
        wires[5].say_sealed("mrz", json.dumps(LINES).encode())
        assert wires[5].hear("step")["step"] == 4
        for one in (wires[0], wires[2], wires[5]):
            one.stop()


def test_issuing_wants_codes_tokens_and_nonces_of_ours(town: Town) -> None:
    with httpx.Client(base_url=town.alicem, trust_env=False) as http:
        metadata = http.get("/.well-known/openid-credential-issuer").json()
        assert metadata["credential_issuer"] == town.alicem
        grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
        wrong = http.post("/credential/token", data={"grant_type": grant, "pre-authorized_code": "guess"})
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
        other = http.post("/credential/token", data={"grant_type": "password"})
        assert other.json()["error"] == "unsupported_grant_type"
        nobody = http.post("/credential/credential", json={}, headers={"Authorization": "Bearer guess"})
        assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_token")
        assert re.fullmatch(r"[\w-]{43}", http.post("/credential/nonce").json()["c_nonce"])
        assert http.get("/status/0").headers["content-type"] == "application/statuslist+jwt"
        assert http.get("/status/1").status_code == 404
