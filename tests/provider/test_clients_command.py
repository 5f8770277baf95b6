"""`alicem clients`, and the examples of docs/clients.md."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from client_profiles import ALGS, client_keys, published
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from alicem import cli, jose
from alicem.cli.clients import written
from alicem.provider.clients import KEYS, load, read
from alicem.provider.profiles import PROFILES

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
SETTINGS = """
[service]
profile = "development"
origin = "https://alicem.example"
[database]
url = "sqlite:///alicem.db"
[keys]
file = "keys.bin"
[trust]
folder = "trust"
[registry]
url = "http://127.0.0.1:9"
token_file = "token"
[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
tls = "none"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "alicem.toml").write_text(SETTINGS)
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.build("clients"), ["clients", *words, "--config", str(folder / "alicem.toml")])


FEDERATION = ("--name", "A “federation”", "--redirect-uri", "https://fc.example/back", "--profile", "franceconnect")


def test_a_client_is_added_shown_listed_and_given_another_secret(folder: Path) -> None:
    added = run(folder, "add", "fc", *FEDERATION, "--scope", "openid email", "--json")
    assert added.exit_code == 0, added.output
    told, secret_file = json.loads(added.stdout), folder / "fc.secret"
    secret = secret_file.read_text()
    assert secret_file.stat().st_mode & 0o777 == 0o600 and len(secret) >= 43 and secret not in added.output
    assert told["id_token_signed_response_alg"] == "HS256" and told["scope"] == "openid email"
    assert told["issuer"] == "https://alicem.example"
    client = load(folder / "clients.toml")["fc"]
    assert (client.secret, client.name, client.sector) == (secret, "A “federation”", "fc")
    shown = json.loads(run(folder, "show", "fc", "--json").stdout)
    assert shown["configuration"] == told and shown["profile"] == "franceconnect"
    assert [one["client_id"] for one in json.loads(run(folder, "list", "--json").stdout)] == ["fc"]
    assert "fc" in run(folder, "list").stdout and "https://fc.example/back" in run(folder, "show", "fc").stdout
    assert run(folder, "secret", "fc").exit_code == 0
    assert load(folder / "clients.toml")["fc"].secret == secret_file.read_text() != secret


def test_what_the_file_held_before_stays(folder: Path) -> None:
    file = folder / "clients.toml"
    file.write_text("# ours\n")
    file.chmod(0o640)
    assert run(folder, "add", "one", *FEDERATION).exit_code == 0
    assert run(folder, "add", "two", *FEDERATION).exit_code == 0
    assert file.read_text().startswith("# ours\n") and list(load(file)) == ["one", "two"]
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "fc", *FEDERATION, "--id-token-alg", "none"), 1, "fc.id_token_alg: franceconnect has HS256, ES256"),
        (("add", "fc", *FEDERATION, "--scope", "email"), 1, "fc.scopes"),
        (("add", "fc", *FEDERATION, "--profile", "direct"), 1, "exactly one of jwks_uri and jwks_file"),
        (("add", "fc", *FEDERATION, "--profile", "nothing"), 2, "a profile is one of"),
        (("add", "../fc", *FEDERATION), 2, "a new client_id is"),
        (("show", "fc"), 1, "there is no client fc"),
        (("secret", "fc"), 1, "there is no client fc"),
    ],
)
def test_refused(folder: Path, words: tuple[str, ...], status: int, said: str) -> None:
    (folder / "clients.toml").write_text("")
    answer = run(folder, *words)
    assert answer.exit_code == status and said in answer.output
    assert (folder / "clients.toml").read_text() == "" and not list(folder.glob("*.secret"))


def test_no_client_takes_the_place_of_another(folder: Path) -> None:
    assert run(folder, "add", "fc", *FEDERATION).exit_code == 0
    secret = (folder / "fc.secret").read_text()
    assert run(folder, "add", "fc", *FEDERATION).exit_code == 1
    assert (folder / "fc.secret").read_text() == secret


def test_every_fault_has_its_sentence(folder: Path) -> None:
    (folder / "short").write_text("short")
    (folder / "keys").write_text('{"keys": []}')
    (folder / "clients.toml").write_text(
        """
[a]
name = ""
profile = "franceconnect"
secret_file = "short"
redirect_uris = ["http://elsewhere.example/"]
sector = "s"
scopes = ["openid"]
jwks_uri = "https://keys.example/"
[b]
name = "B"
profile = "direct"
jwks_file = "keys"
secret_file = "short"
redirect_uris = ["https://b.example/"]
sector = "s"
scopes = ["openid"]
auth = "client_secret_post"
[c]
surprise = 1
[d]
name = "D"
profile = "franceconnect_plus"
secret_file = "absent"
redirect_uris = ["https://d.example/"]
sector = "s"
scopes = ["openid"]
userinfo = "json"
encryption_enc = "A128CBC-HS256"
jwks_uri = "http://keys.example/"
"""
    )
    answer = run(folder, "check", "--json")
    faults = json.loads(answer.stdout)["faults"]
    assert answer.exit_code == 1
    named = {re.split(r":| lacks", fault)[0] for fault in faults}
    assert named >= {
        "a.name", "a.secret_file", "a.redirect_uris", "a.jwks_uri", "b.auth", "b.secret_file", "c",
        "d.secret_file", "d.userinfo", "d.encryption_enc", "d.jwks_uri",
    }  # fmt: skip
    assert "c: unknown key surprise" in faults and "c lacks name" in faults
    assert all(fault in run(folder, "check").output for fault in faults)
    (folder / "clients.toml").write_text("[a")
    assert run(folder, "check").exit_code == 1
    (folder / "clients.toml").write_text("")
    assert run(folder, "check").exit_code == 0


