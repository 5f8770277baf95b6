"""The life of every session process, whatever it does: its last preparations, the sandbox, its one session, the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from alicem.enrolment import sandbox
from alicem.enrolment.link import Link
from alicem.enrolment.trust import load_trust
from alicem.jose import BadToken
from alicem.reasons import Refused
from emrtd.pki.trust import TrustStore

OURS = ("alicem", "emrtd")


def live(descriptor: int, trust_folder: Path, serve: Callable[[Link, TrustStore], None]) -> None:
    """Keep `descriptor` alone, close the sandbox, then `serve` one session over it."""
    link = Link(*[sandbox.keep_only(descriptor)] * 2)
    sys.excepthook = lambda kind, _error, trace: link.tell("crashed", why=f"{kind.__name__} at {_line(trace)}")
    trust = load_trust(trust_folder)
    link.tell("warm", pid=os.getpid(), layers=sandbox.close())
    try:
        serve(link, trust)
    except EOFError:
        pass  # the session is gone: so is everything here
    except BadToken as error:
        link.tell("broken", why=str(error))
    except Refused as refusal:
        link.tell("refused", reason=refusal.reason.name)


def _line(trace: TracebackType | None) -> str:
    """Where in our own code an unforeseen error came from: a place, never a value."""
    place = "?"
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if any(name in OURS for name in file.parts):
            place = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
