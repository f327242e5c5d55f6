"""What people get wrong: every one gives exit code 2, one message with the mending step, and no traceback.

python bench/bad_input.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from _shared import Done, command, environment, finish, print_table, skillforge

SKILL = """\
schema: skillforge/v1
name: greet
description: Greet a person.
input: {who: {type: string}, times: {type: integer, default: 1}}
output: {greeting: {type: string}}
instructions: Greet.
prompt: "{{ who }} {{ times }}"
"""
STUDENT = ("--student", "scripted:model.yaml")
SECRET = "hunter2-the-canary"  # stands in inputs: no message may repeat a whole input


@dataclass(frozen=True)
class Mistake:
    title: str
    args: tuple[str, ...]
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)


def prepare(root: Path) -> None:
    done = skillforge("init", ".", cwd=root)
    assert done.code == 0, done.err
    (root / "skills/greet").mkdir()
    (root / "skills/greet/skill.yaml").write_text(SKILL)
    (root / "model.yaml").write_text("default: {greeting: hello}\n")
    (root / "broken.yaml").write_text("schema: skillforge/v1\nname: [broken\n")
    (root / "notes.txt").write_text("not a model\n")
    (root / "cases.jsonl").write_text('{"input": {"who": "a"}}\n{"input": \n')
    (root / "evals/greet.yaml").write_text("schema: skillforge/suite/v1\nname: greet\ncases: file://greet.jsonl\n")
    (root / "evals/greet.jsonl").write_text('{"input": {"who": "a"}, "expected": {"greeting": "hello"}}\n')
    (root / "evals/odd.yaml").write_text('schema: skillforge/suite/v1\nname: odd\ncases: [{input: {whom: "a"}}]\n')
    (root / "garbage.db").write_bytes(b"this is no database\n" * 100)
    (root / "folder.db").mkdir()
    (root / "locked.db").write_bytes(b"")
    (root / "locked.db").chmod(0o000)


def mistakes() -> list[Mistake]:
    run = ("run", "greet", *STUDENT)
    evaluate = ("eval", "greet", "--students", "scripted:model.yaml", "--teacher", "scripted:model.yaml")
    create = ("create", "Greet a person", "--teacher", "scripted:model.yaml")
    found = [
        Mistake("missing input field", (*run, "-i", "times=2")),
        Mistake("wrong type, -i", (*run, "-i", "who=x", "-i", "times=often")),
        Mistake("unknown local model", ("run", "greet", "--student", "local:smollm3", "-i", "who=x")),
        Mistake("unknown skill", ("run", "great", *STUDENT, "-i", "who=x")),
        Mistake("malformed YAML, run", ("run", "broken.yaml", *STUDENT, "-i", "who=x")),
        Mistake("database is garbage", ("list",), env={"SKILLFORGE_DB": "garbage.db"}),
        Mistake("database is a folder", ("list",), env={"SKILLFORGE_DB": "folder.db"}),
        Mistake("unknown input field", (*run, "-i", "who=x", "-i", f"whom={SECRET}")),
        Mistake("wrong type, JSON", (*run, "-"), b'{"who": 7}'),
        Mistake("-i without =", (*run, "-i", "who")),
        Mistake("no input", run),
        Mistake("two inputs", (*run, "-i", "who=x", "-f", "in.json")),
        Mistake("input file missing", (*run, "-f", "in.json")),
        Mistake("stdin is not JSON", (*run, "-"), b'{"who": '),
        Mistake("stdin is a list", (*run, "-"), b"[1]"),
        Mistake("stdin is empty", (*run, "-")),
        Mistake("stdin is not UTF-8", (*run, "-"), b'{"who": "\xff"}'),
        Mistake("stdin has NaN", (*run, "-"), b'{"who": "x", "times": NaN}'),
        Mistake("stdin, 100,000 deep", (*run, "-"), b'{"who": ' + b"[" * 100_000),
        Mistake("unknown version", ("run", "greet@9", *STUDENT, "-i", "who=x")),
        Mistake("no version at all", ("show", "greet@newest")),
        Mistake("skill file missing", ("run", "skills/none/skill.yaml", *STUDENT, "-i", "who=x")),
        Mistake("malformed YAML, save", ("save", "broken.yaml")),
        Mistake("no model named", ("run", "greet", "-i", "who=x")),
        Mistake("unknown provider", ("run", "greet", "--student", "locl:smollm2-135m", "-i", "who=x")),
        Mistake("a model without provider", ("run", "greet", "--student", "smollm2-135m", "-i", "who=x")),
        Mistake("a text file as local model", ("run", "greet", "--student", "local:./notes.txt", "-i", "who=x")),
        Mistake("script missing", ("run", "greet", "--student", "scripted:none.yaml", "-i", "who=x")),
        Mistake("unknown model, test", ("models", "test", "nope:x")),
        Mistake("unknown model, pull", ("models", "pull", "gpt-9")),
        Mistake("suite missing", (*evaluate, "--suite", "evals/none.yaml")),
        Mistake("suite does not fit the skill", (*evaluate, "--suite", "evals/odd.yaml")),
        Mistake("split missing", (*evaluate, "--split", "dev")),
        Mistake("--limit 0", (*evaluate, "--limit", "0")),
        Mistake("--limit many", (*evaluate, "--limit", "many")),
        Mistake("--student not measured", (*evaluate, "--student", "scripted:other.yaml")),
        Mistake("no recorded teacher", ("eval", "greet", "--students", "scripted:model.yaml")),
        Mistake("not measured yet", ("show", "greet", "--lost")),
        Mistake("create without inputs", create),
        Mistake("create with two kinds of inputs", (*create, "-i", "who=x", "--cases", "cases.jsonl")),
        Mistake("create, case file broken", (*create, "--cases", "cases.jsonl")),
        Mistake("create, task file missing", ("create", "@task.txt", "--teacher", "scripted:model.yaml", "-i", "a=b")),
        Mistake("create, empty task", ("create", "", "--teacher", "scripted:model.yaml", "-i", "a=b")),
        Mistake("create, bad name", (*create, "-i", "who=x", "--name", "No Such Name")),
        Mistake("unknown command", ("evla", "greet")),
        Mistake("unknown option", ("eval", "greet", "--limt", "3")),
        Mistake("missing argument", ("run",)),
        Mistake("database in a file", ("list",), env={"SKILLFORGE_DB": "model.yaml/registry.db"}),
        Mistake("init on a file", ("init", "model.yaml")),
        Mistake("lint nothing", ("lint", "evals")),
    ]
    if os.geteuid() != 0:  # root may read everything
        found.append(Mistake("database not readable", ("list",), env={"SKILLFORGE_DB": "locked.db"}))
    return found


def make(root: Path, mistake: Mistake) -> Done:
    return skillforge(*mistake.args, cwd=root, stdin=mistake.stdin, env=environment(**mistake.env))


def verdict(title: str, done: Done) -> tuple[list[object], list[str]]:
    lines = done.err.splitlines()
    said = next((line for line in lines if line.startswith("error: ")), "")
    hint = next((line for line in lines if line.startswith("  -> ")), "")
    wrong = [
        what
        for bad, what in (
            (done.code != 2, f"exit code {done.code} instead of 2"),
            ("Traceback" in done.err, "a traceback"),
            (not said, "no message"),
            (len([line for line in lines if line.startswith("error: ")]) > 1, "more than one message"),
            (not hint and "(" not in said, "no mending step"),
            (bool(done.out), "something on stdout"),
            (SECRET in done.err, "the input is repeated"),
        )
        if bad
    ]
    row = [title, done.code, said.removeprefix("error: ")[:78], hint.removeprefix("  -> ")[:66]]
    return row, [f"{title}: {', '.join(wrong)}"] if wrong else []


def outside(root: Path) -> Done:
    """A folder that is no repository: nothing is made in it."""
    empty = root.parent / "elsewhere"
    empty.mkdir()
    done = skillforge("list", cwd=empty)
    assert not list(empty.iterdir()), "something was made in a folder that is no repository"
    return done


def full_disk(root: Path) -> Done:
    """As on a full disk: no file may grow beyond 48 KiB, so the registry cannot take a large run."""
    big = '{"who": "%s"}' % ("x" * 200_000)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (49_152, 49_152))

    args = command("run", "greet", *STUDENT, "-")
    done = subprocess.run(
        args, cwd=root, input=big.encode(), env=environment(), capture_output=True, timeout=60, preexec_fn=limit
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode(), 0.0)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "repository"
        root.mkdir()
        prepare(root)
        listed = mistakes()[: int(sys.argv[1]) if len(sys.argv) > 1 else None]
        with ThreadPoolExecutor(2) as pool:
            results = [
                (item.title, done) for item, done in zip(listed, pool.map(partial(make, root), listed), strict=True)
            ]
        results.append(("no repository here", outside(root)))
        results.append(("disk full", full_disk(root)))
        after = skillforge("run", "greet", *STUDENT, "-i", "who=x", cwd=root)
    rows: list[list[object]] = [["mistake", "exit", "message", "what to do"]]
    broken: list[str] = []
    for title, done in results:
        row, wrong = verdict(title, done)
        rows.append(row)
        broken += wrong
    print_table(rows)
    print(f"\n{len(results)} mistakes; a right call after all of them: exit code {after.code}")
    finish(broken if after.code == 0 else [*broken, f"a right call fails afterwards: {after.err}"])


if __name__ == "__main__":
    main()
