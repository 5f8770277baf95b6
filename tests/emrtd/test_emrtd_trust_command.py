"""`alicem trust import` and `alicem trust show`, as typed; and the folder they leave behind."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import ec
from emrtd_flawed_pki import Recipe, integer, key, list_signer_under, master_list, name, signer_under
from typer.testing import CliRunner, Result

from alicem.cli import build
from alicem.enrolment.trust import importing, load_collection, load_trust, read_files, save
from emrtd.errors import Malformed
from emrtd.pki.certificate import load_certificate
from emrtd.pki.collection import collect
from emrtd.pki.specimen import Authority, make_revocation_list

NOW = datetime.now(UTC).replace(microsecond=0)
ROOT = Recipe(key("root"), subject=name("UT"), start=NOW - timedelta(days=300), end=NOW + timedelta(days=300))
FRANCE = replace(ROOT, key=key("France"), subject=name("FR", "CSCA-FRANCE"), serial=integer(10))
EXPIRED = replace(FRANCE, key=key("France 1"), serial=integer(9), end=NOW - timedelta(days=1))
LISTER = list_signer_under(ROOT, key("lister"), start=NOW - timedelta(days=9), end=NOW + timedelta(days=9))
LIST = master_list([FRANCE.der, EXPIRED.der], LISTER, ROOT.der, signed_at=NOW - timedelta(days=1))


def run(*words: object) -> Result:
    return CliRunner().invoke(build("trust"), ["trust", *map(str, words)])


def shown(folder: Path) -> dict[str, Any]:
    result = run("show", folder, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "list.ml").write_bytes(LIST)
    (tmp_path / "root.cer").write_bytes(ROOT.der)
    (tmp_path / "other.pem").write_bytes(pem.armor("CERTIFICATE", FRANCE.der))
    (tmp_path / "junk.txt").write_bytes(b"not a certificate")
    return tmp_path


def test_a_list_under_its_root(files: Path) -> None:
    store = files / "deep" / "store"
    result = run("import", files / "list.ml", "--root", files / "root.cer", "--into", store)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "2 certificates" in result.stderr
    tree = shown(store)
    assert [row["country"] for row in tree["countries"]] == ["FR"]
    assert tree["countries"][0] | {"keys": []} == {
        "country": "FR", "certificates": 2, "generations": 2, "signers": 0, "keys": [], "valid": 1, "unusable": 0,
        "revocation_list": "none",
    }  # fmt: skip
    assert tree["standings"] == {"self_signed": 2}
    assert sorted(row["validity"] for row in tree["certificates"]) == ["expired", "valid"]
    assert tree["origins"][0]["root"] == "UT"
    assert len(load_trust(store).authorities) == 2


def test_a_list_without_root_is_refused(files: Path) -> None:
    store = files / "store"
    result = run("import", files / "list.ml", "--into", store)
    assert result.exit_code == 1
    assert "no given root" in " ".join(result.stderr.split())
    assert not (store / "index.json").exists()


def test_a_list_taken_unverified_is_marked(files: Path) -> None:
    store = files / "store"
    assert run("import", files / "list.ml", "--unverified", "--into", store).exit_code == 0
    tree = shown(store)
    assert tree["origins"][0]["kind"] == "unverified master list"
    assert {row["vouched_for_by"] for row in tree["certificates"]} == {"unverified"}


def test_a_folder(files: Path) -> None:
    store = files / "store"
    result = run("import", files, "--root", files / "root.cer", "--into", store)
    assert result.exit_code == 0
    assert "junk.txt: file not taken" in " ".join(result.stderr.split())
    assert len(load_trust(store).authorities) == 3


def test_one_import_after_another(files: Path) -> None:
    store = files / "store"
    run("import", files / "other.pem", "--into", store)
    run("import", files / "list.ml", "--root", files / "root.cer", "--into", store)
    assert run("import", files / "junk.txt", "--into", store).exit_code == 1
    assert len(load_trust(store).authorities) == 2
    assert sorted(origin["name"] for origin in shown(store)["origins"]) == ["list.ml", "other.pem"]
    assert len(list(store.glob("certificates-*.der"))) == 1


def test_signers_and_revocation_lists(files: Path) -> None:
    assert isinstance(FRANCE.key, ec.EllipticCurvePrivateKey)
    revocations = make_revocation_list(Authority(FRANCE.der, FRANCE.key), [5], at=NOW - timedelta(days=1))
    (files / "france.crl").write_bytes(revocations)
    (files / "signer.der").write_bytes(signer_under(FRANCE, key("signer")).der)
    store = files / "store"
    assert run("import", files, "--root", files / "root.cer", "--into", store).exit_code == 0
    (row,) = (row for row in shown(store)["countries"] if row["country"] == "FR")
    assert row["revocation_list"] == "fresh"
    assert shown(store)["standings"]["issued"] == 1
    text = run("show", store)
    assert text.exit_code == 0
    assert "FR" in text.stdout


def test_what_is_of_no_use_is_told(files: Path) -> None:
    weak = replace(FRANCE, usage=(0,), ca=None)
    data = master_list([weak.der, b"\x30\x03\x02\x01\x01", FRANCE.der], LISTER, signed_at=NOW)
    (files / "weak.ml").write_bytes(data)
    store = files / "store"
    assert run("import", files / "weak.ml", "--root", files / "root.cer", "--into", store).exit_code == 0
    text = " ".join(run("show", store).stdout.split())
    assert "its key may not sign certificates" in text
    assert "left out: certificate of weak.ml" in text
    assert shown(store)["countries"][0]["unusable"] == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["import", "nowhere.ml", "--into", "store"], 2),
        (["import", "list.ml"], 2),
        (["import", "list.ml", "--root", "junk.txt", "--into", "store"], 2),
        (["import", "list.ml", "--root", "nowhere.cer", "--into", "store"], 2),
        (["import", "list.ml", "--into", "junk.txt"], 2),
        (["show", "nowhere"], 2),
        (["import", "list.ml", "--into", "junk.txt/below"], 3),
    ],
)
def test_exit_statuses(files: Path, words: list[str], status: int) -> None:
    placed = [str(files / word) if "." in word or word in ("store", "nowhere") else word for word in words]
    assert run(*placed).exit_code == status


def test_a_damaged_store(files: Path) -> None:
    store = files / "store"
    run("import", files / "other.pem", "--into", store)
    (bundle,) = store.glob("certificates-*.der")
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert run("show", store).exit_code == 3
    assert run("import", files / "other.pem", "--into", store).exit_code == 3
    with pytest.raises(Malformed):
        load_trust(store)


def test_a_folder_that_was_never_imported(files: Path) -> None:
    """Plain files, as a folder of trusted certificates has always been."""
    assert len(load_trust(files).authorities) == 2  # root.cer and other.pem, told by their endings
    tree = shown(files)
    assert sorted(row["country"] for row in tree["countries"]) == ["FR", "UT"]
    assert "master list" in {row["what"] for row in tree["left_out"]}


def test_two_imports_at_once(tmp_path: Path) -> None:
    """Each waits for the other, and nothing is lost."""
    recipes = [Recipe(key(f"state {n}"), subject=name(country)) for n, country in enumerate(("AA", "BB", "CC", "DD"))]

    def one(recipe: Recipe) -> None:
        with importing(tmp_path):
            before = load_collection(tmp_path, at=NOW)
            save(tmp_path, collect([(recipe.subject.hex(), recipe.der)], roots=(), at=NOW, onto=before))

    threads = [threading.Thread(target=one, args=(recipe,)) for recipe in recipes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.country for found in load_trust(tmp_path).authorities} == {"AA", "BB", "CC", "DD"}


def test_hidden_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    (tmp_path / "one.cer").write_bytes(ROOT.der)
    assert [name_ for name_, _ in read_files(tmp_path)] == ["one.cer"]
    assert load_certificate(ROOT.der).country == "UT"
