"""Real session processes, forked from a zygote and started afresh: their walls, their ends, and the queue before them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from processes import gone

from alicem import jose
from alicem.demo.memory import descendants
from alicem.enrolment import children, sandbox
from alicem.enrolment.children import ProcessDied, SessionProcess, nursery
from alicem.enrolment.pool import Pool, PoolFull, places
from alicem.enrolment.warming import warm
from alicem.face import models
from alicem.settings import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
BOTH = pytest.mark.parametrize("shared", [True, False], ids=["forked", "afresh"])
LIMITS = Limits(session_processes=2, session_queue=2, session_wait_seconds=20, session_answer_seconds=2)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """A trust folder, empty."""
    if not models.ready():
        pytest.fail("the face networks are missing: run `make models`")
    folder = tmp_path / "trust"
    folder.mkdir()
    return folder


@contextlib.asynccontextmanager
async def pool_of(trust: Path, *, shared: bool = True, **limits: Any) -> AsyncIterator[Pool]:
    pool = Pool(nursery(trust, shared=shared), trust, replace(LIMITS, **limits))
    try:
        yield pool
    finally:
        await pool.close()


def opening(session: str = "s") -> dict[str, Any]:
    key = jose.public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
    return {"do": "open", "session": session, "seal_key": key, "accepted": ["passport"], "challenge_seed": None}


def unheard(_position: int) -> None:
    """Nobody waits in this test."""


async def first_step(process: SessionProcess) -> dict[str, Any]:
    """Open the process; its step 3."""
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    process.forward = heard.put_nowait
    process.say(opening())
    return await asyncio.wait_for(heard.get(), 10)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def limit(pid: int, name: str) -> int:
    """The hard limit, of /proc/PID/limits."""
    found = re.search(rf"{name}\s+\S+\s+(\d+)", Path(f"/proc/{pid}/limits").read_text())
    assert found, name
    return int(found[1])


# --- walls ---


@BOTH
def test_a_waiting_process_stands_in_its_sandbox(trust: Path, shared: bool) -> None:
    async def main() -> None:
        async with pool_of(trust, shared=shared) as pool:
            process = await pool.take(unheard)
            shown, pid = status(process.pid), process.pid
            assert set(sandbox.holding()) == set(process.layers)
            assert shown["Threads"] == "1" and shown["NoNewPrivs"] == "1"
            assert int(shown["CapEff"], 16) == int(shown["CapPrm"], 16) == 0
            assert ("seccomp" in process.layers) == (shown["Seccomp"] == "2")
            assert [limit(pid, name) for name in ("Max core file size", "Max file size", "Max processes")] == [0, 0, 0]
            assert limit(pid, "Max open files") == sandbox.LINK + 1
            assert limit(pid, "Max cpu time") == sandbox.CPU_SECONDS
            room = limit(pid, "Max data size") - (int(shown["VmData"].split()[0]) << 10)
            assert 0 < room <= sandbox.MEMORY_ROOM + (64 << 20)

    asyncio.run(main())


@BOTH
def test_a_process_has_one_open_link_and_no_secret_of_ours(
    trust: Path, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALICEM_MASTER_KEY", "a key that opens everything")

    async def main() -> None:
        async with pool_of(trust, shared=shared) as pool:
            process = await pool.take(unheard)
            try:
                links = {one.name: str(one.readlink()) for one in Path(f"/proc/{process.pid}/fd").iterdir()}
                environment = Path(f"/proc/{process.pid}/environ").read_bytes()
                network = Path(f"/proc/{process.pid}/ns/net").readlink()
            except PermissionError:
                pytest.skip("only root looks into a process that is not dumpable")
            assert set(links) == {"0", "1", "2", "3"} and links["3"].startswith("socket:")
            assert {links[one] for one in "012"} == {"/dev/null"}
            assert b"ALICEM_MASTER_KEY" not in environment and b"everything" not in environment
            assert (network != Path("/proc/self/ns/net").readlink()) == ("no_network" in process.layers)

    asyncio.run(main())


def test_processes_of_one_zygote_draw_keys_of_their_own(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust) as pool:
            keys = []
            for _ in range(4):
                process = await pool.take(unheard)
                keys.append((await first_step(process))["seal_key"]["x"])
                await pool.give_back(process)
            assert len(set(keys)) == 4

    asyncio.run(main())


def test_forked_processes_share_what_the_zygote_loaded(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust) as pool:
            one, other = await pool.take(unheard), await pool.take(unheard)
            await first_step(one)
            try:
                for process in (one, other):
                    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                    kilobytes = {name: int(size) for name, size in re.findall(r"(\w+):\s+(\d+) kB", rollup)}
                    own = kilobytes["Private_Dirty"] + kilobytes["Private_Clean"]
                    assert own < 20 << 10 < kilobytes["Shared_Dirty"]
            except PermissionError:
                pytest.skip("only root measures a process that is not dumpable")

    asyncio.run(main())


# --- ends ---


async def _given_back(pool: Pool, process: SessionProcess) -> None:
    await first_step(process)
    assert await pool.give_back(process) is not None


async def _hangs(pool: Pool, process: SessionProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    process.say(opening())
    began = time.monotonic()
    with pytest.raises(ProcessDied):
        await process.told("document")
    assert 1 < time.monotonic() - began < 10
    assert gone(process.pid)  # before it was given back
    await pool.give_back(process)


async def _hangs_before_the_verdict(pool: Pool, process: SessionProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ProcessDied):
        await process.told("face", within=0.5)
    assert gone(process.pid)
    await pool.give_back(process)


async def _is_killed(pool: Pool, process: SessionProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ProcessDied):
        await process.told("document")
    await pool.give_back(process)


async def _has_an_error(pool: Pool, process: SessionProcess) -> None:
    process.say({"do": "open"})
    with pytest.raises(ProcessDied):
        await process.told("document")
    assert gone(process.pid)
    await pool.give_back(process)


async def _is_told_nonsense(pool: Pool, process: SessionProcess) -> None:
    await first_step(process)
    process.say({"type": "frame", "id": 1, "sealed": "AAAA"})
    assert (await process.told("document"))["tell"] == "broken"
    assert gone(process.pid)
    await pool.give_back(process)


async def _loses_its_server(pool: Pool, process: SessionProcess) -> None:
    process._writer.close()
    assert await asyncio.to_thread(gone, process.pid)
    await pool.give_back(process)


ENDS: dict[str, Callable[[Pool, SessionProcess], Coroutine[Any, Any, None]]] = {
    "it is given back": _given_back,
    "it hangs and owes an answer": _hangs,
    "it hangs and owes a verdict": _hangs_before_the_verdict,
    "it is killed": _is_killed,
    "it has an error": _has_an_error,
    "it is told nonsense": _is_told_nonsense,
    "its server is gone": _loses_its_server,
}


@BOTH
@pytest.mark.parametrize("how", ENDS)
def test_a_process_is_gone_after_its_session(trust: Path, shared: bool, how: str) -> None:
    async def main() -> None:
        async with pool_of(trust, shared=shared, session_processes=1) as pool:
            process = await pool.take(unheard)
            await ENDS[how](pool, process)
            assert gone(process.pid)
            another = await pool.take(unheard)  # and its place is free
            assert another.pid != process.pid and (await first_step(another))["step"] == 3

    asyncio.run(main())


@BOTH
def test_nothing_is_left_when_the_pool_closes(trust: Path, shared: bool) -> None:
    async def main() -> set[int]:
        before = set(descendants(os.getpid()))
        async with pool_of(trust, shared=shared) as pool:
            os.kill((await pool.take(unheard)).pid, signal.SIGSTOP)
            pool.warm()
            began = set(descendants(os.getpid())) - before
        return began

    began = asyncio.run(main())
    assert began and all(gone(pid) for pid in began)


def test_a_stopped_process_does_not_outlive_its_zygote(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust) as pool:
            process = await pool.take(unheard)
            os.kill(process.pid, signal.SIGSTOP)
            zygote = int(status(process.pid)["PPid"])
            os.kill(zygote, signal.SIGKILL)
            assert gone(process.pid) and gone(zygote)
            with pytest.raises(ProcessDied):
                await process.told("document")
            await pool.give_back(process)
            assert (await first_step(await pool.take(unheard)))["step"] == 3  # of another zygote

    asyncio.run(main())


def test_a_warm_process_that_died_is_not_handed_out(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust) as pool:
            pool.warm()
            assert pool._warm is not None
            warm = await pool._warm
            os.kill(warm.pid, signal.SIGKILL)
            assert await asyncio.to_thread(gone, warm.pid)
            await asyncio.sleep(0.1)
            process = await pool.take(unheard)
            assert process.pid != warm.pid and (await first_step(process))["step"] == 3

    asyncio.run(main())


@BOTH
def test_what_is_trusted_is_what_lay_there_when_the_person_came(trust: Path, shared: bool) -> None:
    async def main() -> None:
        async with pool_of(trust, shared=shared) as pool:
            pool.warm()
            assert pool._warm is not None
            warm = await pool._warm
            (trust / "index.json").write_bytes(b"no index")
            with pytest.raises(ProcessDied):  # it reads the folder again, and says that it cannot
                await pool.take(unheard)
            assert gone(warm.pid)
            (trust / "index.json").unlink()
            assert (await first_step(await pool.take(unheard)))["step"] == 3

    asyncio.run(main())


# --- a process that somebody took over ---

ROGUES: dict[str, str] = {
    "no JSON": "while True: say(b'{')",
    "no object": "while True: say(b'[]')",
    "nothing told": "while True: say(b'{}')",
    "a message of no kind": """say(b'{"tell": "send", "message": {}}')""",
    "no message": """say(b'{"tell": "send"}')""",
    "a message that is none": """say(b'{"tell": "send", "message": 7}')""",
    "deep": "say(b'[' * 100_000)",
    "a line without end": "link.sendall(b'x' * (1 << 22))",
    "too much": """