def test_published_keys_are_looked_at_when_asked(folder: Path) -> None:
    with published() as at:
        plus = (*FEDERATION, "--profile", "franceconnect_plus", "--jwks-uri", at.address)
        assert run(folder, "add", "plus", *plus).exit_code == 0
        assert run(folder, "check").exit_code == 0 and at.hits == 0
        answer = run(folder, "check", "--online")
        assert answer.exit_code == 1 and "plus.jwks_uri: the client publishes no key for RSA-OAEP-256" in answer.output
        at.show(client_keys().public("RSA-OAEP-256", "k"))
        assert run(folder, "check", "--online").exit_code == 0


def test_production_sends_nobody_to_an_address_without_tls(folder: Path) -> None:
    back = ("--name", "A", "--redirect-uri", "http://127.0.0.1:3000/back", "--profile", "franceconnect")
    assert run(folder, "add", "fc", *back).exit_code == 0
    assert read(folder / "clients.toml", loopback=True).faults == ()
    [fault] = read(folder / "clients.toml", loopback=False).faults
    assert fault.startswith("fc.redirect_uris")


def test_production_fetches_no_keys_without_tls(folder: Path) -> None:
    file = folder / "clients.toml"
    (folder / "s").write_text("s" * 32)
    table = PAGE.read_text("utf-8").split("FranceConnect+:\n```toml\n")[1].split("```")[0]
    for address, here, there in (
        ("http://127.0.0.1:9/keys", True, False),
        ("http://keys.example/", False, False),
        ("https://user@keys.example/", False, False),
        ("https://keys.example/", True, True),
    ):
        text = table.replace("franceconnect-plus.secret", "s")
        file.write_text(re.sub(r'jwks_uri = ".*"', f'jwks_uri = "{address}"', text))
        assert [not read(file, loopback=loopback).faults for loopback in (True, False)] == [here, there]


texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
choices = st.sampled_from([*PROFILES, "ES256", "jwt", "openid", "https://a.example", "http://[::1", "RSA-OAEP", "\0"])


@given(texts, st.dictionaries(st.sampled_from(sorted(KEYS)), texts | st.lists(texts, max_size=3)))
@settings(deadline=None)
def test_what_is_written_is_read_back(client_id: str, table: dict[str, Any]) -> None:
    assert tomllib.loads(written(client_id, table)) == {client_id: table}


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), texts | choices | st.lists(choices, max_size=2)))
@settings(max_examples=200, deadline=None)
def test_any_table_is_taken_or_has_its_faults(table: dict[str, Any]) -> None:
    reading = read(Path("/nowhere/clients.toml"), text=written("c", table))
    assert bool(reading.faults) != ("c" in reading.clients)


def test_the_examples_of_the_page_are_read(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "clients.toml").write_text("\n".join(examples))
    for name in re.findall(r'secret_file = "(.*)"', "\n".join(examples)):
        (tmp_path / name).write_text("s" * 32)
    jwk = {**client_keys().ec.as_dict(private=False), "use": "sig", "kid": "1"}
    (tmp_path / "town-hall.jwks").write_text(json.dumps({"keys": [jwk]}))
    clients = load(tmp_path / "clients.toml", loopback=False)
    assert {client.profile.name for client in clients.values()} == PROFILES.keys()
    assert jose.public_key(jwk)


def test_the_page_tells_every_key_and_every_choice() -> None:
    page = PAGE.read_text("utf-8")
    profiles, _, keys = page.partition("## Keys of the table")
    assert set(re.findall(r"^\| `(\w+)` \|", keys, re.MULTILINE)) == KEYS.keys()
    rows = {
        row[0].strip("` "): row[1:]
        for row in (line.split("|")[1:-1] for line in profiles.splitlines() if line[:1] == "|")
    }
    for column, profile in enumerate(PROFILES.values()):
        for key in ("auth", "id_token_alg", "userinfo", "encryption_alg"):
            said = re.findall(r"none|(?<=`)[\w-]+(?=`)", rows[key][column])
            assert tuple(said) == tuple("none" if one is None else one for one in getattr(profile, key)), key
    assert set(ALGS) == set(PROFILES["direct"].encryption_alg) - {None}
