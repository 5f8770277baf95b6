"""Each layer of the sandbox by itself, and all together, in a process of its own that tries what is forbidden."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from alicem.enrolment import landlock, sandbox, seccomp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than the limits")
ACTS = Path(__file__).parent / "forbidden_acts.py"
FILES = {"read_a_file", "write_a_file", "remove_a_file", "rename_a_file", "make_a_folder", "list_a_folder"}
NETWORK = {"connect", "listen", "send_a_packet", "connect_to_a_name"}
OTHERS = {"signal_another", "attach_to_another", "read_anothers_memory"}
STARTS = {"become_another_program", "start_a_process", "start_a_thread"}

DENIES: dict[str, set[str]] = {
    "limits": {"write_to_an_open_file", "take_much_memory"},
    "no_network": {"connect", "send_a_packet"},
    "no_capabilities": {"become_somebody", "attach_to_another", "read_anothers_memory"} if os.geteuid() == 0 else set(),
    "not_dumpable": {"be_read_by_others"},
    "landlock": FILES | {"become_another_program"},
    "no_more_descriptors": {"read_a_file", "write_a_file", "list_a_folder", "take_a_descriptor", *NETWORK},
    "seccomp": FILES | NETWORK | OTHERS | STARTS | {"make_memory_with_a_name", "make_memory_that_runs", "take_a_descriptor"},
}  # fmt: skip
"""What each layer denies all by itself."""
NOT_ACTS = {"raise_a_limit", "be_of_another_architecture"}


@contextmanager
def somebody() -> Iterator[tuple[int, int]]:
    """A port with someone who answers, under a number and a name; and another process."""
    with socket.socket() as listening, socket.socket(socket.AF_UNIX) as named:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        port = listening.getsockname()[1]
        named.bind(f"\0alicem-{port}")
        named.listen(8)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
            yield port, victim.pid
            victim.communicate(b"\n")


def tried(layers: str, folder: Path) -> tuple[set[str], dict[str, str]]:
    """Which layers held, and what became of each act."""
    folder.mkdir()
    for name in ("there", "doomed"):
        (folder / name).touch()
    with somebody() as (port, victim):
        command = [sys.executable, str(ACTS), layers, str(folder), str(port), str(victim)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    report = json.loads(done.stdout)
    return set(report["held"]), report["found"]


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What becomes of each act without any layer: what cannot be done anyway proves nothing."""
    return tried("", tmp_path_factory.mktemp("free") / "a")[1]


@pytest.mark.parametrize("layer", DENIES)
def test_a_layer_denies_by_itself(layer: str, free: dict[str, str], tmp_path: Path) -> None:
    held, found = tried(f"no_new_privileges,{layer}", tmp_path / "a")  # which denies none of these, and others want
    if layer not in held:
        pytest.skip(f"this kernel, or this user, has no {layer}")
    expected = DENIES[layer] & {name for name, outcome in free.items() if outcome == "done"}
    assert expected or layer == "no_capabilities"
    assert {name for name in expected if found[name] == "done"} == set()


def test_every_act_is_possible_without_the_sandbox(free: dict[str, str]) -> None:
    """But for what this user may not do to others anyway."""
    undone = {name for name, outcome in free.items() if outcome != "done"} - NOT_ACTS
    assert undone <= {"attach_to_another", "become_somebody"}


def test_nothing_is_possible_in_the_whole_sandbox(free: dict[str, str], tmp_path: Path) -> None:
    held, found = tried("all", tmp_path / "a")
    if "seccomp" not in held:
        pytest.skip("this kernel has no filter of system calls")
    assert {name for name, outcome in found.items() if outcome == "done"} == set()
    assert found.keys() == free.keys() and len(found) >= 20
    assert found["be_of_another_architecture"] == "EPERM"


def test_landlock_of_this_kernel_also_denies_what_its_version_knows(tmp_path: Path) -> None:
    try:
        version = landlock.version()
    except OSError:
        pytest.skip("this kernel has no Landlock")
    _, found = tried("no_new_privileges,landlock", tmp_path / "a")
    denied = {name for name, outcome in found.items() if outcome != "done"}
    assert (version < 4) or {"connect", "listen"} <= denied
    assert (version < 6) or {"connect_to_a_name", "signal_another"} <= denied


def test_what_holds_is_told_not_assumed() -> None:
    held = sandbox.holding()
    assert set(held) <= {name for name, _ in sandbox.LAYERS} and "limits" in held
    status = Path("/proc/self/status").read_text()
    assert ("seccomp" in held) == ("Seccomp:" in status)


# --- the filter, as the kernel reads it ---


def decided(machine: seccomp.Machine, audit: int, number: int, third: int = 0) -> int:
    """What the filter answers to one call: the machine of bpf(4), as much of it as the filter uses."""
    data = struct.pack("<IIQ6Q", number, audit, 0, 0, 0, third, 0, 0, 0)
    program = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = value = 0
    while True:
        code, when_true, when_false, operand = program[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            return operand
        else:
            holds = value == operand if code == 0x15 else bool(value & operand)
            at += when_true if holds else when_false


ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000


@pytest.mark.parametrize("name", seccomp.MACHINES)
def test_the_filter_allows_what_is_listed_and_nothing_else(name: str) -> None:
    machine = seccomp.MACHINES[name]
    listed = set(machine.calls.values())
    for number in range(600):
        assert decided(machine, machine.audit, number) == (ALLOW if number in listed else DENY), number
    for call in ("mmap", "mprotect"):
        assert decided(machine, machine.audit, machine.calls[call], 7) == DENY
        assert decided(machine, machine.audit, machine.calls[call], 3) == ALLOW
    assert decided(machine, 0x40000003, machine.calls["read"]) == KILL
    assert decided(machine, machine.audit, 0x40000000 | machine.calls["read"]) == DENY


@cache
def numbers(header: Path) -> dict[str, int]:
    return {
        name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    }


HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"no {header} here (package linux-libc-dev)")
    known = numbers(header)
    assert seccomp.MACHINES[machine].calls.items() <= known.items()
    assert seccomp.MACHINES[machine].set_filter == known["seccomp"]


def test_nothing_dangerous_is_listed() -> None:
    dangerous = re.compile(
        r"open|socket|connect|bind|listen|accept|send|recv|exec|fork|clone|kill|ptrace|process_vm|unlink|rename|mkdir|mknod|link|mount"
        r"|chmod|chown|truncate|ioctl|fcntl|dup|pipe|memfd|prctl|seccomp|landlock|bpf|keyctl|perf|userfault|io_uring|unshare|setns|pidfd"
        r"|capset|setuid|setgid|prlimit|mlock|shm|msg|sem|splice|writev|pwrite|copy_file|personality"
    )
    assert [name for name in seccomp.MACHINES["x86_64"].calls if dangerous.search(name)] == []
