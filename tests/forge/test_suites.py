from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from skillforge.errors import NotFound, UsageError
from skillforge.forge.suites.from_log import metric_of, suite_name
from skillforge.jsonl import read_jsonl
from skillforge.suitefile import read_suite
from skillforge.today import read_today

SYSTEM = "You sort support tickets of a web shop. Answer with one word: billing, bug or other. Never explain yourself."
LABELS = ["billing"] * 6 + ["bug"] * 3 + ["other"]


def words(number: int) -> str:
    """A text unlike those of other numbers."""
    source = random.Random(number)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8))


def line(number: int, text: str | None = None, answer: str | None = None, **changes) -> dict:
    asked = f"Here is the ticket to sort:\n{words(number) if text is None else text}\nWhich queue does it belong to?"
    message = {"role": "assistant", "content": LABELS[number % 10] if answer is None else answer}
    choice = {"index": 0, "finish_reason": changes.pop("finish", "stop"), "message": message}
    return {
        "request": {
            "model": "gpt-6-luna",
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}],
        },
        "response": {
            "id": f"r{number}",
            "object": "chat.completion",
            "created": 1_790_000_000 + number,
            "model": "gpt-6-luna-2026",
            "choices": [choice],
            "usage": {"prompt_tokens": 80, "completion_tokens": 2, "total_tokens": 82},
        },
        "conversation": f"k{number // 3}",
        **changes,
    }


def log_of(folder: Path, *rows: dict) -> Path:
    path = folder / "calls.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def scanned(repo, forge_at):
    """``scanned(rows, …)``: a Forge that has scanned a log, the log, and the name of the group."""

    def make(*rows: dict, **options):
        log = log_of(repo, *rows)
        said: list[str] = []
        forge = forge_at(repo, say=said.append, **options)
        (group,) = forge.traffic.scan([log]).groups
        return forge, log, group.name, said

    return make


@pytest.fixture
def plain(scanned):
    return scanned(*(line(number) for number in range(120)))


def test_recorded_calls_become_a_suite_that_can_be_read(plain, repo):
    forge, log, group, _ = plain
    made = forge.traffic.suite(group, paths=[log], limit=40)
    suite = read_suite(made.path)
    assert made.path == repo / "evals" / f"{suite_name(group)}.yaml"
    assert (made.cases, made.calls, made.unanswered, made.unfit, made.duplicates, made.alike) == (40, 120, 0, 0, 0, 0)
    assert made.strata == {"billing": 24, "bug": 12, "other": 4}
    assert (suite.decision.metric, suite.decision.margin) == ("/label", 0.05)
    assert suite.contract["output"] == {"label": {"enum": ["billing", "bug", "other"]}}
    assert all(case.expected is None for case in suite.cases)
    (field,) = suite.contract["input"]
    assert {case.input[field] for case in suite.cases} <= {words(number) for number in range(120)}
    assert suite.labels == str(repo / "evals" / f"{suite.name}.labels.jsonl")
    assert f"skillforge review {suite.name}" in made.next_step


def test_what_was_answered_is_the_arm_today(plain):
    forge, log, group, _ = plain
    suite = read_suite(forge.traffic.suite(group, paths=[log], limit=10).path)
    answers = read_today(suite.today)
    assert set(answers) == {case.id for case in suite.cases}
    for answer in answers.values():
        assert answer.output == {"label": answer.text}
        assert (answer.model, answer.stop) == ("gpt-6-luna-2026", "stop")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (80, 2)


def test_conversations_never_straddle_splits(plain):
    forge, log, group, _ = plain
    made = forge.traffic.suite(group, paths=[log], limit=120)
    suite = read_suite(made.path)
    splits: dict[str, set] = {}
    for case in suite.cases:
        splits.setdefault(case.metadata["conversation"], set()).add(case.split)
    assert all(len(found) == 1 for found in splits.values())
    assert made.splits == {"train": 48, "dev": 12, "test": 60}


def test_the_same_log_and_seed_give_the_same_files_in_any_order(plain, repo):
    forge, log, group, _ = plain
    files = [forge.traffic.suite(group, paths=[log], name=name, limit=30).path for name in ("one", "two")]
    log.write_text("".join(reversed(log.read_text().splitlines(keepends=True))))
    files.append(forge.traffic.suite(group, paths=[log], name="three", limit=30).path)
    rows = [path.with_suffix(".jsonl").read_text() for path in files]
    assert rows[0] == rows[1] == rows[2]
    assert read_suite(files[0]).digest() == read_suite(files[2]).digest()
    other = forge.traffic.suite(group, paths=[log], name="four", limit=30, seed=1)
    assert other.path.with_suffix(".jsonl").read_text() != rows[0]


