"""Keys in a PKCS#11 token: made there, used from there, never seen outside. SoftHSM takes the part of the token."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from desk_settings import desk_settings
from warm_python import WarmPython

MODULES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so"))
MODULE = next((path for path in MODULES if path.exists()), None)
pytest.importorskip("pkcs11", reason="python-pkcs11 is missing; please type:  pip install -r requirements/pkcs11.txt")
pytestmark = pytest.mark.skipif(
    MODULE is None, reason="SoftHSM is missing; please type:  sudo apt-get install softhsm2"
)

TOKEN = '[keys.token]\nmodule = "{}"\nlabel = "alicem"\npin_file = "pin"'


class Desk:
    """A provider's folder with a token. A process each: a token's library is loaded once and for all."""

    def __init__(self, folder: Path, warm: WarmPython) -> None:
        self.folder, self.warm = folder, warm
        self.environment = os.environ | {"SOFTHSM2_CONF": f"{folder}/softhsm.conf"}
        (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/tokens\n")

    def found(self) -> None:
        """Make the token and what goes with it."""
        folder = self.folder
        (folder / "tokens").mkdir()
        (folder / "master.key").write_bytes(base64.b64encode(b"m" * 32))
        (folder / "pin").write_text("271828")
        self.use(TOKEN.format(MODULE))
        words = ["--init-token", "--free", "--label", "alicem", "--pin", "271828", "--so-pin", "314159"]
        self.run("softhsm2-util", *words)

    def use(self, token: str) -> None:
        (self.folder / "alicem.toml").write_text(desk_settings(more=token))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.warm.alicem(*words, folder=self.folder, environment=self.environment)

    def tries(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.warm.python(OPENS + code, self.folder, self.environment)

    def done(self, *words: str) -> Any:
        found = self.type(*words)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout) if found.stdout.startswith(("[", "{")) else found.stdout

    def python(self, code: str) -> str:
        found = self.tries(code)
        assert found.returncode == 0, found.stderr
        return found.stdout


OPENS = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pkcs11
from alicem import app, jose, keys
from alicem.settings import load
settings = load(Path("alicem.toml"))
token, now = app.token_of(settings), datetime.now(UTC)
ring = keys.open_ring(settings.keys.file, app.master_key(settings), token)
"""


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, warm: WarmPython) -> Path:
    """A folder with a ring in a token, to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    desk = Desk(folder, warm)
    desk.found()
    desk.done("keys", "create")
    return folder


@pytest.fixture
def desk(founded: Path, sqlite_template: Path, tmp_path: Path, warm: WarmPython) -> Desk:
    shutil.copytree(founded, tmp_path / "desk")
    shutil.copy(sqlite_template, tmp_path / "desk" / "alicem.db")
    return Desk(tmp_path / "desk", warm)


def test_every_signature_comes_from_the_token_and_verifies_without_it(desk: Desk) -> None:
    signed = desk.python("""
for purpose in ("signing", "issuer", "status", "verifier", "journal"):
    print(purpose, jose.sign(ring.signing(purpose, now).private, "t", {"for": purpose}))
""")
    desk.use("")
    public = desk.python("""
for purpose in ("signing", "issuer", "status", "verifier", "journal"):
    key = ring.signing(purpose, now).private
    print(purpose, jose.public_jwk(key.public_key())["x"], jose.public_jwk(key.public_key())["y"])
    try:
        jose.sign(key, "t", {})
    except keys.KeysError as error:
        assert "token" in str(error)
    else:
        raise AssertionError
""")
    from alicem import jose  # noqa: PLC0415 - the rest of this file runs elsewhere

    points = {name: {"kty": "EC", "crv": "P-256", "x": x, "y": y} for name, x, y in map(str.split, public.splitlines())}
    tokens = dict(line.split() for line in signed.splitlines())
    for purpose, token in tokens.items():
        assert jose.verify(token, jose.public_key(points[purpose]), "t") == {"for": purpose}
    assert len(tokens) == 5


def test_no_key_of_the_token_can_be_taken_out(desk: Desk) -> None:
    told = desk.python("""
