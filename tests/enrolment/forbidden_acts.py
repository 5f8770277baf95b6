"""What a session process must not be able to do, each as a small function; run by test_sandbox.py in a process of its own.

`python forbidden_acts.py LAYERS FOLDER PORT VICTIM`: lays the named layers (`all`: as the product does), tries every act, writes a JSON object
to standard output: for each act `done`, or the name of the error.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from alicem.enrolment import sandbox
from alicem.enrolment.kernel import system

PTRACE_SEIZE, GET_DUMPABLE = 0x4206, 3
NUMBERS = {"x86_64": {"ptrace": 101, "process_vm_readv": 310}, "aarch64": {"ptrace": 117, "process_vm_readv": 270}}


class Acts:
    """`open_file`: a descriptor of a file, had before any layer was laid."""

    def __init__(self, folder: Path, port: int, victim: int, open_file: int) -> None:
        self.folder, self.port, self.victim, self.open_file = folder, port, victim, open_file
        self.numbers = NUMBERS[os.uname().machine]

    def read_a_file(self) -> None:
        os.open(self.folder / "there", os.O_RDONLY)

    def write_a_file(self) -> None:
        os.open(self.folder / "new", os.O_WRONLY | os.O_CREAT)

    def write_to_an_open_file(self) -> None:
        os.write(self.open_file, b"portrait")

    def remove_a_file(self) -> None:
        (self.folder / "doomed").unlink()

    def rename_a_file(self) -> None:
        (self.folder / "there").rename(self.folder / "elsewhere")
        (self.folder / "elsewhere").rename(self.folder / "there")

    def make_a_folder(self) -> None:
        (self.folder / "folder").mkdir()

    def list_a_folder(self) -> None:
        list(self.folder.iterdir())

    def make_memory_with_a_name(self) -> None:
        os.memfd_create("x")

    def connect(self) -> None:
        with socket.socket() as one:
            one.connect(("127.0.0.1", self.port))

    def listen(self) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))

    def send_a_packet(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"portrait", ("127.0.0.1", 9))

    def connect_to_a_name(self) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(f"\0alicem-{self.port}")

    def become_another_program(self) -> None:
        if os.fork() == 0:
            try:
                os.execv(sys.executable, [sys.executable, "-c", ""])  # noqa: S606
            finally:
                os._exit(1)
        if os.wait()[1] != 0:
            raise PermissionError(errno.EACCES, "the program did not run")

    def start_a_process(self) -> None:
        if os.fork() == 0:
            os._exit(0)
        os.wait()

    def start_a_thread(self) -> None:
        threading.Thread(target=int).start()

    def signal_another(self) -> None:
        os.kill(self.victim, signal.SIGCONT)

    def attach_to_another(self) -> None:
        system(self.numbers["ptrace"], PTRACE_SEIZE, self.victim, None, None)

    def read_anothers_memory(self) -> None:
        """process_vm_readv(2): of an address that is not mapped, so EFAULT is success."""
        local, remote = (
            (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8),
            (ctypes.c_size_t * 2)(8, 8),
        )
        try:
            system(self.numbers["process_vm_readv"], self.victim, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise

    def make_memory_that_runs(self) -> None:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()

    def take_much_memory(self) -> None:
        bytearray(sandbox.MEMORY_ROOM + (64 << 20))

    def take_a_descriptor(self) -> None:
        os.dup(0)

    def raise_a_limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    def be_read_by_others(self) -> None:
        if ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0) != 1:
            raise PermissionError(errno.EPERM, "not dumpable")

    def become_somebody(self) -> None:
        os.setuid(12345) if os.geteuid() == 0 else os.setgroups([])

    def be_of_another_architecture(self) -> None:
        """A call of x32 on x86_64: the number of write(2) with the bit of that architecture."""
        system(0x40000001, 1, None, 0)


def outcome(act: Callable[[], None]) -> str:
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except (MemoryError, RuntimeError, ValueError) as error:
        return type(error).__name__
    return "done"


def main() -> None:
    layers, folder, port, victim = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    report = os.dup2(1, 60)
    kept = os.open(folder / "open", os.O_WRONLY | os.O_CREAT)
    acts = Acts(folder, port, victim, kept)
    tries = {name: getattr(acts, name) for name in vars(Acts) if not name.startswith("_")}
    wanted = {name for name, _ in sandbox.LAYERS} if layers == "all" else set(filter(None, layers.split(",")))
    held = []
    for name, layer in sandbox.LAYERS:
        if name in wanted:
            try:
                layer()
            except (OSError, ValueError):
                continue
            held.append(name)
    found = {name: outcome(act) for name, act in tries.items() if name != "become_somebody"}
    found["become_somebody"] = outcome(tries["become_somebody"])  # last: it changes who tries
    os.write(report, json.dumps({"held": held, "found": found}).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
