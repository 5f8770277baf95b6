"""Structured logs: what happened, never to whom. One JSON object a line, to the file of the settings or standard error.

Every event is in `EVENTS` with the names of its values; a value is a number or a word of our own lists. Of an exception its type and places
are told, never its text: that may hold what a stranger sent. Libraries speak through the same form, in their own fixed words alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import structlog
from structlog.typing import EventDict, Processor

from alicem.settings import Log

EVENTS: Mapping[str, tuple[str, ...]] = {
    "serving": ("listen", "profile", "worker", "roles"),
    "draining": ("seconds", "sessions"),
    "request": ("route", "method", "status", "seconds"),
    "enrolment asked": ("outcome",),
    "step": ("step",),
    "refused": ("step", "reason"),
    "enrolment ended": ("outcome", "seconds"),
    "face try": ("outcome", "reason"),
    "letter": ("outcome", "seconds"),
    "protocol error": ("why",),
    "session process warm": ("seconds", "layers"),
    "session process died": ("why",),
    "session process hangs": (),
    "session process talks nonsense": (),
    "registry asked": ("call", "outcome", "seconds", "said"),
    "instruction": ("outcome",),
    "suspension": ("outcome",),
    "sign-in": ("outcome",),
    "registry notice": ("notice",),
    "retention": ("identity_check", "idle", "unfinished", "phones", "journal_rows"),
    "retention erased nothing: is the clock right?": ("due", "accounts"),
    "retention left the journal whole: is the clock right?": ("due", "rows"),
    "a job failed": ("job", "error"),
    "key file not read": ("error",),
    "client file not read": (),
    "client keys": ("outcome", "seconds"),
    "library": ("library", "place", "text"),
    "unhandled": ("where",),
}
"""What the provider may say, with the names of the values. `request`, the random number of a request, may be beside each."""

_FRAMES, _CAUSES = 20, 5
_PLAIN = re.compile(r"[ -~]{0,200}")
_PACKAGES = ("site-packages", "src", "lib")


class _Stream(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class LogFile:
    """A file that is opened again when somebody moved it away; nobody else may read it."""

    def __init__(self, path: Path) -> None:
        self._path, self._moved = path, False
        self._stream = self._open()

    def reopen(self) -> None:
        """For a signal handler: at the next line."""
        self._moved = True

    def write(self, text: str, /) -> None:
        if self._moved:
            with contextlib.suppress(
                OSError
            ):  # until the place takes a file, lines go where they went: no request fails for a log
                fresh = self._open()
                self._stream.close()
                self._stream, self._moved = fresh, False
        self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def _open(self) -> Any:
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8")


def configure(settings: Log, *taps: Processor) -> Callable[[], None]:
    """For the whole process, libraries included. What to call when the file was moved away.

    `taps` see every event, whatever the level: who counts does not depend on what is written.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    file = None if settings.file is None else LogFile(settings.file)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *taps,
            _from(level),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception,
            _bounded,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if taps else level),
        logger_factory=structlog.WriteLoggerFactory(file=file or sys.stderr),  # type: ignore[arg-type] # writes and flushes
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    for name in logging.root.manager.loggerDict:  # a library may have laid handlers of its own
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.basicConfig(handlers=[_Libraries()], level=max(level, logging.WARNING), force=True)
    sys.excepthook = _unhandled
    threading.excepthook = lambda told: _unhandled(told.exc_type, told.exc_value, told.exc_traceback, "thread")
    return (lambda: None) if file is None else file.reopen


def unhandled_in_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for the event loop: its own would write the text of exceptions and of arguments."""
    error = context.get("exception")
    structlog.get_logger("alicem").error("unhandled", where="event loop", exc_info=error)


def _unhandled(
    _kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None, where: str = "main"
) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    structlog.get_logger("alicem").critical("unhandled", where=where, exc_info=error)


def _from(level: int) -> Processor:
    """Nothing below this level is written."""

    def drop(_logger: Any, method: str, event: EventDict) -> EventDict:
        if structlog.processors.NAME_TO_LEVEL.get(method, level) < level:
            raise structlog.DropEvent
        return event

    return drop


def _exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = told_of(error)
    return event


def _bounded(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A session process may say why it ended, and may be in other hands: a short line of plain characters is taken from it."""
    for name, value in event.items():
        if isinstance(value, str) and not _PLAIN.fullmatch(value):
            event[name] = "not told"
    return event


def told_of(error: BaseException) -> list[dict[str, Any]]:
    """Type and places of an exception and of what caused it, the last first; no word of it."""
    told: list[dict[str, Any]] = []
    following: BaseException | None = error
    while following is not None and len(told) < _CAUSES:
        frames = traceback.extract_tb(following.__traceback__)[-_FRAMES:]
        places = [f"{_short(one.filename)}:{one.lineno} {one.name}" for one in frames]
        told.append({"type": type(following).__qualname__, "places": places})
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return told


def _short(filename: str) -> str:
    """Without the folders of this machine."""
    parts = Path(filename).parts
    after = max((index for index, part in enumerate(parts) if part in _PACKAGES), default=-1)
    return "/".join(parts[after + 1 :]) if after >= 0 else parts[-1]


class _Libraries(logging.Handler):
    """What libraries say: who, where, and the fixed words of the line, without the values put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.msg if isinstance(record.msg, str) and (record.args or record.name != "asyncio") else ""
        structlog.get_logger("alicem").log(
            record.levelno,
            "library",
            library=record.name,
            place=f"{_short(record.pathname)}:{record.lineno} {record.funcName}",
            text=text.partition("\n")[0][:200],
            exc_info=record.exc_info[1] if record.exc_info else None,
        )
