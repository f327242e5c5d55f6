"""The comment is made from two trees of files; git is real, evidence comes from a real eval with scripted models."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from skillforge.errors import NotFound, UsageError
from skillforge.evidencefile import evidence_path
from skillforge.forge.forge import Forge
from skillforge.providers.scripted import Scripted
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, write_skill

TEACHER = Scripted({"sad": {"mood": "bad"}}, name="scripted:teacher", default={"mood": "good"})
STUDENT = Scripted(name="scripted:student", default={"mood": "good"})
MOOD = Skill(
    name="mood",
    description="Tell the mood of a message.",
    input={"text": {"type": "string"}},
    output={"mood": {"enum": ["good", "bad"]}},
    instructions="Say it.",
    prompt="{{ text }}",
)


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def forge(repo: Path, forge_at: Callable[..., Forge], monkeypatch: pytest.MonkeyPatch) -> Forge:
    """A repository in git whose first commit holds the skill."""
    monkeypatch.chdir(repo)
    (repo / ".gitignore").write_text(".skillforge/\n")
    write_skill(MOOD, repo / "skills" / "mood")
    cases = [
        {
            "id": f"m{number}",
            "input": {"text": f"message {number} is {word}"},
            "expected": {"mood": mood},
            "split": "test",
        }
        for number in range(12)
        for word, mood in [(("sad", "bad"), ("fine", "good"))[number % 4 != 0]]
    ]
    (repo / "evals").mkdir()
    (repo / "evals" / "mood.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (repo / "evals" / "mood.yaml").write_text(
        "schema: skillforge/suite/v1\nname: mood\ndecision: {metric: /mood, margin: 0.05}\ncases: file://mood.jsonl\n"
    )
    git(repo, "init", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-m", "first")
    return forge_at(repo, providers={TEACHER.name: TEACHER, STUDENT.name: STUDENT})


def edit(repo: Path, **changes: object) -> None:
    write_skill(read_skill(repo / "skills" / "mood").skill.model_copy(update=changes), repo / "skills" / "mood")


def test_without_a_change_it_says_so_in_one_line(forge):
    comment = forge.repository.pr_comment("main")
    assert comment.startswith("<!-- skillforge pr-comment -->\n## skillforge\n")
    assert "No skill changes" in comment


def test_an_unmeasured_change_is_shown_with_the_command_that_measures_it(forge, repo):
    edit(repo, instructions="Say it.\nOne word.", output={"mood": {"enum": ["good", "bad", "mixed"]}})
    comment = forge.repository.pr_comment("main")
    assert "### `mood` (a draft)" in comment
    assert "- output `mood` changed" in comment
    assert "- instructions: lines added 1, removed 0" in comment
    assert "+One word." in comment
    assert "**Not measured.** `skillforge eval mood --students MODEL`" in comment


def test_a_measured_change_shows_verdict_cases_and_deployment(forge, repo):
    edit(repo, instructions="Say it in one word.")
    report = forge.eval("mood", students=[STUDENT.name], teacher=TEACHER.name)
    lost = next(arm for arm in report.arms if arm.kind == "skill").versus_teacher.lost
    assert lost
    forge.deployments.promote("mood", student=STUDENT.name, accept_risk="only a *trial* | <b>for @us</b>")
    comment = forge.repository.pr_comment("main")
    row = next(line for line in comment.splitlines() if line.startswith("| `scripted:student`"))
    assert "75.0%" in row
    assert row.count("|") == 9
    assert f"{len(lost)} cases lost, 0 won" in comment
    assert all(f"`{case}`" in comment for case in lost)
    deployed = next(line for line in comment.splitlines() if line.startswith("- `production`"))
    assert "nothing → @1 on `scripted:student`" in deployed
    assert "<b>" not in deployed
    assert "@us" not in deployed
    assert re.search(r"risk accepted: only a \\\*trial\\\*", deployed)


def test_evidence_of_a_suite_that_changed_since_is_marked_stale(forge, repo):
    edit(repo, instructions="Say it in one word.")
    forge.eval("mood", students=[STUDENT.name], teacher=TEACHER.name)
    cases = (repo / "evals" / "mood.jsonl").read_text().splitlines()
    (repo / "evals" / "mood.jsonl").write_text("\n".join(cases[:-1]) + "\n")
    assert "stale" in forge.repository.pr_comment("main")


def test_ci_needs_no_registry(forge, repo, forge_at):
    edit(repo, instructions="Say it in one word.")
    forge.eval("mood", students=[STUDENT.name], teacher=TEACHER.name)
    with_one = forge.repository.pr_comment("main")
    forge.close()
    for path in (repo / ".skillforge").glob("registry*"):
        path.unlink()
    assert forge_at(repo).repository.pr_comment("main") == with_one
    assert not (repo / ".skillforge" / "registry.db").exists()


def test_a_removed_and_a_broken_skill_are_said(forge, repo):
    (repo / "skills" / "mood" / "skill.yaml").write_text("schema: nothing\n")
    assert "the file is broken" in forge.repository.pr_comment("main")
    (repo / "skills" / "mood" / "skill.yaml").unlink()
    assert "The skill's file is removed." in forge.repository.pr_comment("main")


def committed(repo: Path) -> None:
    git(repo, "add", "-A")
    git(repo, "commit", "-m", "next")


def measured(forge: Forge, repo: Path) -> Path:
    """A passed and promoted version, committed; its evidence file."""
    edit(repo, instructions="Say it in one word.")
    forge.eval("mood", students=[STUDENT.name], teacher=TEACHER.name)
    forge.deployments.promote("mood", student=STUDENT.name, accept_risk="a trial")
    committed(repo)
    (path,) = (repo / "skills" / "mood" / "evidence").glob("*.json")
    return path


def test_a_history_that_was_changed_in_place_is_told(forge, repo):
    measured(forge, repo)
    lock = repo / "skillforge.lock"
    lock.write_text(lock.read_text().replace(STUDENT.name, "scripted:other"))
    comment = forge.repository.pr_comment("main")
    assert "@1 on `scripted:student` → @1 on `scripted:other`" in comment
    assert "history rewritten" in comment
    body = json.loads(lock.read_text())
    body["skills"]["mood"]["moves"] = []
    lock.write_text(json.dumps(body))
    assert "history rewritten" in forge.repository.pr_comment("main")


def test_a_pull_request_that_mends_the_lock_is_commented(forge, repo):
    measured(forge, repo)
    whole = (repo / "skillforge.lock").read_text()
    (repo / "skillforge.lock").write_text(whole.replace("{", "<<<<<<< HEAD\n{", 1))
    committed(repo)
    (repo / "skillforge.lock").write_text(whole)
    comment = forge.repository.pr_comment("main")
    assert "`skillforge.lock` is broken in the base" in comment
    assert "`production`: nothing → @1" in comment


def test_a_deployment_is_told_beside_a_broken_file(forge, repo):
    measured(forge, repo)
    forge.deployments.remove("mood")
    (repo / "skills" / "mood" / "skill.yaml").write_text("schema: nothing\n")
    comment = forge.repository.pr_comment("main")
    assert "the file is broken" in comment
    assert "→ nothing (remove)" in comment


def test_a_verdict_that_no_evidence_file_holds_is_told(forge, repo):
    edit(repo, instructions="Say it in one word.")
    forge.eval("mood", students=[STUDENT.name], teacher=TEACHER.name)
    move = forge.deployments.promote("mood", student=STUDENT.name, accept_risk="a trial")
    assert move.verdict in ("fail", "inconclusive")
    assert "no evidence file" not in forge.repository.pr_comment("main")
    lock = repo / "skillforge.lock"
    lock.write_text(lock.read_text().replace(f'"verdict": "{move.verdict}"', '"verdict": "pass"'))
    assert "✅ REPLACE on `mood`, ⚠️ but no evidence file says so" in forge.repository.pr_comment("main")


@pytest.mark.parametrize("spoilt", ['"arms": []', '"arms": 1', '"kind": "bare"'])
def test_evidence_that_contradicts_itself_counts_as_not_measured(forge, repo, spoilt):
    path = measured(forge, repo)
    body = json.loads(path.read_text())
    key, value = json.loads("{" + spoilt + "}").popitem()
    report = body["evidence"][0]["report"]
    for target in [report] if key == "arms" else report["arms"]:
        target[key] = value
    path.write_text(json.dumps(body))
    assert "**Not measured.**" in forge.repository.pr_comment("main")


def test_a_students_name_cannot_write_html_mentions_or_references(forge, repo):
    name = 'x:</summary><h1 a="b">ok @us #1 www.evil.example https://evil.example'
    path = measured(forge, repo)
    text = path.read_text().replace(json.dumps(STUDENT.name), json.dumps(name))
    path.unlink()
    evidence_path(repo / "skills" / "mood", name).write_text(text)
    comment = forge.repository.pr_comment("main")
    (summary,) = [line for line in comment.splitlines() if line.startswith("<details><summary>x")]
    assert "<h1" not in summary
    assert not any(word in summary for word in ("@us", "#1", "www.evil", "https://"))


@pytest.mark.parametrize("base", ["origin/nowhere", "nowhere"])
def test_a_base_that_was_not_fetched_is_said_with_the_command_that_fetches_it(forge, base):
    with pytest.raises(NotFound) as caught:
        forge.repository.pr_comment(base)
    assert "git fetch origin nowhere," in caught.value.hint
    assert "--base master" in caught.value.hint


@pytest.mark.parametrize(("base", "error"), [("no-such-branch", NotFound), ("--output=x", UsageError)])
def test_a_base_that_is_no_revision_is_refused(forge, repo, base, error):
    with pytest.raises(error):
        forge.repository.pr_comment(base)
    assert not (repo / "x").exists()


def test_outside_of_git_it_says_what_else_there_is(tmp_path, forge_at):
    (tmp_path / "plain" / ".skillforge").mkdir(parents=True)
    with pytest.raises(UsageError, match="not in a git repository"):
        forge_at(tmp_path / "plain").repository.pr_comment("main")
