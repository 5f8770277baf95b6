"""One JSON object a line, from a list of events; never what a stranger sent, however it comes: as a value, as an exception's text, through a library."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import structlog

from alicem import log
from alicem.jobs import Report
from alicem.settings import Log

SOURCE = Path(log.__file__).parent
OTHERS = ("broker", "registry", "demo")
"""Applications of their own, with logs of their own."""
STRANGER = "Zoë Lefèvre\n24AB12345"


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Callable[..., Callable[[], None]]]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = root.level, root.handlers[:]
    yield lambda **changes: log.configure(Log(file=tmp_path / "alicem.log", **changes))
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "alicem.log").read_text("utf-8").splitlines()]


def told() -> Iterator[tuple[str, str, set[str]]]:
    """File, event and names of values of everything the provider's own code logs."""
    for file in SOURCE.rglob("*.py"):
        if file.relative_to(SOURCE).parts[0] in OTHERS:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("debug", "info", "warning", "error", "critical", "log") and _is_logger(node.func):
                words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                assert words, f"{file.name}:{node.lineno}: an event is a fixed word"
                names = {one.arg for one in node.keywords if one.arg is not None} - {"exc_info"}
                yield file.name, words[0], names


def _is_logger(function: ast.Attribute) -> bool:
    text = ast.unparse(function.value)
    return text == "_log" or text.startswith("structlog.get_logger(")


def test_every_event_and_every_value_is_listed_and_every_listed_one_is_told() -> None:
    found: dict[str, set[str]] = {}
    for file, event, names in told():
        assert event in log.EVENTS, f"{file}: {event}"
        assert names <= {*log.EVENTS[event]}, f"{file}: {event}: {names}"
        found.setdefault(event, set()).update(names)
    assert found.keys() == log.EVENTS.keys()
    assert {*log.EVENTS["retention"]} == {one.name for one in fields(Report)}


def test_an_exception_is_told_by_its_type_and_places_alone(configured: Any, tmp_path: Path) -> None:
    configured()
    try:
        try:
            json.loads(f'{{"name": "{STRANGER}"')
        except ValueError as error:
            raise KeyError(STRANGER) from error
    except KeyError:
        structlog.get_logger("alicem").exception("unhandled", where="main")
    (line,) = lines(tmp_path)
    assert [one["type"] for one in line["exception"]] == ["KeyError", "JSONDecodeError"]
    assert any("test_log.py" in place for place in line["exception"][0]["places"])
    assert "Lef" not in json.dumps(line) and str(Path.home()) not in json.dumps(line)


@pytest.mark.parametrize(
    "say",
    [
        lambda: logging.getLogger("uvicorn.error").error("refused %s", STRANGER),
        lambda: logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: {STRANGER}"),
        lambda: logging.getLogger("uvicorn.error").error(ValueError(STRANGER)),
        lambda: warnings.warn(STRANGER, stacklevel=1),
        lambda: structlog.get_logger("alicem").warning("protocol error", why=STRANGER),
    ],
    ids=["arguments", "asyncio", "an exception for a message", "warnings", "a session process in other hands"],
)
def test_what_a_stranger_sent_is_not_told(configured: Any, tmp_path: Path, say: Callable[[], None]) -> None:
    configured()
    say()
    (line,) = lines(tmp_path)
    assert "Lef" not in json.dumps(line, ensure_ascii=False) and "24AB" not in json.dumps(line)
    assert line["level"] in ("warning", "error") and line["timestamp"].endswith("Z")


def test_a_library_is_told_by_name_place_and_fixed_words(configured: Any, tmp_path: Path) -> None:
    configured()
    logging.getLogger("uvicorn.error").warning('Invalid "%s"', "x")
    (line,) = lines(tmp_path)
    assert (line["event"], line["library"], line["text"]) == ("library", "uvicorn.error", 'Invalid "%s"')
    assert "test_log.py" in line["place"]


def test_the_event_loop_tells_nothing_of_arguments(configured: Any, tmp_path: Path) -> None:
    configured()

    async def lose() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.unhandled_in_loop)
        loop.call_soon(int, STRANGER)
        await asyncio.sleep(0.01)

    asyncio.run(lose())
    (line,) = lines(tmp_path)
    assert line["event"] == "unhandled" and line["exception"][0]["type"] == "ValueError"
    assert "24AB" not in json.dumps(line)


def test_what_ends_the_program_is_told_the_same_way(tmp_path: Path) -> None:
    code = f"""
import threading
from pathlib import Path
from alicem.log import configure
from alicem.settings import Log
configure(Log(file=Path({str(tmp_path / "alicem.log")!r})))
thread = threading.Thread(target=lambda: int({STRANGER!r}))
thread.start()
thread.join()
int({STRANGER!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and ended.stderr == ""
    assert [(line["event"], line["where"]) for line in lines(tmp_path)] == [
        ("unhandled", "thread"),
        ("unhandled", "main"),
    ]


def test_a_level_is_kept_and_a_tap_sees_what_is_below_it(tmp_path: Path, configured: Any) -> None:
    seen: list[str] = []

    def tap(_logger: Any, _method: str, event: Any) -> Any:
        seen.append(event["event"])
        return event

    configured()
    log.configure(Log(file=tmp_path / "alicem.log", level="warning"), tap)
    logger = structlog.get_logger("alicem")
    logger.debug("sign-in", outcome="done")
    logger.info("step", step="code")
    logger.warning("draining", seconds=1, sessions=0)
    assert seen == ["sign-in", "step", "draining"]
    assert [line["event"] for line in lines(tmp_path)] == ["draining"]


def test_where_no_file_can_be_opened_lines_go_where_they_went(configured: Any, tmp_path: Path) -> None:
    reopen = configured()
    (tmp_path / "alicem.log").rename(tmp_path / "alicem.log.1")
    (tmp_path / "alicem.log").mkdir()
    reopen()
    structlog.get_logger("alicem").info("first")
    (tmp_path / "alicem.log").rmdir()
    structlog.get_logger("alicem").info("second")
    assert "first" in (tmp_path / "alicem.log.1").read_text()
    assert "second" in (tmp_path / "alicem.log").read_text()


def test_a_file_that_was_moved_away_is_opened_again_and_is_nobody_elses(configured: Any, tmp_path: Path) -> None:
    reopen = configured()
    logger = structlog.get_logger("alicem")
    logger.info("step", step="code")
    (tmp_path / "alicem.log").rename(tmp_path / "alicem.log.1")
    logger.info("step", step="face")
    reopen()
    logger.info("step", step="confirmation")
    assert [line["step"] for line in lines(tmp_path)] == ["confirmation"]
    assert (tmp_path / "alicem.log.1").read_text().count("\n") == 2
    assert (tmp_path / "alicem.log").stat().st_mode & 0o777 == 0o600
