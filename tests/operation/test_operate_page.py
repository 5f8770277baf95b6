"""docs/operate.md and deploy/ against the program: settings, metrics, events, checks, and every command in them."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import subprocess
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import alicem.app  # noqa: F401 - every table
from alicem import cli, log
from alicem.settings import Service, Settings, parse, refusals
from alicem.store import metadata
from alicem.watch import readiness
from alicem.watch.metrics import GAUGES, Metrics

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operate.md"
DEPLOY = ROOT / "deploy"
TEXT = PAGE.read_text("utf-8")
UNITS = sorted((DEPLOY / "systemd").iterdir())
SETTINGS_FILES = [ROOT / "examples" / "alicem.production.toml", *sorted((DEPLOY / "two-workers").glob("*.toml"))]


def section(heading: str) -> str:
    """A heading's text, up to the next of its rank or above."""
    rank = heading.count("#", 0, heading.index(" "))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{rank}}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(heading: str) -> dict[str, list[str]]:
    """First cell, without its quotes, to the others."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section(heading).splitlines() if line.startswith("| `")]
    return {first.strip().strip("`"): [one.strip() for one in others] for first, *others in cells}


def default(one: dataclasses.Field[Any]) -> str:
    if one.default_factory is not dataclasses.MISSING:
        return "see there"
    value = "" if one.default is dataclasses.MISSING else one.default
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("table", [one.name for one in dataclasses.fields(Settings)])
def test_every_key_is_told_with_its_default_and_nothing_else(table: str) -> None:
    kind = typing.get_type_hints(Settings)[table]
    told = {key: cells[0] for key, cells in rows(f"### [{table}]").items()}
    assert told == {one.name: default(one) for one in dataclasses.fields(kind)}


def test_no_table_is_told_that_is_none() -> None:
    assert set(re.findall(r"^### \[(\w+)\]$", TEXT, re.MULTILINE)) == {one.name for one in dataclasses.fields(Settings)}


def test_every_metric_is_told_and_every_alert_is_over_one() -> None:
    families = {family.name: family.type for family in Metrics().registry.collect()}
    names = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()}
    ours = {name for name in names if name.startswith("alicem_")}
    assert rows("### Counts").keys() - {"up"} >= ours
    told = {name for name in rows("### Counts") if re.fullmatch(r"alicem_\w+", name)}
    assert told == ours and GAUGES.keys() <= ours
    used = set(re.findall(r"(?:alicem|process)_\w+", section("### Counts")))
    histograms = {f"{name}_bucket" for name, kind in families.items() if kind == "histogram"}
    assert used <= names | histograms


def test_every_event_and_every_check_is_told() -> None:
    assert rows("### Logs").keys() == log.EVENTS.keys()
    told = {name: cells[1] for name, cells in rows("### Live and ready").items()}
    needs = {name: [role for role, names in readiness.NEEDS.items() if name in names] for name in told}
    assert told == {name: ", ".join(roles) or "shown" for name, roles in needs.items()}


def test_every_table_of_the_database_it_names_is_one() -> None:
    named = set(re.findall(r"ALTER TABLE (\w+)", TEXT)) | set(re.findall(r"\(`(\w+)`, `codes`", TEXT))
    assert named and named <= {table.name for table in metadata.sorted_tables}


def commands(text: str) -> Iterator[list[str]]:
    """Words of every `alicem` command line, whoever types it."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        for place, word in enumerate(words):
            named = words[place - 1 : place] and words[place - 1] in (
                "-u",
                "-o",
                "-g",
                "--owner",
                "createuser",
                "alicem",
            )
            if word in ("alicem", "/opt/alicem/.venv/bin/alicem") and not named and words[place + 1 :]:
                yield words[place + 1 :]
                break


