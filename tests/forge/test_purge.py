"""A subject's texts go everywhere they went: log, cases, labels, recordings, examples, versions, runs, files."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import StoreError, UsageError
from skillforge.forge.erase.concern import Concern
from skillforge.forge.forge import Forge
from skillforge.forge.session import Terms
from skillforge.providers.scripted import Scripted
from skillforge.skill import Example, Examples, Skill
from skillforge.skillfile import write_skill

THEIRS = "My son Anselm Quittenbaum lost his ticket in Zwickau"
SUBJECT = "customer-4711"
OPENINGS = ["Please send", "We never got the", "Where are", "I ordered", "Who baked", "Cancel", "All", "Do you sell"]
THINGS = ["buns by noon", "of those rolls?", "cakes, one stale", "teas for Friday", "loaves of rye"]
STUDENT = Scripted(name="scripted:small", default={"kind": "question"})


def pair(number: int, text: str, subject: str) -> dict[str, Any]:
    return {
        "id": f"call-{number}",
        "request": {
            "model": "claude-opus-5-5",
            "max_tokens": 20,
            "system": "Say what kind of message this is: order, question or complaint. Answer with the one word.",
            "messages": [{"role": "user", "content": f"Message:\n{text}"}],
        },
        "response": {
            "id": f"msg-{number}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
            "content": [{"type": "text", "text": ("order", "question", "complaint")[number % 3]}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 40, "output_tokens": 1},
        },
        "subject": subject,
        "timestamp": f"2026-11-{1 + number % 20:02}T10:00:00Z",
    }


@pytest.fixture
def lived(repo: Path, forge_at: Callable[..., Forge], monkeypatch: pytest.MonkeyPatch) -> Forge:
    """A repository in which the subject's message went everywhere it can go; the current folder."""
    monkeypatch.chdir(repo)
    log = repo / "log.jsonl"
    texts = [f"{OPENINGS[number % 8]} {number} {THINGS[number // 8]}" for number in range(40)] + [THEIRS]
    subjects = [f"customer-{number}" for number in range(40)] + [SUBJECT]
    rows = [pair(number, *item) for number, item in enumerate(zip(texts, subjects, strict=True))]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    forge = forge_at(repo, providers={STUDENT.name: STUDENT})
    forge.traffic.import_logs([log])
    log.unlink()
    (group,) = [group for group in forge.traffic.scan().groups if group.calls == 41]
    made = forge.traffic.suite(group.id, name="desk")
    cases = [json.loads(line) for line in (repo / "evals" / "desk.jsonl").read_text().splitlines()]
    (theirs,) = [case for case in cases if THEIRS in json.dumps(case)]
    (field,) = theirs["input"]
    (repo / "evals" / "desk.labels.jsonl").write_text(
        "".join(json.dumps({"id": case["id"], "expected": {"kind": "question"}, "by": "ana"}) + "\n" for case in cases)
    )
    skill = Skill(
        name="desk",
        description="Say what kind of message it is.",
        input={field: {"type": "string"}},
        output={"kind": {"enum": ["order", "question", "complaint"]}},
        instructions="Say what it is.",
        prompt="{{ " + field + " }}",
        examples=Examples(
            items=(
                Example(id=theirs["id"], input=theirs["input"], output={"kind": "complaint"}),
                Example(id="other", input={field: "What does the tea cost here?"}, output={"kind": "question"}),
            )
        ),
    )
    write_skill(skill, repo / "skills" / "desk")
    assert made.cases == 41
    forge.run("skills/desk", {field: THEIRS}, student=STUDENT.name)
    forge.run("skills/desk", {field: "Is it late for tea?"}, student=STUDENT.name, tags={"subject": SUBJECT})
    return forge


def holding(root: Path, text: str) -> list[str]:
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    )


