"""A subject's texts go everywhere they went: log, cases, labels, recordings, examples, versions, runs, files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import UsageError
from skillforge.forge.forge import Forge
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
