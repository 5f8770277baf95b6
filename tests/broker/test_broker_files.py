"""Services, providers and keys as their files say: read when they change, refused one by one, 700 of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from broker_peers import Provider, Serve, Service
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from alicem import broker
from alicem.broker.app import app as application
from alicem.broker.folder import Folder
from alicem.broker.keys import EncryptionKeys, pseudonym_secret, signing_key
from alicem.broker.providers import read_provider
from alicem.broker.services import read_service
from alicem.cli.broker import app as commands
from alicem.settings import SettingsError

HEAD = 'title = "T"\nclient_id = "c"\nsecret_file = "s"\nentity = "e"\nredirect_uris = ["https://s.example/back"]\n'
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").write_text("s" * 40)
    return tmp_path


class Hand:
    """A clock that goes by a second each time it is read."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def services(folder: Path) -> Folder[object]:
    return Folder(folder, read_service, Hand())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        'scopes = ["openid", "photo"]',
        'scopes = ["email"]',
        'scopes = ["openid"]\nsignature = "none"',
        'scopes = ["openid"]\nwhatever = 1',
        'scopes = ["openid"]\nlevels = ["high"]',
        'scopes = ["openid"]\nauth = "none"',
        'scopes = ["openid"]\nauth = "private_key_jwt"',
        'scopes = ["openid"]\nencryption_alg = "RSA1_5"\njwks_uri = "https://s.example/keys"',
        'scopes = ["openid"]\nencryption_alg = "ECDH-ES"',
        'scopes = ["openid"]\nencryption_alg = "ECDH-ES"\njwks_uri = "http://s.example/keys"',
        'scopes = ["openid"]\npost_logout_redirect_uris = ["http://s.example/out"]',
        "scopes = 3",
        "scopes = [",
    ],
)
def test_a_wrong_service_is_refused(folder: Path, text: str) -> None:
    (folder / "one.toml").write_text(HEAD + text + "\n")
    with pytest.raises(
        SettingsError, match=r"scopes|signature|whatever|levels|auth|encryption|jwks|post_logout|one\.toml"
    ):
        read_service(folder / "one.toml")


@pytest.mark.parametrize(
    "text",
    [
        'title = "X"',
        'title = "X"\ncoming = true\nlevels = ["high"]',
        'title = ""\ncoming = true',
        'title = "X"\nissuer = "http://p.example"\nclient_id = "b"\nsecret_file = "s"',
        'title = "X"\nissuer = "https://p.example"\nclient_id = "b"\nsecret_file = "missing"',
        'title = "X"\nissuer = "https://p.example"\nclient_id = "b"\nsecret_file = "s"\nencryption_enc = "A128CBC-HS256"',
    ],
)
def test_a_wrong_provider_is_refused(folder: Path, text: str) -> None:
    (folder / "one.toml").write_text(text + "\n")
    with pytest.raises(SettingsError):
        read_provider(folder / "one.toml")


def test_files_are_seen_when_they_change(folder: Path) -> None:
    found = services(folder)
    assert found.all() == {}
    (folder / "one.toml").write_text(HEAD + 'scopes = ["openid"]\n')
    assert found.all()["c"].file.scopes == ("openid",)  # type: ignore[attr-defined]
    (folder / "one.toml").write_text(HEAD + 'scopes = ["openid", "email"]\n')
    assert found.all()["c"].file.scopes == ("openid", "email")  # type: ignore[attr-defined]
    (folder / "s").write_text("t" * 40)
    assert found.all()["c"].secret == "t" * 40  # type: ignore[attr-defined]
    (folder / "one.toml").unlink()
    assert found.all() == {}