def test_afterwards_the_subjects_text_is_found_nowhere(lived, repo):
    before = holding(repo, "Quittenbaum")
    assert {"evals/desk.jsonl", "skills/desk/skill.yaml"} <= set(before)
    assert any("registry.db" in name for name in before)
    done = lived.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert holding(repo, "Quittenbaum") == holding(repo, "Is it late for tea?") == []
    assert holding(repo, SUBJECT) == []
    assert (done.rows["calls"], done.rows["runs"], done.rows["versions"]) == (1, 2, 1)
    assert done.lines["evals/desk.labels.jsonl"] == done.lines["evals/desk.today.jsonl"] == 1
    assert lived.repository.verify() == []


def test_what_is_others_stays(lived, repo):
    lived.repository.purge(subject=SUBJECT)
    cases = (repo / "evals" / "desk.jsonl").read_text().splitlines()
    assert len(cases) == len((repo / "evals" / "desk.labels.jsonl").read_text().splitlines()) == 40
    version = lived.show("skills/desk")
    assert [example.id for example in version.skill.examples.items] == ["other"]
    assert version.version == 2  # the number of what is gone stays taken
    with pytest.raises(UsageError, match="deleted"):
        lived.show("desk@1")


def test_a_dry_run_says_the_same_and_changes_nothing(lived, repo):
    before = {path: path.read_bytes() for path in repo.rglob("*") if path.is_file() and "registry" not in path.name}
    planned = lived.repository.purge(subject=SUBJECT, dry_run=True)
    assert {path: path.read_bytes() for path in before} == before
    done = lived.repository.purge(subject=SUBJECT)
    assert (planned.rows, planned.lines, planned.files) == (done.rows, done.lines, done.files)


def test_a_deployed_version_is_left_and_said_until_another_one_is_promoted(lived, repo):
    lived.deployments.promote("skills/desk", student=STUDENT.name, accept_risk="a test")
    done = lived.repository.purge(subject=SUBJECT)
    assert done.deployed == ("desk@1 (production)",)
    assert not done.whole
    assert (done.rows, done.lines) == ({}, {"skills/desk/skill.yaml": 1})
    assert lived.skill("desk").version.version == 1  # still answers
    lived.deployments.promote("skills/desk", student=STUDENT.name, accept_risk="without them")
    again = lived.repository.purge(subject=SUBJECT)
    assert again.whole, again
    assert holding(repo, "Quittenbaum") == []
    assert lived.repository.verify() == []
    assert lived.repository.sync(check=True).exit_code == 0


def test_what_still_holds_a_text_is_named(lived, repo):
    (repo / "notes.md").write_text(f"We had this one: {THEIRS}\n")
    done = lived.repository.purge(subject=SUBJECT)
    assert done.remaining == ("notes.md",)


def test_cases_outside_of_the_repository_are_reached_and_those_in_a_store_are_named(lived, repo, tmp_path_factory):
    outside = tmp_path_factory.mktemp("private") / "cases-of-the-desk.jsonl"
    (repo / "evals" / "desk.jsonl").rename(outside)
    suite = repo / "evals" / "desk.yaml"
    suite.write_text(suite.read_text().replace("file://desk.jsonl", f"file://{outside}"))
    (repo / "evals" / "far.yaml").write_text("schema: skillforge/suite/v1\nname: far\ncases: s3://bucket/far.jsonl\n")
    done = lived.repository.purge(subject=SUBJECT)
    assert (done.lines[str(outside)], done.lines["evals/desk.labels.jsonl"]) == (1, 1)
    assert "Quittenbaum" not in outside.read_text()
    assert done.remaining == ("s3://bucket/far.jsonl (not looked at)",)


def test_a_new_process_finds_the_subject_gone_too(lived, repo, forge_at):
    lived.repository.purge(subject=SUBJECT)
    lived.close()
    fresh = forge_at(repo)
    assert fresh.show("skills/desk").version == 2
    assert fresh.repository.purge(subject=SUBJECT).rows == {}