def test_calls_that_ended_early_failed_or_say_the_same_are_left_out(scanned):
    good = [line(number) for number in range(60)]
    cut = [line(number, finish="length") for number in range(100, 103)]
    failed = [{**line(number), "response": {"error": {"message": "no"}}} for number in range(110, 112)]
    empty = [line(120, answer="  ")]
    again = [line(200 + number, text=f" {words(number)}  ", answer=LABELS[number % 10]) for number in range(4)]
    near = [line(300 + number, text=f"{words(number)}!", answer=LABELS[number % 10]) for number in range(5)]
    forge, log, group, _ = scanned(*good, *cut, *failed, *empty, *again, *near)
    made = forge.traffic.suite(group, paths=[log])
    assert (made.calls, made.unanswered, made.duplicates, made.alike) == (75, 6, 4, 5)
    assert made.cases == 60


def test_an_answer_in_another_form_is_still_what_the_program_got(scanned):
    odd = [line(number, answer=f"I cannot say {words(number)}.") for number in range(60, 62)]
    forge, log, group, _ = scanned(*(line(number) for number in range(60)), *odd)
    made = forge.traffic.suite(group, paths=[log])
    assert made.strata["no label"] == 2
    answers = read_today(read_suite(made.path).today).values()
    assert [answer.output for answer in answers if "cannot" in answer.text] == [None, None]


def test_no_secret_reaches_the_files_and_the_mask_takes_out_the_rest(scanned, repo, canary, stored_bytes):
    rows = [line(number, text=f"{words(number)} {canary} Ada Lovelace") for number in range(40)]
    rows = [{**row, "conversation": f"chat of Ada Lovelace {number}"} for number, row in enumerate(rows)]
    forge, log, group, _ = scanned(*rows)
    made = forge.traffic.suite(group, paths=[log], mask=lambda text: text.replace("Ada Lovelace", "[name]"))
    log.unlink()
    written = stored_bytes(repo / "evals")
    assert canary.encode() not in written
    assert b"Lovelace" not in written
    assert b"[name]" in written
    assert made.cases == 40


def test_a_mask_that_fails_writes_nothing(plain, repo):
    forge, log, group, _ = plain

    def broken(text: str) -> str:
        raise UsageError("broken")

    with pytest.raises(UsageError, match="broken"):
        forge.traffic.suite(group, paths=[log], mask=broken)
    assert not (repo / "evals").exists()


def test_a_suite_is_frozen(plain, repo):
    forge, log, group, _ = plain
    forge.traffic.suite(group, paths=[log], name="triage", limit=10)
    before = {path.name: path.read_bytes() for path in (repo / "evals").iterdir()}
    with pytest.raises(UsageError, match=r"evals/triage\.yaml exists, and a suite is frozen") as caught:
        forge.traffic.suite(group, paths=[log], name="triage", limit=20)
    assert "--name" in caught.value.hint
    assert {path.name: path.read_bytes() for path in (repo / "evals").iterdir()} == before


def test_what_a_killed_start_left_is_finished_and_anything_else_is_kept(plain, repo):
    forge, log, group, _ = plain
    made = forge.traffic.suite(group, paths=[log], name="triage", limit=10)
    made.path.unlink()  # it is written last
    assert forge.traffic.suite(group, paths=[log], name="triage", limit=10).cases == 10
    made.path.unlink()
    (repo / "evals" / "triage.jsonl").write_text("somebody's\n")
    with pytest.raises(UsageError, match=r"triage\.jsonl exists already"):
        forge.traffic.suite(group, paths=[log], name="triage", limit=10)
    assert (repo / "evals" / "triage.jsonl").read_text() == "somebody's\n"
    assert not made.path.exists()


