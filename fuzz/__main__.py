"""`python -m fuzz [TARGET ...]`: each target for a while; what was found stays in build/fuzz/found."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

from fuzz import blind
from fuzz.targets import SECONDS_MAX, TARGETS, Target

FOLDER = Path("build") / "fuzz"
FOUND = FOLDER / "found"
MEMORY_MAX = 2 << 30
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
COVERED = re.compile(r"cov: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="feed the parsers of emrtd what nobody should")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default: 60)")
    parser.add_argument("--blind", action="store_true", help="without coverage, even where atheris is installed")
    parser.add_argument("--seed", type=int, default=None, help="of the mutations (default: another one each time)")
    parser.add_argument("--file", type=Path, help="feed this one file to the target, to see a finding again")
    asked = parser.parse_args()
    if unknown := set(asked.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}")
    targets = [TARGETS[name] for name in asked.targets or TARGETS]
    if asked.file:
        for target in targets:
            target.check(asked.file.read_bytes())
        return 0
    guided = not asked.blind and importlib.util.find_spec("atheris") is not None
    if not guided and not asked.blind:
        print("atheris is not installed: mutating blindly, without coverage", flush=True)
    seed = int(time.time()) if asked.seed is None else asked.seed
    FOUND.mkdir(parents=True, exist_ok=True)
    found = [(_guided if guided else _blindly)(target, asked.seconds, seed) for target in targets]
    return 1 if sum(found) else 0


def _blindly(target: Target, seconds: float, seed: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, resource.RLIM_INFINITY))
    outcome = blind.run(target, seconds, seed)
    print(f"{target.name:8} {outcome.inputs:9} inputs, {len(outcome.findings)} found (seed {seed})", flush=True)
    for data, told in outcome.findings.values():
        file = FOUND / f"{target.name}-{hashlib.sha256(data).hexdigest()[:16]}"
        file.write_bytes(data)
        print(f"{told}see it again: python -m fuzz {target.name} --file {file}\n", flush=True)
    return len(outcome.findings)


def _guided(target: Target, seconds: float, seed: int) -> int:
    """One atheris process; it ends at its first finding."""
    corpus = FOLDER / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    before = set(FOUND.iterdir())
    options = [
        f"-max_total_time={max(1, round(seconds))}", f"-seed={seed % (1 << 32)}", f"-artifact_prefix={FOUND}/{target.name}-",
        f"-timeout={round(4 * SECONDS_MAX)}", f"-rss_limit_mb={MEMORY_MAX >> 20}", "-print_final_stats=1", "-max_len=8192",
    ]  # fmt: skip
    told = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "fuzz.guided", target.name, str(corpus), *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    new = sorted(set(FOUND.iterdir()) - before)
    executed, covered = EXECUTED.search(told.stdout), COVERED.findall(told.stdout)
    count, edges = executed.group(1) if executed else "?", covered[-1] if covered else "?"
    print(f"{target.name:8} {count:>9} inputs, {edges} edges covered, {len(new)} found (seed {seed})", flush=True)
    if new or told.returncode:
        print(told.stdout[-6000:], flush=True)
    for file in new:
        print(f"see it again: python -m fuzz {target.name} --file {file}\n", flush=True)
    return len(new) or int(told.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
