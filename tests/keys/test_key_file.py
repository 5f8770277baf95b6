"""The key file: replaced as a whole or not at all, read by who has the master key, seen by running servers."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from alicem import keys
from alicem.keys import Keys, KeysError, RingFile
from alicem.keys.purposes import OVERLAP

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MASTER = b"m" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    keys.create(tmp_path / "keys.bin", MASTER, now=NOW, rng=secrets.token_bytes, host="localhost")
    return tmp_path / "keys.bin"


def turn(ring: Keys) -> Keys:
    return keys.rotated(ring, ("signing",), NOW, secrets.token_bytes, "localhost")


def kids(ring: Keys) -> list[str]:
    return [key.kid for key in ring.every]


def test_everything_of_a_key_is_read_as_it_was_written(file: Path) -> None:
    changed = keys.change(file, MASTER, turn, secrets.token_bytes)
    later = NOW + timedelta(days=2)
    old = changed.living("signing")[1].kid
    changed = keys.change(file, MASTER, lambda r: keys.retired(r, old, later, 0, compromised=True), secrets.token_bytes)
    read = keys.open_ring(file, MASTER)
    times = ("kid", "purpose", "created", "used_from", "use_by", "retired")
    assert [[getattr(key, name) for name in times] for key in read.every] == [
        [getattr(key, name) for name in times] for key in changed.every
    ]
    for ours, theirs in zip(changed.signing_keys, read.signing_keys, strict=True):
        assert ours.private.public_key() == theirs.private.public_key()
        assert (ours.x5c, ours.compromised) == (theirs.x5c, theirs.compromised)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["keys.bin"]


def first_version(ring: Keys) -> bytes:
    """As version 1 wrote it: no beginning, no end of a subject key, no authority, no key of the status list."""
    signing = [
        {
            "kid": key.kid, "purpose": key.purpose, "use_by": (NOW + timedelta(days=365)).isoformat(),
            "private": base64.b64encode(
                key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
            ).decode(),
            "x5c": [base64.b64encode(one).decode() for one in key.x5c],
        }
        for key in ring.signing_keys if key.purpose not in ("authority", "status")
    ]  # fmt: skip
    secret = [
        {
            "kid": key.kid, "purpose": key.purpose, "use_by": (NOW + timedelta(days=365)).isoformat(),
            "value": base64.b64encode(key.value).decode(),
        }
        for key in ring.secret_keys
    ]  # fmt: skip
    plain = json.dumps({"signing": signing, "secret": secret}).encode()
    return b"ALK1" + bytes(12) + AESGCM(MASTER).encrypt(bytes(12), plain, b"ALK1")


def test_a_file_of_the_first_version_is_read_and_becomes_one_of_the_second(file: Path) -> None:
    made = keys.open_ring(file, MASTER)
    file.write_bytes(first_version(made))
    read = keys.open_ring(file, MASTER)
    assert read.signing("signing", NOW).kid == made.signing("signing", NOW).kid
    assert read.signing("issuer", NOW).x5c == made.signing("issuer", NOW).x5c
    assert (read.living("subject")[0].use_by, read.living("at_rest")[0].created) == (None, NOW)
    assert keys.troubles(read, NOW) == ("the status key is missing: run `alicem keys rotate status`",)
    keys.change(file, MASTER, turn, secrets.token_bytes)
    assert file.read_bytes()[:4] == b"ALK2" and len(keys.open_ring(file, MASTER).living("signing")) == 2


@pytest.mark.parametrize("data", [b"", b"ALK", b"ALK2", b"ALK2" + bytes(11), b"ALK3" + bytes(99), bytes(1 << 21)])
def test_what_is_no_key_file_is_said_to_be_none(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(KeysError, match=r"not a key file|does not open"):
        keys.open_ring(file, MASTER)


@pytest.mark.parametrize("tree", [[], {}, {"signing": [{}], "secret": []}, {"signing": [], "secret": [{"kid": "x"}]}])
def test_a_file_that_opens_and_holds_something_else_is_refused(file: Path, tree: object) -> None:
    file.write_bytes(b"ALK2" + bytes(12) + AESGCM(MASTER).encrypt(bytes(12), json.dumps(tree).encode(), b"ALK2"))
    with pytest.raises(KeysError, match="no key ring of this version"):
        keys.open_ring(file, MASTER)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    whole = _SAMPLE.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    cut = data.draw(st.sampled_from([changed, whole[:at], whole + b"\0"]))
    other = _SAMPLE.with_name("changed.bin")
    other.write_bytes(cut)
    with pytest.raises(KeysError):
        keys.open_ring(other, MASTER)


_SAMPLE = Path()


@pytest.fixture(scope="module", autouse=True)
def _sample(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _SAMPLE  # noqa: PLW0603 - hypothesis and function fixtures do not go together
    _SAMPLE = tmp_path_factory.mktemp("sample") / "keys.bin"
    keys.create(_SAMPLE, MASTER, now=NOW, rng=secrets.token_bytes, host="localhost")


CRASHES = """
import os, secrets, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from alicem import keys
name, file = sys.argv[1], Path(sys.argv[2])
def die(*_args, **_more): os.kill(os.getpid(), signal.SIGKILL)
setattr(Path if name in ("replace", "unlink") else os, name, die)
turn = lambda ring: keys.rotated(ring, ("signing",), datetime.now(UTC), secrets.token_bytes, "localhost")
keys.change(file, b"m" * 32, turn, secrets.token_bytes)
"""


@pytest.mark.parametrize("moment", ["unlink", "fdopen", "fsync", "replace"])
def test_a_crash_in_the_middle_leaves_the_ring_of_before_and_the_next_goes_through(file: Path, moment: str) -> None:
    """The process is killed at the call named; between replacing and its flush the file is whole either way."""
    before = file.read_bytes()
    assert subprocess.run([sys.executable, "-c", CRASHES, moment, str(file)], check=False).returncode == -9
    assert file.read_bytes() == before
    for left in file.parent.iterdir():
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert len(keys.change(file, MASTER, turn, secrets.token_bytes).living("signing")) == 2
    assert [one.name for one in file.parent.iterdir()] == ["keys.bin"]


ROTATES = """
import secrets, sys
from datetime import UTC, datetime
from pathlib import Path
from alicem import keys
turn = lambda ring: keys.rotated(ring, (sys.argv[2],), datetime.now(UTC), secrets.token_bytes, "localhost")
keys.change(Path(sys.argv[1]), b"m" * 32, turn, secrets.token_bytes)
"""


def test_processes_that_rotate_at_once_lose_none_of_each_other(file: Path) -> None:
    purposes = ("signing", "issuer", "journal", "at_rest", "transaction", "fingerprint")
    children = [subprocess.Popen([sys.executable, "-c", ROTATES, str(file), one]) for one in purposes]
    assert [child.wait(60) for child in children] == [0] * len(purposes)
    assert [len(keys.open_ring(file, MASTER).living(one)) for one in purposes] == [2] * len(purposes)


def test_a_step_that_fails_leaves_the_file_as_it_is(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(KeysError, match="never turns"):
        keys.change(file, MASTER, lambda r: keys.rotated(r, ("subject",), NOW, secrets.token_bytes, "x"), os.urandom)
    assert file.read_bytes() == before


def test_a_running_server_sees_a_turned_ring_at_its_next_use(file: Path) -> None:
    told: list[KeysError] = []
    running = RingFile(file, lambda: MASTER, told.append)
    old = running.signing("signing", NOW)
    new = keys.change(file, MASTER, turn, secrets.token_bytes).living("signing")[0]
    assert [key.kid for key in running.published("signing")] == [new.kid, old.kid]
    assert (running.signing("signing", NOW).kid, running.signing("signing", NOW + OVERLAP).kid) == (old.kid, new.kid)
    assert told == []


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b"ALK2" + bytes(60)), lambda file: file.unlink()])
def test_a_running_server_goes_on_with_what_it_had(file: Path, harm: Callable[[Path], object]) -> None:
    told: list[KeysError] = []
    running = RingFile(file, lambda: MASTER, told.append)
    had, whole = kids(running.held()), file.read_bytes()
    harm(file)
    assert [kids(running.held()) for _ in range(3)] == [had] * 3 and len(told) == 1
    file.write_bytes(whole)
    keys.change(file, MASTER, turn, secrets.token_bytes)
    assert len(running.living("signing")) == 2


def test_another_master_key(file: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "master.key", tmp_path / "new.key"
    old.write_bytes(base64.b64encode(MASTER))
    had = kids(keys.open_ring(file, MASTER))
    keys.rewrap(file, lambda: base64.b64decode(old.read_bytes()), new, old, secrets.token_bytes)
    master = base64.b64decode(old.read_bytes())
    assert kids(keys.open_ring(file, master)) == had and master != MASTER
    assert (stat.S_IMODE(old.stat().st_mode), new.exists()) == (0o600, False)
    with pytest.raises(KeysError, match="another master key"):
        keys.open_ring(file, MASTER)


@pytest.mark.parametrize("moment", ["keys", "place"])
def test_a_change_of_master_key_that_was_cut_short_is_completed_by_the_same_again(
    file: Path, tmp_path: Path, moment: str
) -> None:
    old, new = tmp_path / "master.key", tmp_path / "new.key"
    old.write_bytes(base64.b64encode(MASTER))
    had = kids(keys.open_ring(file, MASTER))

    class Cut(Exception):
        pass

    def cut() -> bytes:
        raise Cut

    with contextlib.suppress(Cut):
        if moment == "keys":  # the new master key is written, the ring is not
            keys.rewrap(file, cut, new, old, secrets.token_bytes)
        else:  # the ring is under the new one, which has not taken its place
            keys.rewrap(file, lambda: MASTER, new, None, secrets.token_bytes)
    keys.rewrap(file, lambda: base64.b64decode(old.read_bytes()), new, old, secrets.token_bytes)
    assert kids(keys.open_ring(file, base64.b64decode(old.read_bytes()))) == had