while True: say(b'{"tell": "send", "message": {"type": "hint", "hint": "' + b'x' * 1000 + b'"}}')""",
}
ROGUE = """
import os, socket, sys, time
link = socket.socket(fileno=os.dup(0))
def say(line): link.sendall(line + bytes([10]))
say(b'{"tell": "warm", "layers": []}')
link.recv(1)
try:
    exec(sys.argv[1])
except OSError:
    pass
time.sleep(60)
"""


@pytest.mark.parametrize("what", ROGUES)
def test_a_process_that_talks_nonsense_or_too_much_is_ended(what: str) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = (sys.executable, "-c", ROGUE, ROGUES[what])
            child = await asyncio.create_subprocess_exec(*words, stdin=theirs.fileno())
        process = await SessionProcess.meet(child, ours)
        process.forward = lambda message: unheard(len(message.pop("type")))
        process.say({"do": "resumed"})
        with pytest.raises(ProcessDied):
            await asyncio.wait_for(process.told("document"), 20)
        assert gone(process.pid)
        await process.end()

    asyncio.run(main())


def test_what_a_phone_sends_too_fast_does_not_pile_up(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust) as pool:
            process = await pool.take(unheard)
            os.kill(process.pid, signal.SIGSTOP)
            for number in range(600):
                process.say({"type": "frame", "id": number, "sealed": "x" * 100_000})
            assert process._writer.transport.get_write_buffer_size() < 5 << 20
            await pool.give_back(process)

    asyncio.run(main())


# --- the queue ---


class Person:
    """Somebody who wants a place, and hears where they stand."""

    def __init__(self, pool: Pool) -> None:
        self.heard: list[int] = []
        self.task = asyncio.create_task(pool.take(self.heard.append))

    async def process(self) -> SessionProcess:
        return await asyncio.wait_for(self.task, 20)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_first_in_first_out_and_everyone_hears_where_they_stand(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust, session_processes=1, session_queue=3) as pool:
            first = await Person(pool).process()
            people = []
            for _ in range(3):
                people.append(Person(pool))
                await settled()
            assert [one.heard for one in people] == [[1], [2], [3]]
            people[1].task.cancel()
            await settled()
            assert people[2].heard == [3, 2]
            await pool.give_back(first)
            second = await people[0].process()
            assert not people[2].task.done() and people[2].heard == [3, 2, 1]
            await pool.give_back(second)
            assert (await people[2].process()).lives

    asyncio.run(main())


def test_a_queue_has_an_end_and_a_wait_too(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust, session_processes=1, session_queue=1, session_wait_seconds=1) as pool:
            first = await Person(pool).process()
            patient, late = Person(pool), Person(pool)
            with pytest.raises(PoolFull):
                await late.process()
            with pytest.raises(PoolFull):
                await patient.process()
            assert late.heard == []
            await pool.give_back(first)
            assert (await Person(pool).process()).lives  # the place went to nobody who had left

    asyncio.run(main())


def test_a_place_given_to_somebody_who_leaves_at_that_moment_goes_on(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust, session_processes=1) as pool:
            first = await Person(pool).process()
            leaving, following = Person(pool), Person(pool)
            await settled()
            await first.end()
            pool._free()
            leaving.task.cancel()
            assert (await following.process()).lives
            with pytest.raises(asyncio.CancelledError):
                await leaving.task

    asyncio.run(main())


def test_a_process_that_cannot_start_keeps_no_place(trust: Path) -> None:
    async def main() -> None:
        async with pool_of(trust, session_processes=1) as pool:
            (trust / "index.json").write_bytes(b"no index")
            for _ in range(3):
                with pytest.raises(ProcessDied):
                    await Person(pool).process()
            (trust / "index.json").unlink()
            assert (await Person(pool).process()).lives

    asyncio.run(main())


def test_the_pool_follows_the_cores(trust: Path) -> None:
    asked = Limits()
    assert asked.session_processes is None
    assert Pool(nursery(trust, shared=True), trust, asked).size == places(asked) == len(os.sched_getaffinity(0))
    one = {min(os.sched_getaffinity(0))}
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, one)
        assert Pool(nursery(trust, shared=True), trust, asked).size == 1
    finally:
        os.sched_setaffinity(0, before)


def test_where_forking_is_not_sound_each_starts_afresh(trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(nursery(trust, shared=False), children.Afresh)
    monkeypatch.delattr(os, "pidfd_open")
    assert isinstance(nursery(trust, shared=True), children.Afresh)


STRICT = """
[compare]
accept = 99.0
refuse = 98.0
provenance = "a test"
[compare.dlib]
mean = 0.8
deviation = 0.1
[compare.faceres]
mean = 0.5
deviation = 0.1
"""


@BOTH
def test_an_operators_networks_are_those_of_its_session_processes(trust: Path, tmp_path: Path, shared: bool) -> None:
    file = tmp_path / "networks.toml"
    file.write_text(STRICT)
    assert warm(file).configuration.thresholds.compare.accept == 99.0

    async def main(networks: Path) -> bool:
        pool = Pool(nursery(trust, shared=shared, networks=networks), trust, LIMITS)
        try:
            return (await pool.take(unheard)).lives
        finally:
            await pool.close()

    assert asyncio.run(main(file))
    file.write_text(STRICT.replace("accept", "accepted"))
    with pytest.raises(ProcessDied):
        asyncio.run(main(file))