def typed() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(alicem [a-z][^`]*)`", TEXT)
    found = [words for block in blocks for words in commands(block)]
    return [*found, *(shlex.split(one)[1:] for one in spans)]


def understood(words: list[str]) -> bool:
    """Whether the program knows these commands and options; one named in prose may lack its value."""
    words = [*words, "VALUE"] if words[-1].startswith("--") else words
    return CliRunner().invoke(cli.build(words[0]), [*words, "--help"]).exit_code == 0


@pytest.mark.parametrize("words", typed(), ids=" ".join)
def test_every_command_of_the_page_is_one(words: list[str]) -> None:
    assert understood(words)


def test_a_command_that_is_none_would_be_seen() -> None:
    assert understood(["db", "backup", "FILE"])
    for words in (["polish"], ["keys", "polish"], ["db", "backup", "FILE", "--gently"]):
        assert not understood(words), words


def test_every_file_it_names_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    named = re.findall(r"/opt/alicem/((?:deploy|tools|requirements|examples)/[\w./@-]+)", TEXT)
    for path in [*((PAGE.parent / one) for one in links), *((ROOT / one) for one in named if "*" not in one)]:
        assert path.exists() or list(path.parent.glob(f"{path.name}*")), path


def test_units_run_commands_of_the_program_and_files_of_the_page() -> None:
    for unit in UNITS:
        for line in unit.read_text().splitlines():
            if line.startswith("ExecStart="):
                text = re.sub(r"^/bin/sh -c '(.*)'$", r"\1", line.removeprefix("ExecStart=")).replace("$$", "$")
                (words,) = commands(text.replace("$(date -u +%%Y-%%m-%%dT%%H%%M%%SZ)", "NOW"))
                assert understood(words), line
    services = {unit.name for unit in UNITS if unit.suffix == ".service"}
    assert {f"{unit.stem}.service" for unit in UNITS if unit.suffix == ".timer"} < services
    for named in re.findall(r"(alicem[\w-]*)@(?:alicem|w1|w2)", TEXT):
        assert f"{named}@.service" in services


def test_units_hold_against_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/alicem/.venv/bin/alicem", shutil.which("true") or "/bin/true")
        text = text.replace("User=alicem", "User=daemon").replace("Group=alicem", "Group=daemon")
        (tmp_path / unit.name.replace("@.", "@w1.")).write_text(text)
    files = [str(file) for file in sorted(tmp_path.iterdir())]
    verified = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if "alicem" in line and "docs/operate.md" not in line]
    assert verified.returncode == 0 and ours == [], verified.stderr
    service = str(tmp_path / "alicem@w1.service")
    weighed = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=25", service],
        capture_output=True,
        text=True,
        check=False,
    )
    assert weighed.returncode == 0, weighed.stdout[-500:]


def test_drain_and_stop_fit_together() -> None:
    unit = (DEPLOY / "systemd" / "alicem@.service").read_text()
    stop = int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])  # type: ignore[index]
    assert stop > Service.__dataclass_fields__["drain_seconds"].default
    assert "KillMode=mixed" in unit  # its session processes are ended by the server, not beside it


def test_the_proxy_reads_its_file(tmp_path: Path) -> None:
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("nginx is missing; please type:  sudo apt-get install nginx-light")
    key, certificate = tmp_path / "key.pem", tmp_path / "fullchain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*make, "-subj", "/CN=alicem.example", "-keyout", key, "-out", certificate], capture_output=True, check=True)  # fmt: skip
    text = (DEPLOY / "nginx.conf").read_text().replace("/etc/ssl/alicem", str(tmp_path))
    text = text.replace("/var/log/nginx", str(tmp_path))
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    tried = subprocess.run(["nginx", "-t", "-c", file, "-e", tmp_path / "e"], capture_output=True, text=True, check=False)  # fmt: skip
    assert tried.returncode == 0 and "warn" not in tried.stderr, tried.stderr


@pytest.mark.parametrize("file", SETTINGS_FILES, ids=lambda file: file.name)
def test_settings_that_are_given_are_fit_for_production(file: Path) -> None:
    settings = parse(file)
    assert settings.service.profile == "production" and refusals(settings) == ()


def test_workers_of_one_machine_are_apart() -> None:
    one, two = map(parse, SETTINGS_FILES[1:])
    assert one.service.worker != two.service.worker and one.service.listen != two.service.listen
    assert (one.database, one.keys, one.service.origin) == (two.database, two.keys, two.service.origin)
    proxy = (DEPLOY / "nginx.conf").read_text()
    for settings in (one, two):
        assert f"upstream alicem_{settings.service.worker} {{ server {settings.service.listen};" in proxy


def test_the_image_is_made_of_what_is_here() -> None:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("COPY") and "--from" not in line:
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line
    assert all((ROOT / name).is_file() for name in re.findall(r"-r (\S+)", text))
    final = text[text.rindex("FROM ") :]
    assert "USER 10001" in final and "npm" not in final and "pip" not in final
    entry = re.search(r'^ENTRYPOINT \["alicem"\]\nCMD \[(.*)\]', text, re.MULTILINE)
    assert entry
    assert understood([word.strip('" ') for word in entry[1].split(",")])