def test_cases_may_go_outside_of_the_repository(plain, repo, tmp_path):
    forge, log, group, _ = plain
    outside = tmp_path / "vault" / "triage.jsonl"
    made = forge.traffic.suite(group, paths=[log], name="triage", limit=10, cases=f"file://{outside}")
    assert [path.name for path in (repo / "evals").iterdir()] == ["triage.yaml"]
    assert sorted(path.name for path in outside.parent.iterdir()) == ["triage.jsonl", "triage.today.jsonl"]
    suite = read_suite(made.path)
    assert len(suite.cases) == 10
    assert suite.labels == str(outside.parent / "triage.labels.jsonl")
    assert len(read_today(suite.today)) == 10
    assert words(0)[:20] not in made.path.read_text()


@pytest.mark.parametrize(
    ("named", "part"),
    [
        ({"cases": "https://host/x.jsonl"}, "must start with file://"),
        ({"cases": "s3://bucket/folder/"}, "must end in .jsonl"),
        ({"name": "De mo"}, "is no suite's name"),
        ({"name": "../x"}, "is no suite's name"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_written(plain, repo, named, part):
    forge, log, group, _ = plain
    with pytest.raises(UsageError, match=part):
        forge.traffic.suite(group, paths=[log], **named)
    assert not (repo / "evals").exists()


def test_an_unknown_group_is_not_found(plain):
    forge, log, _, _ = plain
    with pytest.raises(NotFound):
        forge.traffic.suite("nothing", paths=[log])


def test_stored_calls_do_without_their_texts_only_with_a_clear_error(plain, repo, monkeypatch):
    forge, _, group, _ = plain
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    with pytest.raises(UsageError, match=r"hold no texts \(store_io = none\)") as caught:
        forge.traffic.suite(group)
    assert f"suite from-log {group} LOGS" in caught.value.hint


def test_stored_calls_are_taken_where_no_log_is_named(plain):
    forge, log, group, _ = plain
    with pytest.raises(UsageError, match="none of the calls belongs to"):
        forge.traffic.suite(group)
    forge.traffic.import_logs([log])
    assert forge.traffic.suite(group, limit=10).cases == 10


def test_too_few_conversations_for_splits_are_said(scanned):
    forge, log, group, said = scanned(*({**line(number), "conversation": "one"} for number in range(40)))
    made = forge.traffic.suite(group, paths=[log])
    assert made.splits == {"train": 0, "dev": 0, "test": 40}
    assert any("no case is in train or dev" in text for text in said)


def test_cases_are_found_again_by_their_call(plain):
    forge, log, group, _ = plain
    made = forge.traffic.suite(group, paths=[log], limit=5)
    for _, row in read_jsonl(made.path.with_suffix(".jsonl")):
        assert set(row["metadata"]) == {"call", "conversation", "at"}


@pytest.mark.parametrize(
    ("output", "metric"),
    [
        ("text", "exact"),
        ({"a/b": {"enum": ["x"]}, "c": {"type": "string"}}, "/a~1b"),
        ({"a": {"enum": ["x"]}, "b": {"enum": ["y"]}}, "fields"),
        ({"a": {"type": "string"}}, "fields"),
    ],
)
def test_the_metric_follows_from_the_contract(output, metric):
    assert metric_of(output) == metric


def test_a_groups_name_becomes_a_suites_name():
    assert suite_name("Sort Tickets (v2)") == "sort-tickets-v2"
    assert suite_name("…") == "recorded"


def test_the_same_inputs_are_the_same_cases_in_the_same_splits_whatever_their_calls_are_called(scanned):
    rows = [line(number) for number in range(60)]
    again = [{**row, "response": {**row["response"], "id": f"other-{row['response']['id']}"}} for row in rows]
    found = []
    for name, calls in (("first", rows), ("second", again[::-1])):
        forge, log, group, _ = scanned(*calls)
        made = forge.traffic.suite(group, paths=[log], name=name)
        found.append({case.id: (case.input, case.split) for case in read_suite(Path(made.path)).cases})
    assert found[0] == found[1]


def test_a_secret_that_its_label_tells_is_no_case_where_calls_are_kept_in_full(scanned, repo, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "full")
    secret = "hunter2Zq81xP"
    rows = (line(number, text=f"{words(number)}\nPassword: {secret}{number}") for number in range(60))
    forge, log, group, _ = scanned(*rows)
    forge.traffic.import_logs([log])
    made = forge.traffic.suite(group)
    assert made.cases > 20
    assert all(secret not in path.read_text() for path in made.path.parent.iterdir())