def test_a_faulty_file_takes_nobody_down(folder: Path) -> None:
    (folder / "one.toml").write_text(HEAD + 'scopes = ["openid"]\n')
    (folder / "two.toml").write_text("faulty")
    found = services(folder)
    assert found.all().keys() == {"c"}
    assert found.faults().keys() == {"two"}
    (folder / "one.toml").write_text("faulty too, now")
    assert found.all().keys() == {"c"}, "what it said before holds"
    assert found.faults().keys() == {"one", "two"}
    (folder / "two.toml").write_text(HEAD.replace('"c"', '"d"') + 'scopes = ["openid"]\n')
    assert found.all().keys() == {"c", "d"}
    assert found.faults().keys() == {"one"}


def test_a_client_id_is_of_one_file(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / f"{name}.toml").write_text(HEAD.replace('"T"', f'"{name}"') + 'scopes = ["openid"]\n')
    found = services(folder)
    assert found.all()["c"].file.title == "one"  # type: ignore[attr-defined]
    assert found.faults().keys() == {"two"}


def test_a_running_broker_sees_a_new_service(serve: Serve, settings: broker.BrokerSettings, provider: Provider) -> None:
    origin = serve(application(settings, Hand()), int(settings.origin.rsplit(":", 1)[1]))
    asked = Service(origin, "later", "openid").parameters()
    assert httpx.get(f"{origin}/authorize", params=asked).status_code == 400
    (settings.services / "later.secret").write_text(Service.secret("later"))
    (settings.services / "later.toml").write_text(Service.file("later") + 'scopes = ["openid"]\n')
    assert httpx.get(f"{origin}/authorize", params=asked).status_code == 303


def test_seven_hundred_services(serve: Serve, settings: broker.BrokerSettings) -> None:
    for number in range(700):
        (settings.services / f"s{number}.toml").write_text(
            Service.file("town").replace("town-id", f"c{number}") + 'scopes = ["openid"]\n'
        )
    read: list[str] = []
    found = Folder(settings.services, lambda path: read.append(path.name) or read_service(path), Hand())  # type: ignore[func-returns-value]
    for _ in range(3):
        assert len(found.all()) == 704
    assert len(read) == 704, "each is read once"
    (settings.services / "s7.toml").write_text(
        Service.file("town").replace("town-id", "c7") + 'scopes = ["openid"]\n\n'
    )
    assert len(found.all()) == 704 and read[704:] == ["s7.toml"], "and again where it changed"
    service = Service(serve(application(settings), int(settings.origin.rsplit(":", 1)[1])), "town", "openid")
    for number in (0, 350, 699):
        assert service.begin(client_id=f"c{number}", scope="openid")


def test_keys_are_made_once_and_for_us_alone(tmp_path: Path) -> None:
    key, again = (signing_key(tmp_path / "key.pem") for _ in range(2))
    assert key.kid == again.kid
    secret = pseudonym_secret(tmp_path / "secret", lambda n: bytes(range(n)))
    assert secret == pseudonym_secret(tmp_path / "secret", bytes)
    EncryptionKeys(tmp_path / "encryption").have(["ECDH-ES"], BEGIN)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("key.pem", "secret", "encryption")} == {0o600}


