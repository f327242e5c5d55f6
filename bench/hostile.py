"""Hostile skill files through ``skillforge lint``: refused, with the line, in under 2 s, and no connection made.

    python bench/hostile.py [every nth file] [seconds allowed]

What is accepted because it is harmless is shown to be harmless: a lookup that finds keys only, a pattern that takes
exponential time elsewhere.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _shared import Done, finish, print_table, skillforge

LIMIT_S = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
WHOLE_FILE = {"2 MiB"}  # nothing in it is read, so no line is to blame

BASE = """\
schema: skillforge/v1
name: hostile
description: A small skill that something was done to.
input:
  t: {type: string}
  x: {type: object, default: {}}
output:
  a: {type: string}
instructions: Answer.
prompt: "{{ t }} {{ x }}"
"""
TOKEN = "ghp_" + "R7kQ2mVx9LbT4nWc8YdZ1sFhJ6pGe3uA0qXo"  # made up; written in two parts so that scanners do not see one
BOMB = "metadata:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"  {b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def plus(text: str) -> bytes:
    return (BASE + text).encode()


def swap(old: str, new: str) -> bytes:
    assert old in BASE
    return BASE.replace(old, new).encode()


def prompt(source: str) -> bytes:
    return swap('"{{ t }} {{ x }}"', f"'{source}'")


def files(port: int) -> dict[str, bytes]:
    """Name -> content of a skill.yaml that must be refused."""
    remote = f"{{$ref: 'http://127.0.0.1:{port}/schema.json'}}"
    return {
        "alias": plus("metadata: {a: &here x, b: *here}\n"),
        "anchor alone": plus("metadata: {a: &here x}\n"),
        "bomb of aliases (10^9)": plus(BOMB),
        "merge key": plus("metadata: {<<: {a: b}}\n"),
        "tag that runs code": plus('metadata: {a: !!python/object/apply:os.system ["true"]}\n'),
        "harmless tag": plus("metadata: {a: !!str 1}\n"),
        "duplicate key": plus("name: other\n"),
        "duplicate key, inner": plus("limits: {output_tokens: 5, output_tokens: 9}\n"),
        "%YAML directive": b"%YAML 1.1\n---\n" + BASE.encode(),
        "%TAG directive": b"%TAG ! tag:example.com,2000:\n---\n" + BASE.encode(),
        "second document": plus("---\nname: other\n"),
        "5,000 deep, lists": plus("metadata: " + "[" * 5000 + "]" * 5000 + "\n"),
        "5,000 deep, never closed": plus("metadata: " + "{a: " * 5000),
        "5,000 deep, template": prompt("{{ " + "(" * 5000 + "t" + ")" * 5000 + " }}"),
        "5,000 deep, schema": swap("{type: string}\n  x", '{"not": ' * 5000 + "{}" + "}" * 5000 + "\n  x"),
        "NaN": swap("{type: object, default: {}}", "{type: number, default: .nan}"),
        "infinite number": swap("{type: object, default: {}}", "{type: number, default: 1e999}"),
        "2 MiB": plus("metadata: {a: '" + "x" * 2_097_152 + "'}\n"),
        "byte order mark": b"\xef\xbb\xbf" + BASE.encode(),
        "NUL": plus("metadata: {a: 'x\0y'}\n"),
        "not UTF-8": plus("metadata: {a: caf\u00e9}\n").decode().encode("latin-1"),
        "empty": b"",
        "a list, no skill": b"- 1\n",
        "template calls": prompt("{{ t() }}"),
        "template calls a method": prompt('{{ t.format("a") }}'),
        "template calls range": prompt("{% for i in range(9) %}{{ i }}{% endfor %}"),
        "template climbs to a class": prompt('{{ "".__class__.__mro__() }}'),
        "template sets": prompt("{% set a = 1 %}"),
        "template includes": prompt('{% include "/etc/passwd" %}'),
        "template repeats": prompt('{{ "a" * 999999999 }}'),
        "look-around in a check": plus("checks: [{type: regex, path: /a, value: '(?=a)a'}]\n"),
        "back-reference in a check": plus("checks: [{type: regex, path: /a, value: '(a)\\1'}]\n"),
        "look-around in the contract": swap("a: {type: string}", "a: {type: string, pattern: '^(?!b)'}"),
        "remote $ref, input": swap("{type: object, default: {}}", remote),
        "remote $ref, output": swap("a: {type: string}", f"a: {remote}"),
        "$ref to a file": swap("a: {type: string}", "a: {$ref: 'file:///etc/passwd'}"),
        "$ref to itself": swap("a: {type: string}", "a: {$ref: '#/properties/a'}"),
        "hidden text: tag characters": swap("Answer.", "Answer.\U000e0041\U000e0042"),
        "hidden text: right-to-left": swap("Answer.", "Answer \u202eylbarongi\u202c."),
        "hidden text: zero width": swap("Answer.", "Ans\u200bwer."),
        "a secret": swap("Answer.", f"Use {TOKEN}."),
        "unknown key": plus("instruction: x\n"),
        "steps": plus("steps: [{id: a}]\n"),
        "examples outside the folder": plus("examples: {file: ../../etc/passwd}\n"),
        "examples at an absolute path": plus("examples: {file: /etc/passwd}\n"),
        "examples through a link": plus("examples: {file: link.jsonl}\n"),
        "reserved input name": swap("  t: {type", "  loop: {type: string, default: ''}\n  t: {type"),
    }


def lint(folder: Path, content: bytes) -> Done:
    home = folder / "hostile"
    home.mkdir(parents=True)
    (home / "skill.yaml").write_bytes(content)
    (folder / "outside.jsonl").write_text('{"input": {"t": "a"}, "output": {"a": "b"}}\n')
    (home / "link.jsonl").symlink_to(folder / "outside.jsonl")
    return skillforge("lint", str(home / "skill.yaml"), cwd=folder)


def refused(name: str, done: Done) -> tuple[list[object], list[str]]:
    first = done.out.splitlines()[0] if done.out else ""
    line = re.search(r"skill\.yaml:(\d+)", first)
    message = re.sub(r"^error: \S+ ", "", first)
    wrong = [
        what
        for bad, what in (
            (done.code != 1, f"exit code {done.code} instead of 1"),
            (line is None and name not in WHOLE_FILE, "no line named"),
            (done.seconds > LIMIT_S, f"{done.seconds:.2f} s"),
            ("Traceback" in done.err, "a traceback"),
        )
        if bad
    ]
    row = [name, "yes" if done.code == 1 else "NO", line[1] if line else "-", f"{done.seconds:.2f}", message[:72]]
    return row, [f"{name}: {', '.join(wrong)}"] if wrong else []


def key_lookup(source: str, key: str) -> str:
    """A lookup that would find a method in Python finds the key of the input, or nothing."""
    from skillforge.errors import InvalidInput
    from skillforge.template import Template

    template = Template(source, ["x"])
    assert template.render({"x": {key: "mine"}}) == "mine"
    try:
        template.render({"x": {}})
    except InvalidInput:
        return "finds the input's own key, else is refused as missing"
    raise AssertionError(f"{source} found something that is no key")


def catastrophic_pattern(folder: Path) -> tuple[str, float]:
    """``^(a+)+$`` as a check on 100,000 times "a" and a "b": exponential in a backtracking engine."""
    home = folder / "hostile"
    home.mkdir(parents=True)
    check = "checks: [{type: regex, path: /a, value: '^(a+)+$', on_fail: warn}]\n"
    (home / "skill.yaml").write_bytes(plus(check))
    (folder / "student.yaml").write_text(f'default: {{a: "{"a" * 100_000}b"}}\n')
    done = skillforge("init", ".", cwd=folder)
    assert done.code == 0, done.err
    done = skillforge("run", "hostile/skill.yaml", "--student", "scripted:student.yaml", "-i", "t=x", cwd=folder)
    assert "checks 0/1" in done.err, done.err
    return "linear in RE2: does not match, says so", done.seconds


def harmless(folder: Path) -> tuple[list[list[object]], list[str]]:
    rows: list[list[object]] = []
    for source, key in (("{{ x.items }}", "items"), ("{{ x.__class__ }}", "__class__")):
        rows.append([f"template {source}", "accepted", "-", "0.00", key_lookup(source, key)])
    message, seconds = catastrophic_pattern(folder)
    rows.append(["pattern ^(a+)+$ on 100,001 characters", "accepted", "-", f"{seconds:.2f}", message])
    return rows, [f"the pattern took {seconds:.1f} s"] if seconds > LIMIT_S else []


def main() -> None:
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listener:
        root = Path(name)
        step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
        wanted = dict(list(files(listener.getsockname()[1]).items())[::step])
        folders = [root / str(number) for number in range(len(wanted))]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lint, folders, wanted.values()))
        rows: list[list[object]] = []
        broken: list[str] = []
        for title, done in zip(wanted, results, strict=True):
            row, wrong = refused(title, done)
            rows.append(row)
            broken += wrong
        more, wrong = harmless(root / "harmless")
        listener.setblocking(False)
        try:
            listener.accept()
            connections = "one or more"
            broken.append("a remote $ref was fetched")
        except BlockingIOError:
            connections = "none"
    print_table([["file", "refused", "line", "seconds", "what it says"], *rows, *more])
    print(f"\n{len(rows)} refused files, {len(more)} harmless ones; connections seen by the listener: {connections}")
    finish([*broken, *wrong])


if __name__ == "__main__":
    main()