KILLED = """
    import os, signal, sys, threading
    from pathlib import Path
    from skillforge.forge.forge import Forge
    root, die_at, count = Path(sys.argv[1]), int(sys.argv[2]), 0
    FILES = ("purge.py", "purge_files.py", "erasure.py", "atomicfile.py", "database.py")

    def line(frame, event, arg):
        global count
        count += event == "line"
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame, event, arg):
        return line if frame.f_code.co_filename.endswith(FILES) else None

    with Forge(root) as forge:
        threading.settrace(call)
        forge.repository.purge(subject="customer-4711")
    print(count)
"""


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_purge_that_was_killed_finds_the_rest_again(lived, repo, forge_at, tmp_path_factory, share):
    """A case names the subject, runs and labels only hold their text: who they are goes last."""
    lived.repository.purge(older_than_s=0)
    (field,) = lived.show("skills/desk").skill.input
    lived.run("skills/desk", {field: THEIRS}, student=STUDENT.name)
    lived.close()
    shutil.copytree(repo, whole := tmp_path_factory.mktemp("whole") / "repo")

    def run(root: Path, die_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(root), str(die_at)]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)

    done = run(whole, -1)
    assert done.returncode == 0, done.stderr
    assert run(repo, int(int(done.stdout) * share)).returncode == -signal.SIGKILL
    assert forge_at(repo).repository.purge(subject=SUBJECT).whole
    assert holding(repo, "Quittenbaum") == []


def test_a_clone_without_a_database_does_not_lose_what_is_deployed(lived, repo, forge_at):
    lived.deployments.promote("skills/desk", student=STUDENT.name, accept_risk="a test")
    lived.close()
    for path in (repo / ".skillforge").glob("registry*"):
        path.unlink()
    forge = forge_at(repo, providers={STUDENT.name: STUDENT})
    assert forge.repository.purge(subject=SUBJECT).deployed == ("desk@1 (production)",)
    assert forge.skill("desk").version.version == 1
    forge.deployments.remove("desk")
    for path in (repo / ".skillforge").glob("registry*"):
        path.unlink()
    assert forge_at(repo).repository.purge(subject=SUBJECT).files == ("skills/desk/deployed/1.json",)
    assert forge_at(repo).repository.verify() == []


def test_a_choice_that_a_contract_offers_is_nobodys(lived, repo):
    skill = lived.show("skills/desk").skill
    choice = {"enum": ["wholesale and retail", "private customers"], "default": "private customers"}
    skill = skill.model_copy(
        update={"name": "shop", "input": {**skill.input, "trade": choice}, "examples": Examples(), "suite": None}
    )
    write_skill(skill, repo / "skills" / "shop")
    (field,) = lived.show("skills/desk").skill.input
    for text, tags in ((THEIRS, {"subject": SUBJECT}), ("Is the shop open?", {})):
        given = {field: text, "trade": "wholesale and retail"}
        lived.run("skills/shop", given, student=STUDENT.name, tags=tags)
    done = lived.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert (lived.show("shop@1").digest, done.rows["versions"]) == (skill.digest(), 1)
    assert done.rows["runs"] == 3  # theirs alone


