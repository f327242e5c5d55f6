"""``create --from-log`` and an eval beside ``today``, as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moods import Cli

from skillforge.forge.forge import Forge

GROUP = "desk"
TEACHER = """\
answers:
  - when: {role: author}
    reply:
      name: any
      description: Routes one ticket.
      input: {ticket: {type: string}}
      output: {label: {enum: [account, billing, bug]}}
      instructions: Choose.
      prompt: "{{ ticket }}"
      examples: {ids: all, select: nearest, k: 2}
"""
RIGHT = """\
  - {when: {contains: invoice}, reply: {label: billing}}
  - {when: {contains: crash}, reply: {label: bug}}
  - {when: {contains: login}, reply: {label: account}}
log: calls.log
"""
WORDS = {"invoice": "billing", "crash": "bug", "login": "account"}


def entry(number: int) -> dict[str, object]:
    word = list(WORDS)[number % 3]
    text = f"Ticket:\n{'abcdefghijklmnopqrstuvwxyz'[number % 26] * 9} {word} {number * 7919} since {number % 13}"
    system = "You are the desk of Acme. Route the ticket to billing, bug or account. Answer with that one word."
    turns = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    choice = {"index": 0, "message": {"role": "assistant", "content": WORDS[word]}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 2000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 1600}}
    answer = {"id": f"c-{number}", "object": "chat.completion", "created": 1790000000 + 3600 * number}
    answer |= {"model": "gpt-6-luna", "choices": [choice], "usage": {**usage, "total_tokens": 2010}}
    return {"request": {"model": "gpt-6-luna", "messages": turns}, "response": answer}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a log, its suite and scripted models; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".skillforge").mkdir()
    price = "price = {input = 2, cached = 0.5, output = 8}"
    (tmp_path / "skillforge.toml").write_text(f'[models."openai:gpt-6-luna"]\n{price}\n')
    (tmp_path / "teacher.yaml").write_text(TEACHER + RIGHT)
    (tmp_path / "right.yaml").write_text("answers:\n" + RIGHT)
    log = tmp_path / "calls.jsonl"
    log.write_text("".join(json.dumps(entry(number)) + "\n" for number in range(120)))
    with Forge(tmp_path) as forge:
        (found,) = forge.traffic.scan([log]).groups
        forge.traffic.suite(found.name, paths=[log], name=GROUP)
        (tmp_path / "group").write_text(found.name)
    return tmp_path


def create(desk: Path, *more: str) -> tuple[str, ...]:
    group = (desk / "group").read_text()
    return ("create", "--from-log", group, "--suite", GROUP, "--teacher", "scripted:teacher.yaml", *more)


def test_a_skill_from_a_log_beside_what_it_replaces(cli: Cli, desk: Path) -> None:
    made = cli(*create(desk))
    assert made.code == 0, made.err
    assert made.out.startswith("desk@1  ")
    assert "answered in the log;" in made.out
    told = cli("eval", "desk", "--students", "scripted:right.yaml", "--teacher", "recorded")
    assert told.code == 3, "no labels, no verdict"
    assert "teacher today (gpt-6-luna)" in told.out
    assert "teacher = today (gpt-6-luna)" in told.out
    assert "today (gpt-6-luna): $4.08 per 1,000 at the list price, $1.68 really paid with its cache hits" in told.out
    assert "right.yaml + skill against it: -100% at the list price, -100% really paid" in told.out
    assert "making it took $0, repaid after 0 calls" in told.out
    both = cli("eval", "desk", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml", "--json")
    (today,) = [arm for arm in both.json["arms"] if arm["kind"] == "today"]
    assert (both.json["today"], today["student"]) == ("today", "today (gpt-6-luna)")
    assert (today["usd_per_1000"], today["list_usd_per_1000"]) == (pytest.approx(1.68), pytest.approx(4.08))
    plain = cli("eval", "desk", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml")
    assert "100.0% agreement" in next(line for line in plain.out.splitlines() if "today (gpt-6-luna)" in line)


def test_a_dry_run_asks_nothing(cli: Cli, desk: Path) -> None:
    told = cli(*create(desk, "--dry-run"))
    assert told.code == 0
    assert "write the skill" in told.out
    assert "solve" not in told.out
    assert not (desk / "calls.log").exists()


def test_json_says_what_was_left_out(cli: Cli, desk: Path) -> None:
    path = desk / "evals" / f"{GROUP}.today.jsonl"
    path.write_text(path.read_text().replace('"text":"bug"', '"stop":"refusal","text":"bug"'))
    told = cli(*create(desk, "--json")).json
    assert told["left_out"] == {"refused": told["unsolved"]}
    assert told["unsolved"] > 0
    again = cli(*create(desk))
    assert f"(left out: {told['unsolved']} refused)" in again.out


@pytest.mark.parametrize(
    "args",
    [
        ("create", "--from-log", "nobody", "--teacher", "scripted:teacher.yaml"),
        ("create", "--from-log", "nobody", "-i", "ticket=x", "--teacher", "scripted:teacher.yaml"),
        ("create", "Route it", "--log", "calls.jsonl", "--teacher", "scripted:teacher.yaml"),
        ("create", "--teacher", "scripted:teacher.yaml"),
        ("create", "--teacher", "scripted:teacher.yaml", "-i", "ticket=x"),
    ],
)
def test_a_mistake_costs_no_call(cli: Cli, desk: Path, args: tuple[str, ...]) -> None:
    told = cli(*args)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert not (desk / "calls.log").exists()


def test_outside_of_a_repository_none_is_made(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    told = cli("create", "--from-log", "x", "--teacher", "scripted:teacher.yaml")
    assert told.code == 2
    assert list(empty.iterdir()) == []
