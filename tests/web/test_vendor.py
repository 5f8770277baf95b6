"""The modules taken from npm: laid out so that a browser finds them, fetched once, and a plain sentence where they cannot be fetched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import make_pin_key_vector
import pytest

from alicem.web import vendor

FETCH = "import sys; from pathlib import Path; from alicem.web.vendor import vendor; print(vendor(Path(sys.argv[1])))"


def fetch(target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FETCH, str(target)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_is_relative_and_there(tmp_path: Path) -> None:
    try:
        assert vendor.vendor(tmp_path / "vendor")
    except vendor.CannotFetch as error:
        pytest.skip(str(error))
    assert not vendor.vendor(tmp_path / "vendor")  # nothing to do the second time
    modules = list((tmp_path / "vendor").rglob("*.js"))
    assert {entry.rsplit("/", 1)[1] for entry in vendor.ENTRIES} <= {module.name for module in modules}
    for module in modules:
        for found in re.findall(r'^(?:import|export)\b[^\n]*? from ["\']([^"\']+)', module.read_text("utf-8"), re.M):
            assert found.startswith("."), f"{module.name}: {found}"
            assert (module.parent / found).is_file(), f"{module.name}: {found}"
    assert list((tmp_path / "vendor").rglob("LICENSE"))


def test_no_network_is_said_plainly(tmp_path: Path) -> None:
    nowhere = {
        "npm_config_registry": "http://127.0.0.1:9",
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_fetch_retries": "0",
    }
    done = fetch(tmp_path / "vendor", **nowhere)
    assert "check the network" in done.stderr or "npm is not installed" in done.stderr
    assert not (tmp_path / "vendor").exists()


def test_no_npm_is_said_plainly(tmp_path: Path) -> None:
    if (Path(sys.executable).parent / "npm").exists():
        pytest.skip("this environment brings its own npm")
    assert "npm is not installed" in fetch(tmp_path / "vendor", PATH="").stderr


def test_the_lock_names_no_registry_and_every_package_has_its_hash() -> None:
    lock = json.loads((vendor.HERE / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert all("resolved" not in one and one["integrity"].startswith("sha512-") for one in packages.values())


def test_the_pin_key_vector_is_what_its_script_makes() -> None:
    made = io.StringIO()
    with contextlib.redirect_stdout(made):
        make_pin_key_vector.main()
    assert made.getvalue() == Path("docs/protocols/pin-key-vector.json").read_text("utf-8")
