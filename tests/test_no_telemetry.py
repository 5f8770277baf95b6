"""No library of ours phones home: docs/decisions/0002."""

import subprocess
import sys
from pathlib import Path

import onnxruntime

COLLECTORS = (b"events.data.microsoft.com", b"OneCollector")


def test_the_runtime_carries_no_uploader() -> None:
    library = Path(onnxruntime.__file__).parent / "capi"
    files = [file for file in library.iterdir() if file.suffix == ".so" or ".so." in file.name]
    assert files
    found = [(file.name, name) for file in files for name in COLLECTORS if name in file.read_bytes()]
    assert found == []


def test_loading_the_networks_writes_no_file(tmp_path: Path) -> None:
    code = "import onnxruntime, cv2, alicem.face"
    subprocess.run([sys.executable, "-c", code], env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
