"""`make bench`: every table in one run. A figure beside a peer's is a ratio of the same run; nothing here is a test."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from bench import backup, chip, code, credential, face, journal, login, mrz, session, trust

Row = tuple[str, float | str, str, str]
TABLES: dict[str, Callable[[], list[Row]]] = {
    "chip": chip.rows,
    "trust": trust.rows,
    "face": face.rows,
    "mrz": mrz.rows,
    "session": session.rows,
    "sign-in": login.rows,
    "code": code.rows,
    "credential": credential.rows,
    "journal": journal.rows,
    "backup": backup.rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--json", action="store_true", help="to standard output")
    parser.add_argument("only", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)} (default: all)")
    asked = parser.parse_args()
    unknown = set(asked.only) - TABLES.keys()
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}")
    found = {name: rows() for name, rows in TABLES.items() if not asked.only or name in asked.only}
    if asked.json:
        json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
        return 0
    for name, rows in found.items():
        Console().print(_table(name, rows))
    return 0


def _table(title: str, rows: list[Row]) -> Table:
    table = Table("what", "value", "unit", "note", title=title, title_justify="left", box=None)
    for name, value, unit, note in rows:
        table.add_row(name, f"{value:g}" if isinstance(value, float) else str(value), unit, note)
    return table


if __name__ == "__main__":
    sys.exit(main())
