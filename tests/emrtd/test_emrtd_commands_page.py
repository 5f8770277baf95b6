"""docs/chip.md as a new user follows it: its shell and Python blocks run, and what it names exists."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import emrtd
from emrtd import errors

PAGE = (Path(__file__).parents[2] / "docs" / "chip.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_that_needs_no_reader_runs_in_the_order_of_the_page(tmp_path: Path) -> None:
    script = 'set -e\nalicem() { "$PYTHON" -m alicem "$@"; }\n' + "\n".join(blocks("sh"))
    script = script.replace("; test $? = 1", " || test $? = 1")
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Genuine: a document that FR signed.") == 2
    assert '"verdict": "genuine"' in done.stdout
    assert "ChipIsCopy" in done.stderr


def test_the_library_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "docs/chip.md", "exec"), {})  # noqa: S102 - our own page
    assert "Zoë Anaïs Lefèvre-Dœuil 24AA12345 ('CA-ECDH-3DES', 'AA-ECDSA')" in capsys.readouterr().out


def test_every_reason_of_the_page_is_an_error_of_the_library() -> None:
    table = PAGE.partition("## What a verdict means")[2].partition("## A folder")[0]
    named = [
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert len(named) > 15
    assert [name for name in named if name != "genuine" and not hasattr(errors, name)] == []


def test_every_refusal_of_a_document_is_on_the_page() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    refusals = [kind for kind in kinds if issubclass(kind, (errors.NotGenuine, errors.AccessRefused))]
    told = [
        kind.__name__ for kind in refusals if kind not in (errors.NotGenuine, errors.AccessRefused, errors.NoChipKey)
    ]
    assert [name for name in told if f"`{name}`" not in PAGE] == []


def example(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(__file__).parents[2] / "examples" / "read_passport.py"
    return subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_example_runs() -> None:
    done = example()
    assert done.returncode == 0, done.stderr
    assert "signed by FR; the chip showed by CA-ECDH-3DES, AA-ECDSA that it is no copy" in done.stdout


def test_the_example_says_what_it_lacks(tmp_path: Path) -> None:
    """Without a folder of trust it reads nothing; a reader that is not there is a sentence, never a trace."""
    assert example("a reader alone").stderr.startswith("usage:")
    done = example("no such reader", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("DeviceFailure:")


def test_where_to_begin_is_true() -> None:
    """Every name the package's own page sends a reader to is there."""
    named = re.findall(r"``(\w[\w.]*)\.(\w+)``", emrtd.__doc__ or "")
    assert len(named) > 8
    for module, name in named:
        assert hasattr(importlib.import_module(f"emrtd.{module}"), name), (module, name)
