"""Answers of providers that are signed, then encrypted to the broker's published keys; what does not open, or opens by another algorithm."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx
import pytest
from broker_peers import ANGELA, Clock, Provider, Serve, Service
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from alicem.broker import BrokerSettings
from alicem.broker.app import app as application
from alicem.broker.keys import EncryptionKeys

ALGORITHMS = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES")


class Sealer:
    """What a provider does with the keys it finds at the broker's address."""

    def __init__(self, address: str, alg: str, enc: str = "A256GCM") -> None:
        self.address, self.alg, self.enc = address, alg, enc
        self.kids: list[str] = []
        self.more: dict[str, str] = {}
        self.kid = True

    def key(self) -> RSAKey | ECKey:
        rows = httpx.get(self.address).json()["keys"]
        row = next(one for one in rows if (one["use"], one["alg"]) == ("enc", self.alg.partition("+")[0]))
        self.kids.append(row["kid"])
        return RSAKey.import_key(row) if row["kty"] == "RSA" else ECKey.import_key(row)

    def __call__(self, token: str) -> str:
        key = self.key()
        header = {"alg": self.alg, "enc": self.enc, "cty": "JWT", **self.more}
        header |= {"kid": self.kids[-1]} if self.kid else {}
        return jwe.encrypt_compact(header, token.encode(), key, algorithms=[self.alg, self.enc, "DEF"])


def encrypting(settings: BrokerSettings, provider: Provider, alg: str) -> Sealer:
    file = settings.providers / "small.toml"
    file.write_text(file.read_text() + f'encryption_alg = "{alg}"\n')
    provider.signed_userinfo, sealer = True, Sealer(f"{settings.origin}/client/keys", alg)
    provider.seal = sealer
    return sealer


@pytest.fixture
def start(serve: Serve, settings: BrokerSettings, clock: Clock) -> Callable[[], str]:
    return lambda: serve(application(settings, clock), int(settings.origin.rsplit(":", 1)[1]))


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("kid", [True, False], ids=["kid", "no kid"])
def test_signed_then_encrypted(
    settings: BrokerSettings, provider: Provider, start: Callable[[], str], alg: str, kid: bool
) -> None:
    sealer = encrypting(settings, provider, alg)
    sealer.kid = kid
    service = Service(start())
    assert service.userinfo(service.redeem(service.code()).json()["access_token"]).json()["family_name"] == "DUBOIS"
    assert len(sealer.kids) == 2


def test_keys_turn_while_people_sign_in(
    settings: BrokerSettings, provider: Provider, start: Callable[[], str], clock: Clock
) -> None:
    sealer = encrypting(settings, provider, "ECDH-ES")
    service = Service(start())
    service.code()
    old = sealer.key()
    EncryptionKeys(settings.encryption_file).rotate(clock())
    service.code()
    assert sealer.kids[-1] != sealer.kids[0], "the newest comes first"
    sealer.key = lambda: old  # type: ignore[method-assign] # a provider that kept the keys for its ten minutes
    sealer.kids.append(sealer.kids[0])
    assert service.through_provider(service.begin(prompt="login")).url.path == "/information"
    clock.pass_by(days=2)
    page = service.through_provider(service.begin(prompt="login"))
    assert "provider_id_token_encryption" in page.text


def zipped(sealer: Sealer) -> None:
    sealer.more = {"zip": "DEF"}


def other_content(sealer: Sealer) -> None:
    sealer.enc = "A128GCM"


def other_key(sealer: Sealer) -> None:
    sealer.key = lambda: ECKey.generate_key("P-256")  # type: ignore[method-assign]
    sealer.kids.append("unknown")


def other_algorithm(sealer: Sealer) -> None:
    sealer.alg = "ECDH-ES+A128KW"


FLAWS: dict[str, Callable[[Sealer], None]] = {
    "zip": zipped,
    "enc": other_content,
    "key": other_key,
    "alg": other_algorithm,
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_does_not_open_as_configured(
    settings: BrokerSettings, provider: Provider, start: Callable[[], str], flaw: str
) -> None:
    sealer = encrypting(settings, provider, "ECDH-ES")
    service = Service(start())
    if flaw == "alg":
        key = sealer.key()
        sealer.key = lambda: key  # type: ignore[method-assign]
    FLAWS[flaw](sealer)
    page = service.through_provider(service.begin())
    assert "provider_id_token_encryption" in page.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token,  # signed alone, where encryption was agreed
        lambda token: token + "..",
        lambda token: ".....",
        lambda token: "a" * 70_000,
        lambda token: _header({"alg": "none"}) + "....",
        lambda token: _header({"alg": "dir", "enc": "A256GCM"}) + "....",
        lambda token: _header(["alg"]) + "....",
        lambda token: "é....",
    ],
)
def test_malformed_answers_lead_to_the_choice(
    settings: BrokerSettings, provider: Provider, start: Callable[[], str], damage: Callable[[str], str]
) -> None:
    encrypting(settings, provider, "ECDH-ES")
    provider.seal = damage
    service = Service(start())
    page = service.through_provider(service.begin())
    assert page.url.path == "/choice" and "data-failure>provider_" in page.text


def _header(tree: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=").decode()


def test_an_encrypted_answer_where_none_was_agreed(
    settings: BrokerSettings, provider: Provider, start: Callable[[], str], clock: Clock
) -> None:
    EncryptionKeys(settings.encryption_file).have(["ECDH-ES"], clock())
    origin = start()
    provider.seal = Sealer(f"{origin}/client/keys", "ECDH-ES")
    service = Service(origin)
    assert "provider_id_token_signature" in service.through_provider(service.begin()).text


def test_userinfo_comes_in_the_form_agreed(provider: Provider, origin: str) -> None:
    provider.signed_userinfo = True  # its file says json
    service = Service(origin)
    assert "provider_userinfo_form" in service.through_provider(service.begin()).text


def test_an_id_token_is_no_userinfo(settings: BrokerSettings, provider: Provider, start: Callable[[], str]) -> None:
    file = settings.providers / "small.toml"
    file.write_text(file.read_text() + 'userinfo = "jwt"\n')
    provider.signed_userinfo = True
    provider.claims = {**ANGELA, "nonce": "n"}
    service = Service(start())
    assert "data-failure>provider_userinfo" in service.through_provider(service.begin()).text


def test_published_keys_are_public(settings: BrokerSettings, provider: Provider, start: Callable[[], str]) -> None:
    encrypting(settings, provider, "RSA-OAEP-256")
    answer = httpx.get(f"{start()}/client/keys")
    [key] = answer.json()["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}
    assert answer.headers["cache-control"] == "max-age=600"
