"""1,000 calls at concurrency 32 against a server that fails in every way: what is lost, what it takes, when it stops.

    python bench/faults.py [cases] [seed]

An eval of five model arms for each of the three APIs. The server is a process of its own; the truth is its journal.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _shared import finish, print_table

from skillforge import Forge
from skillforge.errors import ProviderError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes import lab
from tests.fakes.faults import Fault, refuse, seeded
from tests.fakes.llm_server import LLMServer

CONCURRENCY = 32
LATENCY_S = 0.2
TIMEOUT_S = 1.0
RETRY_AFTER_S = 0.1
OPTIONS = f"concurrency = {CONCURRENCY}\ntimeout_s = {TIMEOUT_S}\n"
MODEL_ARMS = 5  # a teacher, and two students without and with the skill

MIX = {
    refuse(429, RETRY_AFTER_S): 0.005,
    refuse(429): 0.005,
    refuse(400): 0.01,
    refuse(500): 0.03,
    refuse(529): 0.02,
    Fault("cut"): 0.03,
    Fault("cut", at=0.8, clean=True): 0.02,
    Fault("malformed"): 0.02,
    Fault("drip", every_ms=50): 0.02,
    Fault("reset"): 0.02,
    Fault("reset", at=0): 0.02,
    Fault("no_stop"): 0.02,
}
FOR_EVER = {
    "401": refuse(401, message="invalid key"),
    "400": refuse(400, message="no such parameter: sparkle"),
    "404": refuse(404, message="no such model"),
    "500": refuse(500, message="out of order"),
}
RATE, BURST = 40.0, 8.0


@dataclass
class Server:
    """A server in another process. ``calls`` are known once it has ended."""

    url: str
    journal: Path
    calls: list[dict[str, Any]]

    def asked(self) -> list[lab.Question]:
        """What has arrived so far, in order."""
        lines = self.journal.read_bytes().splitlines()
        return [lab.question(json.loads(line)["body"]) for line in lines]


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Server]:
    journal = folder / "journal.jsonl"
    command = [sys.executable, __file__, "serve", json.dumps({**settings, "journal": str(journal)})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Server(process.stdout.readline().strip(), journal, [])
        try:
            yield server
        finally:
            server.calls += json.loads(process.communicate()[0])


def serve(mix: str = "", seed: int = 1, **settings: Any) -> None:
    """The server's process: says where it listens, and when its input ends, how every call went."""
    chances = MIX if mix == "all" else {FOR_EVER[mix]: 1.0} if mix else {}
    with LLMServer(lab.answer, seeded(seed, chances), latency_s=LATENCY_S, **settings) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        calls = [
            {"fault": call.fault, "status": call.fault.partition(" ")[2], "s": (call.ended or 0) - call.started}
            for call in server.settle()
        ]
    print(json.dumps(calls))


def evaluate(root: Path, students: Sequence[str] = (lab.PLAIN, lab.STREAMED)) -> float:
    """Run the eval; its wall time. Raises what ends it."""
    started = time.perf_counter()
    forge = Forge(root)
    try:
        forge.eval("parity", students=students, teacher=lab.TEACHER)
    finally:
        forge.close()
    return time.perf_counter() - started