def test_while_another_process_reads_the_database_it_is_an_error_and_the_next_purge_goes_on(lived, repo, monkeypatch):
    from skillforge.store import database

    monkeypatch.setattr(database, "BUSY_MS", 100)
    lived.close()
    reader = sqlite3.connect(repo / ".skillforge" / "registry.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (41,)
    (repo / "notes.md").write_text(THEIRS)
    with pytest.raises(StoreError, match="another process reads"):
        lived.repository.purge(subject=SUBJECT)
    assert "Quittenbaum" not in (repo / "evals" / "desk.labels.jsonl").read_text()
    reader.close()
    assert lived.repository.purge(subject=SUBJECT).remaining == ("notes.md",)
    assert holding(repo, "Quittenbaum") == ["notes.md"]


def test_recordings_and_logs_in_any_folder_are_reached(lived, repo):
    (field,) = lived.show("skills/desk").skill.input
    lived.run("skills/desk", {field: THEIRS}, student=STUDENT.name, terms=Terms(record=repo / "rec"))
    rows = [{**pair(1, THEIRS, ""), "subject": SUBJECT}, {}, {"id": "call-2"}]
    del rows[0]["id"]
    (repo / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    aside = repo / ".skillforge" / "failed" / "desk"
    aside.mkdir(parents=True)
    (aside / "skill.yaml").write_text(f"instructions: {THEIRS}\n")
    done = lived.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert (repo / "log.jsonl").read_text() == '{}\n{"id": "call-2"}\n'
    assert holding(repo, "Quittenbaum") == []


def test_cases_behind_a_link_are_reached(lived, repo, tmp_path_factory):
    private = tmp_path_factory.mktemp("private") / "evals"
    (repo / "evals").rename(private)
    (repo / "evals").symlink_to(private)
    assert lived.repository.purge(subject=SUBJECT).whole
    assert holding(private, "Quittenbaum") == []


def test_a_text_is_found_however_it_is_escaped_and_its_lines_are_broken(lived, repo):
    (field,) = lived.show("skills/desk").skill.input
    text = 'Zürich "näht"\nzwei / \U0001f600 Quark'
    lived.run("skills/desk", {field: text}, student=STUDENT.name, tags={"subject": SUBJECT})
    rows = [json.dumps({"input": {field: f"so: {text}"}}, ensure_ascii=ascii_only) for ascii_only in (True, False)]
    rows.append(rows[0].replace("\\u00fc", "\\u00FC").replace("/", "\\/"))
    (repo / "evals" / "more.jsonl").write_text("".join(f"{row}\n" for row in rows))
    skill = lived.show("skills/desk").skill
    write_skill(skill.model_copy(update={"instructions": f"Say what it is.\n{text}\n"}), repo / "skills" / "desk")
    done = lived.repository.purge(subject=SUBJECT)
    assert done.lines["evals/more.jsonl"] == 3
    assert done.remaining == ("skills/desk/skill.yaml",)


def test_the_same_few_words_of_another_subject_stay(lived, repo):
    (field,) = lived.show("skills/desk").skill.input
    cases = [{"id": f"c{number}", "input": {field: "hi"}, "metadata": {"subject": f"u{number}"}} for number in (1, 2)]
    (repo / "evals" / "short.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    for tags in ({"subject": "u1"}, {"subject": "u2"}, {}):
        lived.run("skills/desk", {field: "hi"}, student=STUDENT.name, tags=tags)
    done = lived.repository.purge(subject="u1")
    assert (done.rows, done.lines) == ({"runs": 2}, {"evals/short.jsonl": 1})


def test_a_text_in_the_reason_of_a_deletion_goes_too(lived, repo):
    lived.repository.delete("desk@1", reason=f"it holds: {THEIRS}")
    assert lived.repository.purge(subject=SUBJECT).rows["tombstones"] == 1
    assert holding(repo, "Quittenbaum") == []
    with pytest.raises(UsageError, match="deleted"):
        lived.show("desk@1")


def test_age_takes_the_log_and_leaves_what_is_reviewed(lived, repo):
    aside = repo / ".skillforge" / "quarantine"
    aside.mkdir(exist_ok=True)
    (aside / "old.jsonl").write_text("{}\n")
    time.sleep(0.002)
    done = lived.repository.purge(older_than_s=0)
    assert (done.rows["calls"], done.rows["runs"]) == (41, 2)
    assert done.files == (".skillforge/quarantine/old.jsonl",)
    assert THEIRS in (repo / "evals" / "desk.jsonl").read_text()
    assert lived.show("skills/desk").version == 1
    assert lived.repository.purge(older_than_s=0).rows == {}


def test_neither_or_both_is_refused(lived):
    for options in ({}, {"older_than_s": 1.0, "subject": "x"}):
        with pytest.raises(UsageError, match="an age or a subject"):
            lived.repository.purge(**options)


def test_the_lines_of_others_stay_in_a_log_whose_rows_have_no_id(lived, repo):
    """As it is imported: the subject at the top, three calls of each, one prompt for all."""
    rows = []
    for number in range(126):
        guest = f"guest-{number // 3}@example.org"
        row = pair(number, f"{OPENINGS[number % 8]} {number} {THINGS[number % 5]}", guest)
        del row["id"]
        rows.append({**row, "conversation": f"mail-{number // 3}"})
    log = repo / "calls.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    events = [{"subject": f"guest-{number}@example.org", "event": "login"} for number in (9, 7, 9, 77)]
    (repo / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in events))
    lived.traffic.import_logs([log])
    for subject in ("guest-7@example.org", "mail-1"):  # and not mail-10
        done = lived.repository.purge(subject=subject)
        assert (done.rows["calls"], done.lines["calls.jsonl"], done.whole) == (3, 3, True)
    kept = [json.loads(line) for line in log.read_text().splitlines()]
    assert kept == [row for row in rows if row["subject"] not in ("guest-7@example.org", "guest-1@example.org")]
    assert (repo / "events.jsonl").read_text().count("\n") == 3
    assert lived.repository.purge(subject="guest-9@example.org").lines["events.jsonl"] == 2
    assert json.loads((repo / "events.jsonl").read_text())["subject"] == "guest-77@example.org"


SHOWN = "Here is one that was sorted: Two scones for noon"


def conversation(number: int, opening: str, subject: str) -> dict[str, Any]:
    """A call of no group, whose first turn everybody's has."""
    call = pair(number, f"{opening} {number} of whatever there is", subject)
    turns = [{"role": "user", "content": SHOWN}, {"role": "assistant", "content": "That is an order, I would say"}]
    call["request"]["messages"][:0] = turns
    call["request"]["system"] = ""
    return call


def test_what_others_said_too_is_not_the_subjects(lived, repo):
    rows = [conversation(100 + number, f"Thing {number}:", f"guest-{number:03}") for number in range(10)]
    log = repo / "shown.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lived.traffic.import_logs([log])
    for scanned in (False, True):
        if scanned:
            lived.traffic.scan()
        done = lived.repository.purge(subject=f"guest-00{int(scanned)}")
        assert (done.rows["calls"], done.lines["shown.jsonl"], done.whole) == (1, 1, True)
        assert scanned or done.shared == 1
    assert log.read_text().count(SHOWN) == 8


def test_a_phrase_of_many_and_a_constant_field_are_nobodys(lived, repo):
    (field,) = lived.show("skills/desk").skill.input
    phrase, policy = "Thank you very much indeed", "Always be polite to whoever writes to us"
    cases = [
        {"id": f"q{number}", "input": {field: f"{number}? {phrase}!"}, "metadata": {"subject": f"person-{number}"}}
        for number in range(5)
    ]
    cases += [{"id": f"n{number}", "input": {field: f"{number}?", "policy": policy}} for number in range(30)]
    theirs = {"id": "t", "input": {field: phrase, "policy": policy}, "metadata": {"subject": SUBJECT}}
    path = repo / "evals" / "more.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in [*cases, theirs]))
    done = lived.repository.purge(subject=SUBJECT)
    assert (done.lines["evals/more.jsonl"], done.shared) == (1, 2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == cases


def test_a_text_that_somebody_quotes_goes_with_the_line_that_quotes_it(lived, repo):
    row = {"subject": "clerk-0815", "input": {"note": f"They wrote: {THEIRS}!"}}
    (repo / "notes.jsonl").write_text(json.dumps(row) + "\n")
    assert lived.repository.purge(subject=SUBJECT).lines["notes.jsonl"] == 1
    assert holding(repo, "Quittenbaum") == []


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("guest-7", True),
        ("by guest-7.", True),
        ("(guest-7)", True),
        ("conv:guest-7/2", True),
        (r"first\nguest-7", True),
        ("q=a%20guest-7&b", True),
        ("über guest-7…", True),
        ("guest-70", False),
        ("guest-7@example.org", False),
        ("guest-7%40example.org", False),
        ("guest-7-11", False),
        ("vip-guest-7", False),
        ("xguest-7", False),
        ("guest-70 and guest-7", True),
    ],
)
def test_an_id_is_found_as_a_whole_only(text, is_named):
    assert Concern("guest-7").in_text(text) is is_named
