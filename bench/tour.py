"""From traffic to a deployed skill with a real model: the journey of docs/tour.md, on llama.cpp's HTTP server.

    python -m bench.tour [--pairs 60]

A program with the official SDKs (bench/_tour_agent.py) asks SmolLM2-135M on loopback 300 things of four kinds, wrapped
by one line; then scan, suite from-log, review, create --from-log, eval, promote, and the same program again. The inbox
is that of docs/tour.md, so the right labels are known: they are typed into the review as a person would.

Not measured but set: the server's price (``PRICE``), to show how costs are told. And the teacher answers from a script:
its skill was written beforehand by a strong model, the author of this file. The student is the same SmolLM2 in the
program's own process, with that skill. Whatever verdict comes out is printed. The mails are made of 27 sentences, so
that unseen ones have siblings among the skill's examples: the figures show that the journey works, not how good the
model is at mail. Some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path
from statistics import median, quantiles
from typing import Any

from bench._shared import Done, environment, finish, print_table, skillforge
from skillforge import Forge
from skillforge.errors import NotFound
from skillforge.suitefile import read_suite
from tests.fakes.llama_server import LlamaServer

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "tour.md"
PRICE = "{input = 0.5, output = 2.5}"  # dollars per million tokens; nobody charges it
STUDENT = "local:smollm2-135m"
PLANTED = {"sort": 120, "read": 60, "word": 60, "news": 60}
DESKS = ["order"] * 5 + ["invoice"] * 4 + ["other"] * 3  # of the inbox's ``others``, in their order
LIMIT_S = 900.0
GIT_USER = {f"GIT_{role}_{what}": "tour" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

TEACHER: dict[str, Any] = {
    "name": "sort-mail",
    "description": "Sort one mail to a bicycle shop: repair, order, invoice or other. Use on the shop's inbox.",
    "output": {"label": {"enum": ["invoice", "order", "other", "repair"]}},
    "instructions": "Sort one mail to a bicycle shop.\n"
    "repair: a bike is broken, makes a noise, or shall be looked at on a day.\n"
    "order: the customer wants to buy or get things, or asks where they are.\n"
    "invoice: money was taken, is due back, or needs a paper.\n"
    "other: anything else.",
    "examples": {"ids": "all", "select": "nearest", "k": 6},
    "limits": {"input_tokens": 1500, "output_tokens": 16},
}


class Tour:
    """The steps, in the folder ``root``; ``broken`` collects promises that did not hold."""

    def __init__(self, root: Path, server: LlamaServer) -> None:
        self._root = root
        self._server = server
        self._env = environment(TOUR_KEY=server.key, PYTHONPATH=str(HERE.parent), COLUMNS="160")
        self.broken: list[str] = []

    def prepare(self) -> dict[str, str]:
        """A repository in git with the program in it; the right label of every mail."""
        self.command("init", ".")
        settings = f'[endpoints.box]\nkind = "openai-chat"\nbase_url = "{self._server.url}/v1"\n'
        (self._root / "skillforge.toml").write_text(f'{settings}api_key_env = "TOUR_KEY"\nprice = {PRICE}\n', "utf-8")
        page = re.search(r"^```python file=inbox\.py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        assert page is not None
        (self._root / "inbox.py").write_text(page[1], "utf-8")
        inbox = run_path(str(self._root / "inbox.py"))
        rows = zip(inbox["others"].splitlines(), DESKS, strict=True)
        known = {text.format(thing=thing): desk for text, desk in rows for thing in inbox["things"]}
        labels = {mail: known.get(mail, "repair") for mail in inbox["mails"]}
        (self._root / "inbox.py").write_text(f"{page[1]}\nright = {labels}.get\n", "utf-8")
        shutil.copy(HERE / "_tour_agent.py", self._root / "agent.py")
        for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "The desk")):
            subprocess.run(["git", *words], cwd=self._root, env={**self._env, **GIT_USER}, check=True)
        return labels

    def command(self, *words: str, codes: tuple[int, ...] = (0,), typed: bytes = b"", talk: bool = True) -> Done:
        """Run it and print what it says, without its progress and, without ``talk``, without its stderr."""
        done = self._run(words, codes, typed)
        said = done.out + done.err if talk else done.out
        kept = [line for line in said.replace(f"{self._root}/", "").splitlines() if not line.startswith("measuring ")]
        print(f"\n$ skillforge {' '.join(words)}", *kept, f"exit code {done.code}, {done.seconds:.1f} s", sep="\n")
        return done

    def told(self, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
        """The same as JSON, unprinted."""
        return json.loads(self._run((*words, "--json"), codes, b"").out)

    def _run(self, words: tuple[str, ...], codes: tuple[int, ...], typed: bytes) -> Done:
        done = skillforge(*words, cwd=self._root, stdin=typed, env=self._env, timeout_s=LIMIT_S)
        if done.code not in codes:
            self.broken.append(f"{words[0]}: exit code {done.code}: {done.err[-500:]}")
        return done

    def complete(self, suite: str, labels: set[str]) -> None:
        """Add to the suite's contract the labels that the program could have been answered and never was."""
        path = self._root / "evals" / f"{suite}.yaml"
        text = path.read_text("utf-8")
        seen = re.search(r"label: \{enum: \[(.*?)\]\}", text)
        assert seen is not None
        if missing := labels - set(seen[1].split(", ")):
            path.write_text(text.replace(seen[1], ", ".join(sorted(labels))), "utf-8")
            print(f"\nadded by hand to the contract in evals/{suite}.yaml, never answered so far: {', '.join(missing)}")

    def program(self) -> dict[str, Any]:
        """What the agent tells of itself."""
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "agent.py", self._server.url],
            cwd=self._root,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        print(f"\n$ python agent.py URL\n{done.stdout}{done.stderr[-2000:]}{time.perf_counter() - started:.0f} s")
        if done.returncode:
            raise SystemExit(f"the program failed with exit code {done.returncode}")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def teacher(self, labels: Mapping[str, str], suite: str) -> None:
        """The script of the teacher: its skill, and its answer to each mail that it proves the skill on."""
        found = read_suite(self._root / "evals" / f"{suite}.yaml")
        (field,) = found.cases[0].input
        skill = {**TEACHER, "input": {field: {"type": "string"}}, "prompt": f"{{{{ {field} }}}}"}
        rules: list[dict[str, Any]] = [{"when": {"role": "author"}, "reply": skill}]
        rules += [{"when": {"contains": mail}, "reply": {"label": label}} for mail, label in labels.items()]
        (self._root / "teacher.json").write_text(json.dumps({"answers": rules}), "utf-8")

    def typed(self, suite: str, labels: Mapping[str, str]) -> bytes:
        """What a person writes who knows the right label of every mail, one line each."""
        lines: list[str] = []
        with Forge(self._root) as forge:
            session = forge.traffic.review(suite)
            for case in session.cases:
                (mail,) = case.input.values()
                lines.append(labels[mail])
        return "".join(f"{line}\n" for line in lines).encode()