def mixed(kind: str, cases: int, seed: int) -> tuple[list[object], dict[str, bool], Counter[str]]:
    """All faults at random: the row of the table, the promises, what went wrong how often."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with serving(root, mix="all", seed=seed) as server:
            lab.write_repository(root, server.url, kind, cases, options=OPTIONS)
            seconds = evaluate(root)
            asked, ledger = server.asked(), lab.read_ledger(root)
            evaluate(root)
            again, later = server.asked()[len(asked) :], lab.read_ledger(root)
        first = server.calls[: len(asked)]
    waits = sum(call["fault"] == "status 429" for call in first) * RETRY_AFTER_S / 2  # one half of them names a time
    ideal = (sum(min(call["s"], TIMEOUT_S) for call in first) + waits) / CONCURRENCY
    row = [
        kind,
        len(asked),
        ledger.calls,
        len(ledger.status),
        len(ledger.errors),
        len(again),
        later.calls - ledger.calls,
        f"{seconds:.1f}",
        f"{ideal:.1f}",
        f"{seconds / ideal:.1f}",
    ]
    promises = {
        "every arm and case is one row": set(ledger.rows.values()) == {1}
        and len(ledger.rows) == MODEL_ARMS * cases
        and later.rows == ledger.rows,
        "every finished sample has its answer": ledger.broken == 0 and later.broken == 0,
        "the ledger counts every call that arrived": ledger.calls == len(asked),
        "and those of the second run, with the answers it finds again": later.calls == len(asked) + len(again),
        "there were errors": bool(ledger.errors),
        "only errors are asked again": {(each.arm, each.case) for each in again} == ledger.errors,
    }
    return row, promises, Counter(call["fault"] or "served" for call in first)


def for_ever(kind: str, what: str) -> tuple[list[object], str]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with serving(root, mix=what) as server:
            lab.write_repository(root, server.url, kind, 40, options=OPTIONS)
            started = time.perf_counter()
            said = "NOTHING"
            try:
                evaluate(root)
            except ProviderError as exc:
                said = f"{exc} -> {exc.hint}"
            seconds = time.perf_counter() - started
        return [f"{what} for ever", kind, len(server.calls), f"{seconds:.1f}"], said


def limited(retry_after: bool, cases: int) -> tuple[list[object], dict[str, bool]]:
    """A server that takes so many calls a second and no more."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with serving(root, rate=RATE, burst=BURST, retry_after=retry_after) as server:
            lab.write_repository(root, server.url, "openai-chat", cases, options=OPTIONS)
            seconds = evaluate(root)
            ledger = lab.read_ledger(root)
    refused = sum(call["status"] == "429" for call in server.calls)
    served = len(server.calls) - refused
    ideal = (served - BURST) / RATE + LATENCY_S
    row = ["yes" if retry_after else "no", served, refused, f"{seconds:.1f}", f"{ideal:.1f}", f"{seconds / ideal:.2f}"]
    kept = {
        "a rate limit loses nothing": not ledger.errors and len(ledger.rows) == MODEL_ARMS * cases,
        "the ledger counts refused calls too": ledger.calls == len(server.calls),
    }
    return row, kept


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    broken: list[str] = []
    head = "API,calls,in ledger,samples,errors,asked again,in ledger,seconds,ideal,ratio"
    rows: list[list[object]] = [list(head.split(","))]
    kinds: Counter[str] = Counter()
    for kind in lab.KINDS:
        row, promises, happened = mixed(kind, cases, seed)
        rows.append(row)
        kinds += happened
        broken += [f"{kind}: {promise}" for promise, kept in promises.items() if not kept]
    print_table(rows)
    print(
        f"\nideal: the time the server had each call in hand (at most {TIMEOUT_S:g} s, then it is given up) and the"
        f" retry-after it asked for, summed up, over {CONCURRENCY} at once"
    )
    print("what happened: " + ", ".join(f"{what} {count}" for what, count in kinds.most_common()))

    rows = [["one error", "API", "calls", "seconds"]]
    said: dict[str, str] = {}
    pairs = [(kind, what) for what in FOR_EVER for kind in lab.KINDS]
    with ThreadPoolExecutor(len(pairs)) as pool:
        for (row, message), (_, what) in zip(pool.map(lambda pair: for_ever(*pair), pairs), pairs, strict=True):
            rows.append(row)
            said.setdefault(what, message)
            broken += [f"{row[0]} at {row[1]} does not stop"] if message == "NOTHING" else []
    print()
    print_table(rows)
    print("\n".join(f"{what}: {message}" for what, message in said.items()))

    rows = [["retry-after", "served", "429s", "seconds", "ideal", "ratio"]]
    for retry_after in (True, False):
        row, promises = limited(retry_after, cases // 3)
        rows.append(row)
        broken += [promise for promise, kept in promises.items() if not kept]
    print()
    print_table(rows)
    print(f"\nideal: {RATE:g} calls a second after the first {BURST:g}")
    finish(broken)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(**json.loads(sys.argv[2]))
    else:
        main()