@pytest.mark.parametrize("name", ["key.pem", "secret", "encryption"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_keys_that_others_may_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    encryption = EncryptionKeys(tmp_path / "encryption")
    encryption.have(["ECDH-ES"], BEGIN)
    readers = {
        "key.pem": lambda: signing_key(tmp_path / "key.pem"),
        "secret": lambda: pseudonym_secret(tmp_path / "secret", bytes),
        "encryption": lambda: EncryptionKeys(tmp_path / "encryption").all(),
    }
    readers[name]()
    (tmp_path / name).chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        readers[name]()


def test_encryption_keys_turn_with_overlap(tmp_path: Path) -> None:
    keys = EncryptionKeys(tmp_path / "encryption")
    keys.have(["ECDH-ES"], BEGIN)
    [first] = keys.public(BEGIN)
    assert (first["use"], first["alg"]) == ("enc", "ECDH-ES")
    assert "d" not in first
    keys.rotate(BEGIN)
    assert [one["kid"] for one in keys.public(BEGIN)][1:] == [first["kid"]]
    day = BEGIN + timedelta(days=1, minutes=1)
    assert first["kid"] not in [one["kid"] for one in keys.public(day)]
    assert first["kid"] in keys.openers("ECDH-ES", day)
    assert first["kid"] not in keys.openers("ECDH-ES", day + timedelta(hours=1))
    assert isinstance(next(iter(keys.openers("ECDH-ES", day).values())), ECKey)


def run(settings: broker.BrokerSettings, *words: str) -> tuple[int, str]:
    file = settings.key_file.parent / "broker.toml"
    file.write_text(
        f'origin = "{settings.origin}"\nservices = "services"\nproviders = "providers"\nkey_file = "broker.pem"\n'
        'pseudonym_file = "pseudonyms.secret"\nencryption_file = "encryption.json"\n[database]\nurl = "sqlite:///broker.db"\n'
    )
    result = CliRunner().invoke(commands, [*words, "--config", str(file)])
    return result.exit_code, result.output


def test_a_service_is_added_shown_and_removed(settings: broker.BrokerSettings) -> None:
    add = ("services", "add", "shop", "--title", "La « Boutique »", "--redirect-uri", "https://shop.example/back")
    code, said = run(settings, *add, "--scope", "openid email")
    assert code == 0 and "client_id" in said
    secret = settings.services / "shop.secret"
    assert secret.stat().st_mode & 0o777 == 0o600 and secret.read_text() not in said
    code, said = run(settings, "services", "show", "shop", "--json")
    shown = json.loads(said)
    assert (shown["title"], shown["scopes"], shown["auth"]) == (
        "La « Boutique »",
        ["openid", "email"],
        "client_secret_post",
    )
    assert "shop" in {one["name"] for one in json.loads(run(settings, "services", "list", "--json")[1])["services"]}
    assert run(settings, *add)[0] == 1, "it is there already"
    assert run(settings, "services", "remove", "shop")[0] == 0
    assert not secret.exists()
    assert run(settings, "services", "remove", "shop")[0] == 1
    assert run(settings, "services", "show", "../broker")[0] == 2


def test_a_wrong_service_is_not_added(settings: broker.BrokerSettings) -> None:
    before = sorted(settings.services.iterdir())
    wrong = ("services", "add", "shop", "--title", "S", "--redirect-uri", "http://shop.example/back")
    assert run(settings, *wrong)[0] == 2
    taken = (*wrong[:-1], "https://shop.example/back", "--client-id", "town-id")
    assert run(settings, *taken)[0] == 2
    assert sorted(settings.services.iterdir()) == before


def test_a_provider_is_added_and_asked(settings: broker.BrokerSettings, provider: Provider) -> None:
    add = ("providers", "add", "more", "--title", "Autre", "--issuer", provider.issuer, "--client-id", "b")
    code, said = run(settings, *add)
    assert code == 0 and f"{settings.origin}/callback/more" in said
    assert run(settings, "providers", "check", "more", "--online")[0] == 0
    provider.discovery_issuer = "http://127.0.0.1:9"
    assert run(settings, "providers", "check", "--online")[0] == 1
    (settings.providers / "broken.toml").write_text("broken")
    code, said = run(settings, "providers", "check")
    assert code == 1 and "broken.toml" in said
    assert run(settings, "providers", "list")[0] == 0


def test_keys_are_listed_and_rotated(settings: broker.BrokerSettings) -> None:
    EncryptionKeys(settings.key_file.parent / "encryption.json").have(["ECDH-ES"], BEGIN)
    assert run(settings, "keys", "rotate") == (0, "")
    rows = json.loads(run(settings, "keys", "list", "--json")[1])
    assert [row["until"] is None for row in rows] == [True, False]
    assert not [row for row in rows if "d" in row]