kinds = (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.SECRET_KEY)
for kind in kinds:
    for key in token._session.get_objects({pkcs11.Attribute.CLASS: kind}):
        assert key[pkcs11.Attribute.EXTRACTABLE] is False and key[pkcs11.Attribute.SENSITIVE] is True
        try:
            key[pkcs11.Attribute.VALUE]
        except pkcs11.PKCS11Error as error:
            print(type(error).__name__)
""")
    assert told.split() == ["AttributeSensitive"] * 6
    private = desk.python("""
import json
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
data = settings.keys.file.read_bytes()
tree = json.loads(AESGCM(app.master_key(settings)).decrypt(data[4:16], data[16:], b"ALK2"))
print([row["purpose"] for row in tree["signing"] if "private" in row])
print([row["purpose"] for row in tree["secret"] if not row["value"]])
""")
    assert private.splitlines() == ["['authority']", "['fingerprint']"]


def test_a_fingerprint_is_the_tokens(desk: Desk) -> None:
    code = 'print(*keys.document_fingerprints(ring, "FRA", "passport", "24AB12345", now))'
    assert desk.python(code) == desk.python(code)
    assert desk.python(code) != desk.python(code.replace("24AB12345", "24AB12346"))
    desk.use("")
    found = desk.tries(code)
    assert found.returncode == 1 and "a key in a token that keys.token does not name" in found.stderr


def test_a_key_of_the_token_turns_and_is_destroyed_when_it_is_retired(desk: Desk) -> None:
    (old,) = (row["kid"] for row in desk.done("keys", "list")["keys"] if row["purpose"] == "signing")
    count = "print(len(list(token._session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}))))"
    assert desk.python(count) == "5\n"
    desk.done("keys", "rotate", "signing", "--at-once")
    assert desk.python(count) == "6\n"
    desk.done("keys", "retire", old, "--compromised")
    assert desk.python(count) == "5\n"
    assert desk.python('jose.sign(ring.signing("signing", now).private, "t", {})') == ""


def test_a_running_server_signs_with_a_key_that_another_process_made(desk: Desk) -> None:
    assert (
        desk.python("""
import subprocess, sys
running = keys.RingFile(settings.keys.file, lambda: app.master_key(settings), print, token)
old = running.signing("signing", now)
jose.sign(old.private, "t", {})
subprocess.run([sys.executable, "-m", "alicem", "keys", "rotate", "signing", "--at-once"], check=True, capture_output=True)
new = running.signing("signing", datetime.now(UTC))
assert new.kid != old.kid
print(jose.verify(jose.sign(new.private, "t", {"n": 1}), new.private.public_key(), "t"))
""")
        == "{'n': 1}\n"
    )


def test_an_operators_authority_certifies_a_key_of_the_token(tmp_path: Path, warm: WarmPython) -> None:
    desk = Desk(tmp_path, warm)
    desk.found()
    desk.done("keys", "create", "--operator")
    kid = next(row["kid"] for row in desk.done("keys", "list")["keys"] if row["purpose"] == "issuer")
    (tmp_path / "issuer.csr").write_text(desk.done("keys", "request", kid))
    made = desk.run("openssl", "req", "-in", "issuer.csr", "-verify", "-noout", "-subject", "-text")
    assert made.returncode == 0, made.stderr
    assert "Alicem issuer identite.example" in made.stdout and "DNS:identite.example" in made.stdout


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (TOKEN.format(MODULE).replace('"alicem"', '"other"'), "the token other does not open: NoSuchToken"),
        (TOKEN.format("/nowhere.so"), "the token alicem does not open"),
        (TOKEN.format(MODULE).replace('"pin"', '"absent"'), "No such file"),
        (TOKEN.format(MODULE).replace('"pin"', '"master.key"'), "does not open: PinIncorrect"),
        (TOKEN.format(MODULE).replace("label", "name"), "unknown key keys.token.name"),
    ],
)
def test_a_token_that_does_not_open_is_said_to(desk: Desk, token: str, words: str) -> None:
    desk.use(token)
    found = desk.type("keys", "rotate", "signing")
    assert found.returncode == 3 and words in " ".join(found.stderr.split())
    assert "271828" not in found.stderr
