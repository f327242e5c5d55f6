"""How long ``import skillforge`` and ``skillforge --help`` take beside bare Python. Promise: within 150 ms.

python bench/startup.py [rounds]
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from _shared import command, environment, finish, print_table

ALLOWED_MS = 150
HEAVY = ("jinja2", "jsonschema", "pydantic", "rich", "sqlite_utils", "xllamacpp", "yaml")
WHAT = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import skillforge": [sys.executable, "-c", "import skillforge"],
    "skillforge --help": command("--help"),
}


def seconds(args: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - started


def loaded_by_help() -> list[str]:
    """Heavy packages that ``--help`` imports (there should be none)."""
    code = (
        "import sys, contextlib, io\n"
        "from skillforge.cli.app import app\n"
        "with contextlib.redirect_stdout(io.StringIO()): app(['--help'], standalone_mode=False)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment())
    return done.stdout.split()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    times: dict[str, list[float]] = {name: [] for name in WHAT}
    for args in WHAT.values():  # compiled files and disk cache warm, as on a developer's machine
        seconds(args)
    for _ in range(rounds):
        for name, args in WHAT.items():  # in turn, so that other load on the machine meets all alike
            times[name].append(seconds(args))
    medians = {name: 1000 * median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    print_table(
        [
            ["command", f"median of {rounds}, ms", "beyond bare Python, ms"],
            *[[name, f"{value:.0f}", f"{value - base:+.0f}"] for name, value in medians.items()],
        ]
    )
    heavy = loaded_by_help()
    print(f"heavy packages loaded by --help: {', '.join(heavy) or 'none'}")
    slow = [f"{name}: {value - base:.0f} ms" for name, value in medians.items() if value - base > ALLOWED_MS]
    finish([*slow, *(f"--help imports {name}" for name in heavy)])


if __name__ == "__main__":
    main()
