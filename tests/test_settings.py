"""alicem.toml: unknown keys are errors, and a production profile refuses everything that belongs to a demonstration."""

import re
from pathlib import Path

import pytest

from alicem.settings import PRODUCTION_REFUSES, SettingsError, load, production_refusals

SOUND = {
    "service": {"profile": "production", "origin": "https://alicem.example"},
    "database": {"url": "sqlite:///alicem.db"},
    "keys": {"file": "keys.bin"},
    "trust": {"folder": "trust"},
    "registry": {"url": "https://registry.example", "token_file": "token"},
    "mail": {"host": "mail.example", "port": 587, "sender": "no-reply@alicem.example"},
}

FLAWS: dict[str, tuple[str, str, object]] = {
    "service.origin is plain http": ("service", "origin", "http://alicem.example"),
    "service.demo_origin is set": ("service", "demo_origin", "https://demo.example"),
    "trust.specimen accepts specimen documents": ("trust", "specimen", True),
    "registry.simulated: the State's registry is simulated": ("registry", "simulated", True),
    "registry.url is plain http": ("registry", "url", "http://registry.example"),
    "mail.tls is none": ("mail", "tls", "none"),
    "face.actor offers the actor": ("face", "actor", True),
    "face.challenge_seed makes the challenge predictable": ("face", "challenge_seed", "7"),
    "keys.levels admits software keys": ("keys", "levels", {"software": "high"}),
    "service.trusted_proxies believes everybody": ("service", "trusted_proxies", ["10.0.0.1", "::/0"]),
    "service.roles lacks some: other workers have them, and SQLite serves one": ("service", "roles", ["web"]),
    "database.url holds a password": ("database", "url", "postgresql+psycopg://alicem:secret@db.example/alicem"),
    "mail.host is this machine: a mail box of the demonstration?": ("mail", "host", "127.0.0.2"),
    "limits: one of them is zero": ("limits", "session_queue", 0),
    "log.level is debug": ("log", "level", "debug"),
    "metrics.listen is not a loopback address": ("metrics", "listen", "0.0.0.0:9100"),
    "traces.endpoint is plain http to another machine": ("traces", "endpoint", "http://collector.example/v1/traces"),
}
READABLE = {
    "keys.file is readable by others": ("keys", "file", "loose"),
    "keys.master_key_file is readable by others": ("keys", "master_key_file", "loose"),
    "keys.token.pin_file is readable by others": (
        "keys",
        "token",
        {"module": "token.so", "label": "alicem", "pin_file": "loose"},
    ),
    "registry.token_file is readable by others": ("registry", "token_file", "loose"),
    "registry.certificate_key_file is readable by others": ("registry", "certificate_key_file", "loose"),
    "registry.notices_token_file is readable by others": ("registry", "notices_token_file", "loose"),
    "mail.password_file is readable by others": ("mail", "password_file", "loose"),
    "log.file is readable by others": ("log", "file", "loose"),
    "database.url: its file is readable by others": ("database", "url", "sqlite:///loose"),
}
UNTOUCHED = {
    "metrics.listen": ("metrics", "listen", "[::1]:9100"),
    "traces.endpoint": ("traces", "endpoint", "http://127.0.0.1:4318/v1/traces"),
    "roles with PostgreSQL": ("service", "trusted_proxies", ["10.0.0.0/8"]),
}


def text(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'{key} = "{one}"' for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


def write(tmp_path: Path, table: str = "", key: str = "", value: object = None) -> Path:
    tables = {name: dict(members) for name, members in SOUND.items()}
    if table:
        tables.setdefault(table, {})[key] = value
    lines = [
        f"[{name}]\n" + "\n".join(f"{key} = {text(one)}" for key, one in members.items())
        for name, members in tables.items()
    ]
    file = tmp_path / "alicem.toml"
    file.write_text("\n".join(lines))
    return file


def test_sound_production_settings_load(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    assert production_refusals(settings) == ()
    assert settings.keys.file == tmp_path / "keys.bin"
    assert settings.service.clients == tmp_path / "clients.toml"
    assert settings.keys.levels == {
        "keystore": "high",
        "passkey": "high",
        "passkey_synced": "substantial",
        "webcrypto": "substantial",
    }


@pytest.mark.parametrize(("sentence", "flaw"), FLAWS.items())
def test_production_refuses(tmp_path: Path, sentence: str, flaw: tuple[str, str, object]) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        load(write(tmp_path, *flaw))


@pytest.mark.parametrize(("sentence", "flaw"), READABLE.items())
def test_production_refuses_files_that_others_read(
    tmp_path: Path, sentence: str, flaw: tuple[str, str, object]
) -> None:
    (tmp_path / "loose").write_text("x")
    (tmp_path / "loose").chmod(0o644)
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        load(write(tmp_path, *flaw))
    (tmp_path / "loose").chmod(0o600)
    load(write(tmp_path, *flaw))


@pytest.mark.parametrize("sound", UNTOUCHED.values(), ids=UNTOUCHED)
def test_production_admits(tmp_path: Path, sound: tuple[str, str, object]) -> None:
    load(write(tmp_path, *sound))


def test_every_refusal_says_what_to_do() -> None:
    assert all(one.fix for one in PRODUCTION_REFUSES)


def test_every_row_of_the_table_is_tested() -> None:
    assert {one.text for one in PRODUCTION_REFUSES} == FLAWS.keys() | READABLE.keys()


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        ("service", "colour", "blue", "unknown key service.colour"),
        ("colours", "sky", "blue", "unknown key colours"),
        ("mail", "port", "many", "mail.port: expected int, found str"),
        ("trust", "specimen", 1, "trust.specimen: expected bool"),
        ("service", "profile", "holiday", "service.profile"),
        ("service", "roles", ["web", "cook"], "service.roles"),
        ("service", "roles", [], "service.roles"),
        ("service", "listen", "8000", "service.listen"),
        ("service", "worker", "w1/../w2", "service.worker"),
        ("service", "trusted_proxies", ["proxy.example"], "service.trusted_proxies"),
        ("log", "level", "loud", "log.level"),
        ("metrics", "listen", "127.0.0.1", "metrics.listen"),
        ("traces", "sample", 2, "traces.sample"),
    ],
)
def test_an_error_names_its_key(tmp_path: Path, table: str, key: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(write(tmp_path, table, key, value))


def test_a_missing_file_and_broken_toml_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("[service")
    with pytest.raises(SettingsError, match=r"a\.toml"):
        load(tmp_path / "a.toml")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    file.write_text(file.read_text().replace('origin = "https://alicem.example"', ""))
    with pytest.raises(SettingsError, match="service lacks one of origin"):
        load(file)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("sqlite:///alicem.db", "sqlite:///{folder}/alicem.db"),
        ("sqlite:///data/alicem.db", "sqlite:///{folder}/data/alicem.db"),
        ("sqlite:////var/lib/alicem.db", "sqlite:////var/lib/alicem.db"),
        ("postgresql+psycopg://alicem@/alicem", "postgresql+psycopg://alicem@/alicem"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_a_database_is_named_from_its_settings_file_not_from_where_one_stands(
    tmp_path: Path, url: str, meant: str
) -> None:
    settings = load(write(tmp_path, "database", "url", url))
    assert settings.database.url == meant.format(folder=tmp_path)