def overhead(server: LlamaServer, pairs: int) -> list[float]:
    """Median seconds of a short call plain and wrapped; then lower quartile, median, upper quartile of what wrap adds.

    Its prompt is cached before each pair, the order within a pair alternates, and what is wrapped is recorded into a
    repository of its own.
    """
    from openai import OpenAI

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".skillforge").mkdir()
        with Forge(folder) as forge, OpenAI(base_url=f"{server.url}/v1", api_key=server.key) as plain:
            sides = (plain, forge.wrap(plain))
            times: tuple[list[float], list[float]] = ([], [])
            for number in range(pairs):
                turns: Any = [{"role": "user", "content": f"Name {number + 2} things that a bicycle shop sells."}]
                ask = {"model": "smollm2-135m", "messages": turns, "max_tokens": 1, "temperature": 0}
                plain.chat.completions.create(**ask)
                for side in (0, 1) if number % 2 else (1, 0):
                    started = time.perf_counter()
                    sides[side].chat.completions.create(**ask)
                    times[side].append(time.perf_counter() - started)
    return [*map(median, times), *quantiles((b - a for a, b in zip(*times, strict=True)), n=4)]


def journey(tour: Tour, server: LlamaServer, pairs: int) -> list[list[object]]:
    """All steps; the table of what was measured."""
    labels = tour.prepare()
    today = tour.program()
    plain, wrapped, low, added, high = overhead(server, pairs)
    tour.command("scan")
    report = tour.told("scan")
    found = sorted(group["calls"] for group in report["groups"])
    if found != sorted(PLANTED.values()):
        tour.broken.append(f"scan: groups of {found} calls instead of {sorted(PLANTED.values())}")
    suite = str(max(report["groups"], key=lambda item: item["calls"])["name"])
    tour.command("suite", "from-log", suite)
    tour.complete(suite, set(labels.values()))
    tour.command("review", suite, typed=tour.typed(suite, labels), talk=False)
    tour.teacher(labels, suite)
    tour.command("create", "--from-log", suite, "--name", "sort-mail", "--teacher", "scripted:teacher.json")
    promote = ("promote", "sort-mail@1", "--student", STUDENT)
    tour.command(*promote, codes=(2,))  # nothing is measured yet
    verdict = tour.command("eval", "sort-mail", "--students", STUDENT, codes=(0, 1, 3))
    measured = tour.told("eval", "sort-mail", "--students", STUDENT, codes=(verdict.code,))
    tour.command("pr-comment", "--base", "HEAD")
    if tour.command(*promote, codes=(0,) if verdict.code == 0 else (2,)).code:
        tour.command(*promote, "--accept-risk", "a benchmark that goes on whatever the verdict")
    served = tour.program()
    if not served["sorter"].startswith("<skill sort-mail@1"):
        tour.broken.append(f"the second program was served by {served['sorter']}")
    tour.command("cost")
    tour.command("verify")
    runs = [(line["runs"], line["unknown"]) for line in tour.told("cost")["lines"]]
    if runs != [(120, 0), (480, 0)]:
        tour.broken.append(f"cost: (calls, of unknown cost) are {runs} instead of 120 runs and 480 calls")
    return [
        ["measured", "value"],
        ["calls of the program, wrapped", sum(kind["calls"] for kind in today["kinds"].values())],
        *([f"  {name}: median", f"{kind['median_s'] * 1000:.0f} ms"] for name, kind in today["kinds"].items()),
        ["the same short call plain, wrapped", f"{plain * 1000:.1f} ms, {wrapped * 1000:.1f} ms"],
        [
            f"wrap adds to it (median of {pairs} pairs, middle half)",
            f"{added * 1e6:+.0f} µs ({low * 1e6:+.0f} to {high * 1e6:+.0f})",
        ],
        *([f"scan: {group['name']}", f"{group['calls']} calls, {group['kind']}"] for group in report["groups"]),
        ["unseen cases", measured["cases"]],
        *_arms(measured),
        ["mails sorted right: by the program's prompt", f"{today['right']} of 120"],
        ["mails sorted right: by the deployed skill", f"{served['right']} of 120"],
        ["sorting, median: prompt on the server, skill in process", _medians(today, served)],
    ]


