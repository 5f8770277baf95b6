"""Structured logs: what happened, never to whom. One JSON object a line, to the file of the settings or standard error."""

from __future__ import annotations

import logging
import sys

import structlog

from alicem.settings import Log


def configure(settings: Log) -> None:
    """For the whole process, libraries included."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    stream = sys.stderr if settings.file is None else settings.file.open("a", buffering=1, encoding="utf-8")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    logging.basicConfig(
        stream=stream,
        level=max(level, logging.WARNING),
        format='{"library": "%(name)s", "level": "%(levelname)s", "event": "%(message)s"}',
    )
