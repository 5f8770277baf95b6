"""docs/integrate.md against a real provider: a federation and a service without broker, typed from the page and run, with a phone in Python."""

from __future__ import annotations

import asyncio
import html
import importlib.util
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from provider_world import CODE, World, enrol, make_world

import apache_peer
from alicem.demo.town import CONFIG, Town
from developers_desk import ROOT, Desk, blocks

REGISTER, RUN, PLUS = blocks("A federation, as client of Alicem")
(DIRECT,) = blocks("A service without broker")
ANGELA = {
    "given_name": "Angela Claire Louise",
    "family_name": "DUBOIS",
    "birthdate": "1962-08-24",
    "gender": "female",
    "preferred_username": "Ledoux-Dûment",
    "email": "angela.dubois@courriel.example",
    "acr": "eidas2",
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("desk") / "demo" / "alicem")
    settings = (
        CONFIG / "alicem" / "alicem.toml"
    ).read_text()  # for commands; whom they are told of is read from clients.toml beside it
    (made.folder / "alicem.toml").write_text(Template(settings).substitute(Town(made.folder, 8000).addresses))
    yield made
    made.close()


@pytest.fixture
def desk(provider: World) -> Desk:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    return Desk(provider.folder.parents[1], {"http://localhost:8000": provider.origin, "3000": port})


@pytest.fixture(scope="module")
def phone(provider: World) -> Path:
    """Angela's."""
    enrol(provider)
    return provider.folder / f"phone{provider.people}"


def walk(address: str, phone: Path) -> str:
    """As `python examples/sign_in.py` does: the page where the browser ends."""
    spec = importlib.util.spec_from_file_location("sign_in_example", ROOT / "examples" / "sign_in.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return str(asyncio.run(example.sign_in(address, phone, CODE))[1])


def told(page: str) -> dict[str, Any]:
    found = re.search(r"<pre id='claims'>(.*?)</pre>", page, re.DOTALL)
    tree: dict[str, Any] = json.loads(html.unescape(found[1] if found else page))
    assert tree.pop("sub")
    return tree


@pytest.mark.parametrize("example", ["python examples/service.py", "node examples/service.mjs"])
def test_a_federation_signs_a_person_in(provider: World, desk: Desk, phone: Path, example: str) -> None:
    own_table(provider, desk, REGISTER)
    with desk.serving(RUN.replace("python examples/service.py", example)) as federation:
        assert told(walk(f"{federation}/sign-in", phone)) == ANGELA


@pytest.mark.parametrize("commands", [PLUS, DIRECT], ids=["franceconnect_plus", "direct"])
def test_openid_client_does_what_the_stricter_profiles_ask(
    provider: World, desk: Desk, phone: Path, commands: str
) -> None:
    *registering, run = commands.splitlines()
    own_table(provider, desk, "\n".join(registering))
    with desk.serving(run) as client:
        learned = told(walk(client, phone))
    assert {name: learned[name] for name in ANGELA} == ANGELA
    assert learned.keys() - ANGELA.keys() <= {"birthplace", "birthcountry", "iss", "aud"}


@pytest.mark.skipif(not apache_peer.installed(), reason=apache_peer.MISSING)
@pytest.mark.parametrize("profile", ["franceconnect", "franceconnect_plus"])
def test_apache_with_mod_auth_openidc_signs_a_person_in(
    provider: World, desk: Desk, phone: Path, profile: str, tmp_path: Path
) -> None:
    """HS256 and ES256, JSON and JWE, by everyone's web server."""
    secret, told = "s" * 40, dict(APACHE, OIDCProviderMetadataURL=f"{provider.origin}/.well-known/openid-configuration")
    more = 'id_token_alg = "HS256"'
    if profile == "franceconnect_plus":
        more = f'jwks_file = "{_keys(tmp_path)}"'
        told |= {
            "OIDCPrivateKeyFiles": f"k1#{tmp_path}/apache.pem",
            "OIDCIDTokenSignedResponseAlg": "ES256",
            "OIDCIDTokenEncryptedResponseAlg": "RSA-OAEP",
            "OIDCIDTokenEncryptedResponseEnc": "A256GCM",
            "OIDCUserInfoSignedResponseAlg": "ES256",
            "OIDCUserInfoEncryptedResponseAlg": "RSA-OAEP",
            "OIDCUserInfoEncryptedResponseEnc": "A256GCM",
        }
        more += '\nencryption_alg = "RSA-OAEP"'
    (provider.folder / "apache.secret").write_text(secret)
    table = TABLE.format(profile=profile, port=desk.ours["3000"], more=more)
    own_table(provider, desk, f"cat >> demo/alicem/clients.toml <<'END'\n{table}END")
    with apache_peer.apache(int(desk.ours["3000"]), "my-apache", secret, told) as client:
        assert walk(f"{client}/sign-in", phone) == "signed in"


TABLE = """
[my-apache]
name = "Apache"
profile = "{profile}"
secret_file = "apache.secret"
redirect_uris = ["http://127.0.0.1:{port}/callback"]
sector = "apache"
scopes = ["openid", "profile", "email"]
{more}
"""
APACHE = {
    "OIDCScope": "openid profile email",
    "OIDCAuthRequestParams": "acr_values=eidas2",
    "OIDCProviderTokenEndpointAuth": "client_secret_post",
    "OIDCIDTokenSignedResponseAlg": "HS256",
}


def _keys(folder: Path) -> Path:
    """Apache's key to be encrypted to, in PEM, and its public half as the provider reads it."""
    key = RSAKey.generate_key(2048, {"kid": "k1", "use": "enc", "alg": "RSA-OAEP"})
    (folder / "apache.pem").write_bytes(key.as_pem(private=True))
    file = folder / "apache.jwks"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return file


def own_table(provider: World, desk: Desk, commands: str) -> None:
    """Type what adds a client, in the place of one of an earlier test."""
    file = provider.settings.service.clients
    file.write_text(re.split(r"^\[my-", file.read_text(), maxsplit=1, flags=re.MULTILINE)[0])
    for secret in provider.folder.glob("my-*.secret"):
        secret.unlink()
    desk.type(commands)
    provider.restart()