def _arms(report: Mapping[str, Any]) -> list[list[object]]:
    arms = (report["teacher"], *report["arms"])
    return [
        *(
            [f"eval: {arm['name']}", f"{100 * arm['quality']:.1f}% right, ${arm['usd_per_1000']:.3g} per 1,000"]
            for arm in arms
        ),
        *(
            [f"verdict for {arm['name']}", arm["versus_teacher"]["verdict"]]
            for arm in report["arms"]
            if arm["kind"] == "skill"
        ),
    ]


def _medians(*passes: Mapping[str, Any]) -> str:
    return ", ".join(f"{told['kinds']['sort']['median_s'] * 1000:.0f} ms" for told in passes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=60, help="pairs of calls that the overhead is measured on")
    args = parser.parse_args()
    started = time.perf_counter()
    try:
        server = LlamaServer(slots=1, n_ctx=4096)
    except NotFound as exc:
        print(f"skipped: {exc}: {exc.hint}")
        return
    with server, tempfile.TemporaryDirectory() as folder:
        tour = Tour(Path(folder).resolve(), server)
        table = journey(tour, server, args.pairs)
    print()
    print_table(table)
    print(f"{time.perf_counter() - started:.0f} s in all")
    finish(tour.broken)


if __name__ == "__main__":
    main()
