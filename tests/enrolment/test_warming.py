"""Nothing is left to be loaded once the sandbox has closed: every import inside a function of what a session process has loaded is looked at."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from alicem.face import models

SCAN = """
import dis, json, sys, types
from alicem.enrolment import process, zygote
from alicem.enrolment.warming import warm
warm()

def below(code):
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one
            yield from below(one)

found = {}
for name, module in list(sys.modules.items()):
    spec = getattr(module, "__spec__", None)
    if spec is None or not str(spec.origin).endswith(".py") or not hasattr(spec.loader, "get_code"):
        continue
    for code in below(spec.loader.get_code(name)):
        instructions = list(dis.get_instructions(code))
        for level, _names, one in zip(instructions, instructions[1:], instructions[2:]):
            if one.opname != "IMPORT_NAME":
                continue
            package = name.split(".") if spec.submodule_search_locations else name.split(".")[:-1]
            up = package[: len(package) - (level.argval - 1)] if level.argval else []
            asked = ".".join([*up, *filter(None, [one.argval])])
            if asked not in sys.modules:
                found.setdefault(asked, set()).add(f"{name}.{code.co_qualname}")
json.dump({name: sorted(by) for name, by in found.items()}, sys.stdout)
"""

NEVER = {
    "another system's": {"_winapi", "_winreg", "encodings.mbcs", "java.lang", "nt", "plistlib", "vms_lib", "winreg"},
    "of a module run as a program": {"argparse", "doctest", "getopt"},
    "a stand-in for what is here in C": {"_md5", "_sha1", "_sha256", "_sha3"},
    "for programmers": {
        "numpy.distutils", "numpy.f2py", "numpy.matlib", "numpy.testing", "numpy.ctypeslib", "pprint", "psutil", "pydoc", "pytest",
        "threadpoolctl", "yaml", "onnxruntime.transformers.machine_info", "_tokenize", "py_compile", "importlib.abc",
    },
    "of a file nobody gives": {"email.parser", "numpy.ma.mrecords", "urllib.error", "urllib.request", "defusedxml"},
    "before the sandbox closes": {"alicem.face.models.convert", "importlib.metadata"},
    "for training": {
        "onnxruntime.capi.build_and_package_info", "onnxruntime.capi.onnxruntime_collect_build_info",
        "onnxruntime.training.ortmodule", "onnxruntime.training.ortmodule._fallback",
    },
    "of another Python": {"cv2.load_config_py2"},
}  # fmt: skip
"""What stays unloaded, and why no session will miss it."""


@pytest.fixture(scope="module")
def unloaded() -> dict[str, list[str]]:
    """By name, the functions that would import it."""
    if not models.ready():
        pytest.fail("the face networks are missing: run `make models`")
    done = subprocess.run([sys.executable, "-c", SCAN], capture_output=True, check=True, timeout=120)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_what_is_not_loaded_is_known_and_never_needed(unloaded: dict[str, list[str]]) -> None:
    known = set().union(*NEVER.values())
    assert {name: by for name, by in unloaded.items() if name not in known} == {}


def test_our_own_code_imports_nothing_later(unloaded: dict[str, list[str]]) -> None:
    ours = {name: [one for one in by if one.startswith(("alicem.", "emrtd."))] for name, by in unloaded.items()}
    assert {name for name, by in ours.items() if by} <= {"alicem.face.models.convert"}
