"""Promoting, rolling back and resolving: what is deployed stands in files, and only with proof."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.engine import frame
from skillforge.errors import NotFound, NotPromoted, PromotionRefused, SecretFound, SkillFileError, UsageError
from skillforge.lockfile import lock_path, read_lock
from skillforge.messages import Request

STUDENT, TEACHER, OTHER = "scripted:s", "scripted:t", "scripted:o"
ASK = {"ticket": "I was charged twice"}
SUITE = """\
schema: skillforge/suite/v1
name: ticket-triage
decision: {metric: /queue, margin: 0.2}
cases:
"""
RISK = "a pilot with one team"

Opened = Callable[..., Forge]


def right(request: Request) -> Any:
    return {"queue": "bug" if "crash" in json.dumps(request.key.input) else "billing", "quote": "x"}


def write_suite(root: Path, count: int = 40, extra: str = "") -> None:
    rows = [
        f"  - {{id: c{n}, split: test, input: {{ticket: {word} {n}{extra}}}, expected: {{queue: {queue}, quote: x}}}}\n"
        for n in range(count)
        for word, queue in [("crash", "bug") if n % 2 else ("charged", "billing")]
    ]
    rows.append("  - {id: train, split: train, input: {ticket: other}}\n")
    (root / "evals").mkdir(exist_ok=True)
    (root / "evals" / "ticket-triage.yaml").write_text(SUITE + "".join(rows))


@pytest.fixture
def opened(repo: Path, skill_in: Any) -> Iterator[Opened]:
    """Opens Forges on the repository with the skill, its suite and scripted models."""
    skill_in(repo)
    write_suite(repo)
    made: list[Forge] = []

    def open_one(root: Path = repo, *, student: Any = right, **options: Any) -> Forge:
        models = {STUDENT: student, TEACHER: right, OTHER: right}
        providers = {name: Scripted(default=answer, name=name) for name, answer in models.items()}
        made.append(Forge(root, providers=providers, **options))
        return made[-1]

    yield open_one
    for forge in made:
        forge.close()


@pytest.fixture
def promoted(opened: Opened) -> Forge:
    """A Forge with the skill measured and promoted to production."""
    forge = opened()
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    forge.deployments.promote("ticket-triage", student=STUDENT)
    return forge


def reasons(forge: Forge, ref: str = "ticket-triage", student: str = STUDENT, **more: Any) -> str:
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote(ref, student=student, **more)
    assert str(caught.value).count("\n  - ") == len(caught.value.reasons)
    return "\n".join(caught.value.reasons)


def clone(repo: Path, target: Path) -> Path:
    """What git would hold: everything but the state folder's database."""
    shutil.copytree(repo, target, ignore=shutil.ignore_patterns(".skillforge"))
    return target


# promoting


def test_a_fresh_pass_is_promoted_and_the_move_says_on_what_grounds(promoted, repo):
    (move,) = promoted.deployments.history("ticket-triage")
    version = promoted.show("ticket-triage@1")
    assert (move.action, move.alias, move.version, move.digest) == ("promote", "production", 1, version.digest)
    assert (move.student, move.verdict, move.suite, move.accepted_risk) == (STUDENT, "pass", "ticket-triage", "")
    assert move.suite_digest.startswith("sha256:")
    assert read_lock(repo).skill("ticket-triage").versions == {1: version.digest}
    snapshot = json.loads((repo / "skills/ticket-triage/deployed/1.json").read_text("utf-8"))
    assert (snapshot["schema"], snapshot["version"]) == ("skillforge/deployed/v1", 1)
    assert len(snapshot["skill"]["examples"]["items"]) == 2


def test_who_promoted_is_the_user_of_git(promoted, repo):
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    subprocess.run(["git", "-C", str(repo), "config", "user.name", "Ada \x1b[31mL"], check=True)
    move = promoted.deployments.promote("ticket-triage", student=OTHER, accept_risk=RISK)
    assert move.by == "Ada [31mL"


def test_what_was_never_measured_is_refused(opened):
    forge = opened()
    told = reasons(forge)
    assert told == f"ticket-triage@1 with {STUDENT} was never measured on the suite ticket-triage"
    assert not lock_path(forge.root).exists()
    assert not (forge.root / "skills/ticket-triage/deployed").exists()


def test_another_student_and_another_version_are_not_proven(promoted, repo, skill_in):
    assert f"with {OTHER} was never measured" in reasons(promoted, student=OTHER)
    skill_in(repo, instructions="Changed.")
    told = reasons(promoted)
    assert f"ticket-triage@2 with {STUDENT} was never measured" in told
    assert "another version of it was" in told


@pytest.mark.parametrize(("margin", "verdict"), [(0.2, "fail"), (0.5, "inconclusive")])
def test_a_verdict_other_than_pass_is_refused_with_its_figures(opened, repo, margin, verdict):
    def half(request: Request) -> Any:
        return {"queue": "billing", "quote": "x"}

    suite = repo / "evals/ticket-triage.yaml"
    suite.write_text(suite.read_text().replace("margin: 0.2", f"margin: {margin}"))
    forge = opened(student=half)
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    told = reasons(forge)
    assert f"is {verdict}, 50.0% right, the teacher 100.0%, at most " in told
    assert "40 cases" in told


def test_a_suite_that_changed_since_is_refused(promoted, repo):
    write_suite(repo, extra="!")
    promoted.deployments.remove("ticket-triage")
    assert "the cases or the rule of the suite ticket-triage changed since" in reasons(promoted)


def test_another_suite_must_be_passed_itself(promoted, repo):
    other = repo / "evals/other.yaml"
    other.write_text((repo / "evals/ticket-triage.yaml").read_text().replace("name: ticket-triage", "name: other"))
    (repo / "evals/hard.yaml").write_text(other.read_text().replace("charged 0", "hard").replace("other", "hard"))
    promoted.deployments.remove("ticket-triage")
    told = reasons(promoted, suite=repo / "evals/hard.yaml")
    assert "never measured on the suite hard, only on ticket-triage" in told
    # the name is no part of what a suite measures
    assert promoted.deployments.promote("ticket-triage", student=STUDENT, suite=other).verdict == "pass"


def test_a_missing_suite_is_refused_and_a_risk_can_be_accepted_without_one(promoted, repo):
    (repo / "evals/ticket-triage.yaml").unlink()
    promoted.deployments.remove("ticket-triage")
    assert "there is no suite to have passed" in reasons(promoted)
    move = promoted.deployments.promote("ticket-triage", student=STUDENT, accept_risk=RISK)
    assert (move.suite, move.verdict, move.accepted_risk) == ("", "", RISK)


def test_what_was_measured_on_seen_cases_is_refused(opened, repo):
    forge = opened()
    suite = repo / "evals/ticket-triage.yaml"
    suite.write_text(
        suite.read_text().replace("split: train, input: {ticket: other}", "split: test, input: {ticket: o}")
    )
    suite.write_text(suite.read_text().replace("id: c0, split: test", "id: c0, split: dev"))
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, split="all")
    assert "measured on the split all, not on test" in reasons(forge)


def test_another_harness_and_changed_models_are_told_at_once(promoted, repo, opened, monkeypatch):
    monkeypatch.setattr("skillforge.forge.stale.HARNESS", frame.HARNESS + "+")
    promoted.deployments.remove("ticket-triage")
    models = {name: Scripted(default=right, name=f"another {name}") for name in (STUDENT, TEACHER)}
    with Forge(repo, providers=models) as changed:
        told = reasons(changed)
    assert "measured with another harness" in told
    assert f"the student {STUDENT} is not what was measured" in told
    assert f"the teacher {TEACHER} is not what was measured" in told
    with Forge(repo, providers={STUDENT: models[STUDENT]}) as lost:
        assert f"the teacher {TEACHER} cannot be found any more" in reasons(lost)


def test_an_accepted_risk_is_recorded_with_what_was_measured(opened):
    said: list[str] = []
    forge = opened(say=said.append)
    move = forge.deployments.promote("ticket-triage", student=STUDENT, accept_risk=f" {RISK}\n  for a week ")
    assert (move.verdict, move.accepted_risk) == ("", f"{RISK} for a week")
    forge.eval("ticket-triage", students=[OTHER], teacher=TEACHER)
    move = forge.deployments.promote("ticket-triage", student=OTHER, accept_risk=RISK)
    assert (move.verdict, move.accepted_risk) == ("pass", "")
    assert "no risk to accept is recorded" in said[-1]


def test_what_was_promoted_at_a_risk_is_promoted_again_once_it_is_proven(opened):
    forge = opened()
    forge.deployments.promote("ticket-triage", student=STUDENT, accept_risk=RISK)
    assert forge.deployments.promote("ticket-triage", student=STUDENT).accepted_risk == RISK
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    move = forge.deployments.promote("ticket-triage", student=STUDENT)
    assert (move.verdict, move.accepted_risk) == ("pass", "")
    with pytest.raises(NotFound):
        forge.deployments.rollback("ticket-triage")


def test_outside_of_a_repository_nothing_is_made(tmp_path):
    with Forge(tmp_path / "repo" / "..") as forge:
        for ask in (forge.deployments.rollback, forge.deployments.remove):
            with pytest.raises(NotFound):
                ask("ticket-triage")
    assert not (tmp_path / ".skillforge").exists()


@pytest.mark.parametrize("text", ["  ", "\n", "a\x1b[2Jb", "x" * 1_001])
def test_a_reason_that_nobody_could_read_is_refused(opened, text):
    with pytest.raises(UsageError):
        opened().deployments.promote("ticket-triage", student=STUDENT, accept_risk=text)


def test_a_reason_that_holds_a_secret_is_refused(opened, canary, repo, stored_bytes):
    forge = opened()
    for field in ("accept_risk", "reason"):
        with pytest.raises(SecretFound):
            forge.deployments.promote("ticket-triage", student=STUDENT, **{"accept_risk": RISK, field: f"key {canary}"})
    assert not lock_path(repo).exists()


@pytest.mark.parametrize(
    "names",
    [
        {"student": "gpt"},
        {"student": ""},
        {"student": "nowhere:m"},
        {"student": STUDENT, "fallback": "nowhere:m"},
        {"student": STUDENT, "fallback": STUDENT},
        {"student": STUDENT, "alias": "latest"},
        {"student": STUDENT, "alias": "v3"},
    ],
)
def test_names_that_name_nothing_are_refused_whatever_risk_is_accepted(opened, names):
    with pytest.raises(UsageError):
        opened().deployments.promote("ticket-triage", accept_risk=RISK, **names)


def test_a_network_model_needs_no_key_to_be_promoted(opened, repo):
    move = opened().deployments.promote(
        "ticket-triage", student=STUDENT, fallback="anthropic:claude-haiku-5-5", accept_risk=RISK
    )
    assert move.fallback == "anthropic:claude-haiku-5-5"


def test_promoting_what_stands_changes_nothing_and_puts_lost_content_back(promoted, repo, opened):
    said: list[str] = []
    before = lock_path(repo).read_bytes()
    snapshot = repo / "skills/ticket-triage/deployed/1.json"
    kept = snapshot.read_bytes()
    snapshot.unlink()
    again = opened(say=said.append).deployments.promote("ticket-triage", student=STUDENT)
    assert again.version == 1
    assert lock_path(repo).read_bytes() == before
    assert snapshot.read_bytes() == kept
    assert said == [f"ticket-triage@1 on {STUDENT} is production already: nothing changed"]


def test_a_secret_of_the_environment_in_the_name_of_the_user_is_not_written(opened, repo, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "adalovelace1815")
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    subprocess.run(["git", "-C", str(repo), "config", "user.name", "adalovelace1815"], check=True)
    move = opened().deployments.promote("ticket-triage", student=STUDENT, accept_risk=RISK)
    assert "adalovelace1815" not in move.by


# rolling back


def test_rollback_removal_and_history(promoted, repo, skill_in):
    skill_in(repo, instructions="Changed.")
    deployments = promoted.deployments
    deployments.promote("ticket-triage", student=OTHER, fallback=STUDENT, accept_risk=RISK)
    back = deployments.rollback("ticket-triage", reason="worse")
    assert (back.version, back.student, back.verdict, back.reason) == (1, STUDENT, "pass", "worse")
    with pytest.raises(NotFound, match="pointed nowhere before"):
        deployments.rollback("ticket-triage")
    deployments.remove("ticket-triage")
    with pytest.raises(NotFound, match="has no alias production"):
        deployments.remove("ticket-triage")
    with pytest.raises(NotPromoted):
        promoted.skill("ticket-triage")
    assert deployments.rollback("ticket-triage").version == 1
    told = [(move.action, move.version) for move in deployments.history("ticket-triage")]
    assert told == [("promote", 1), ("promote", 2), ("rollback", 1), ("remove", None), ("rollback", 1)]


def test_a_rollback_needs_the_content_and_no_deletion(promoted, repo, skill_in):
    skill_in(repo, instructions="Changed.")
    promoted.deployments.promote("ticket-triage", student=STUDENT, accept_risk=RISK)
    snapshot = repo / "skills/ticket-triage/deployed/1.json"
    kept = snapshot.read_bytes()
    before = lock_path(repo).read_bytes()
    snapshot.unlink()
    with pytest.raises(SkillFileError, match=r"deployed/1\.json") as caught:
        promoted.deployments.rollback("ticket-triage")
    assert "git checkout -- skills/ticket-triage/deployed/1.json" in caught.value.hint
    snapshot.write_bytes(kept)
    lock = json.loads(before)
    lock["skills"]["ticket-triage"]["deleted"] = [1]
    lock_path(repo).write_text(json.dumps(lock))
    with pytest.raises(UsageError, match="was deleted"):
        promoted.deployments.rollback("ticket-triage")
    lock_path(repo).write_bytes(before)
    assert promoted.deployments.rollback("ticket-triage").version == 1


def test_aliases_are_apart(promoted):
    promoted.deployments.promote("ticket-triage", student=OTHER, alias="staging", accept_risk=RISK)
    assert promoted.skill("ticket-triage@staging").student == OTHER
    assert promoted.skill("ticket-triage").student == STUDENT
    promoted.deployments.remove("ticket-triage", alias="staging")
    assert list(promoted.deployments.aliases("ticket-triage")) == ["production"]


@pytest.mark.parametrize("name", ["nothing", "ticket-triage@3", "skills/ticket-triage", ""])
def test_a_history_is_a_known_skills(promoted, name):
    with pytest.raises(UsageError):
        promoted.deployments.history(name)


def test_a_skill_that_was_never_promoted_has_an_empty_history(opened):
    assert opened().deployments.history("ticket-triage") == []


# resolving


@pytest.mark.parametrize("ref", ["ticket-triage", "ticket-triage@production"])
def test_a_fresh_clone_resolves_what_is_deployed_without_a_database(promoted, repo, skill_in, tmp_path, opened, ref):
    skill_in(repo, instructions="Changed since.")
    forge = opened(clone(repo, tmp_path / "clone"))
    bound = forge.skill(ref)
    assert (bound.version.version, bound.student, bound.alias, bound.fallback) == (1, STUDENT, "production", "")
    assert bound.version.skill.instructions == "Choose the queue and quote the ticket."
    assert not (tmp_path / "clone/.skillforge").exists()
    run = bound(**ASK)
    assert (run.output["queue"], run.alias, run.version) == ("billing", "production", 1)
    assert forge._portal.run(lambda: forge._work.runs.get(run.id)).run.alias == "production"


def test_the_file_is_taken_while_it_is_the_deployed_content(promoted, repo, tmp_path, opened):
    root = clone(repo, tmp_path / "clone")
    shutil.rmtree(root / "skills/ticket-triage/deployed")
    assert opened(root).skill("ticket-triage")(**ASK).ok


def test_a_broken_file_does_not_stop_production(promoted, repo):
    (repo / "skills/ticket-triage/skill.yaml").write_text("<<<<<<< HEAD\n")
    assert promoted.run("ticket-triage", ASK).ok


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body | {"skill": body["skill"] | {"instructions": "Obey me."}}, "the lock says"),
        (lambda body: body | {"version": 2}, "the lock says"),
        (lambda body: body | {"schema": "x"}, "schema"),
        (lambda body: body | {"skill": {}}, "no skill"),
        (lambda body: [body], "schema"),
        (lambda body: "x", "schema"),
    ],
)
def test_a_snapshot_that_was_changed_is_refused_with_the_way_back(promoted, repo, skill_in, change, said):
    skill_in(repo, instructions="Changed.")
    file = repo / "skills/ticket-triage/deployed/1.json"
    file.write_text(json.dumps(change(json.loads(file.read_text("utf-8")))))
    with pytest.raises(SkillFileError, match=said) as caught:
        promoted.skill("ticket-triage")
    assert str(caught.value).startswith("skills/ticket-triage/deployed/1.json: ")
    assert "git checkout" in caught.value.hint
    assert "skillforge verify" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 200_000, b" " * (16 * 1_048_576 + 1)])
def test_a_snapshot_that_is_no_json_is_refused(promoted, repo, skill_in, data):
    skill_in(repo, instructions="Changed.")
    (repo / "skills/ticket-triage/deployed/1.json").write_bytes(data)
    with pytest.raises(SkillFileError):
        promoted.skill("ticket-triage")


def test_code_gets_an_error_where_nothing_is_promoted(opened, repo):
    forge = opened()
    for call in (lambda: forge.skill("ticket-triage"), lambda: forge.run("ticket-triage", ASK, student=STUDENT)):
        with pytest.raises(NotPromoted, match="nothing is promoted as production") as caught:
            call()
        assert 'forge.skill("ticket-triage@latest", student=' in caught.value.hint
        assert "skillforge promote ticket-triage --student" in caught.value.hint
    assert not (repo / ".skillforge/registry.db").exists()
    with pytest.raises(NotPromoted, match="did you mean 'ticket-triage'"):
        forge.skill("ticket-triag")
    forge.deployments.promote("ticket-triage", student=STUDENT, alias="staging", accept_risk=RISK)
    with pytest.raises(NotPromoted, match="@staging is @1"):
        forge.skill("ticket-triage")


def test_a_student_that_is_named_takes_the_place_of_the_deployed_one(promoted):
    bound = promoted.skill("ticket-triage", student=OTHER)
    assert (bound.student, bound.alias) == (OTHER, "production")
    assert promoted.run("ticket-triage", ASK, student=OTHER).student == OTHER


def test_a_folder_of_the_same_name_does_not_change_what_is_deployed(promoted, repo, skill_in, monkeypatch):
    skill_in(repo, instructions="Changed.")
    monkeypatch.chdir(repo / "skills")
    assert promoted.skill("ticket-triage").version.version == 1
    assert promoted.skill("ticket-triage@production").version.version == 1
    assert promoted.skill("./ticket-triage", student=STUDENT).version.version == 2


def test_eval_and_show_take_the_file_or_the_alias_that_is_named(promoted, repo, skill_in):
    skill_in(repo, instructions="Changed.")
    assert promoted.show("ticket-triage").version == 2
    assert promoted.show("ticket-triage@production").version == 1
    report = promoted.eval("ticket-triage@production", students=[STUDENT], teacher=TEACHER)
    assert (report.version, report.digest) == (1, promoted.show("ticket-triage@1").digest)


def test_a_run_that_cannot_be_stored_still_answers_and_says_so_once(promoted, repo, tmp_path, opened, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKILLFORGE_DB", str(tmp_path / "file" / "registry.db"))
    said: list[str] = []
    forge = opened(clone(repo, tmp_path / "clone"), say=said.append)
    runs = [forge.run("ticket-triage", ASK) for _ in range(2)]
    assert [(run.output["queue"], run.id) for run in runs] == [("billing", "")] * 2
    assert len(said) == 1
    assert "runs of deployed skills are not stored here" in said[0]


# interruptions and company


KILLED = """
import os, signal, sys
from pathlib import Path
from skillforge import Forge, Scripted
import skillforge.atomicfile as atomic
point = int(sys.argv[2])
count = 0
def counted(name):
    real = getattr(os, name)
    def call(*args, **more):
        global count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    setattr(os, name, call)
with Forge(sys.argv[1], providers={"scripted:s": Scripted(default={}, name="scripted:s")}) as forge:
    forge.show("ticket-triage")
    for name in ("fsync", "replace"):
        counted(name)
    forge.deployments.promote("ticket-triage", student="scripted:s", accept_risk="test")
print(count)
"""


def test_a_kill_at_any_point_leaves_the_old_deployment_or_the_new_one_whole(promoted, repo, skill_in, opened):
    skill_in(repo, instructions="Changed.")
    promoted.show("ticket-triage")
    promoted.close()
    versions: list[int] = []
    for point in range(1, 60):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(repo), str(point)], capture_output=True, text=True, check=False
        )
        with opened(repo) as forge:
            bound = forge.skill("ticket-triage")
            assert bound(**ASK).ok
            versions.append(bound.version.version)
            if bound.version.version == 2:
                assert forge.show("ticket-triage@2").digest == bound.version.digest
                break
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
    assert versions[0] == 1
    assert versions[-1] == 2
    assert len(versions) > 3
    with opened(repo) as forge:  # the next command works as if nothing had been
        assert forge.deployments.rollback("ticket-triage").version == 1


CROWD = """
import sys
from skillforge import Forge, Scripted
with Forge(sys.argv[1], providers={"scripted:s": Scripted(default={}, name="scripted:s")}) as forge:
    for number in range(int(sys.argv[3])):
        alias = f"a{sys.argv[2]}-{number}"
        forge.deployments.promote("ticket-triage@1", student="scripted:s", alias=alias, accept_risk="test")
"""


def test_promotions_of_many_processes_are_all_there(promoted, repo):
    promoted.close()
    started = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", CROWD, str(repo), str(n), "10"], stderr=subprocess.PIPE)
        for n in range(3)
    ]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    moves = read_lock(repo).skill("ticket-triage").moves
    assert len({move.alias for move in moves}) == len(moves) == 31
    assert time.monotonic() - started < 60
    assert not [name for name in os.listdir(repo) if name.endswith(".new")]


def test_a_refusal_says_what_would_mend_it(repo, forge_at, skill_in, monkeypatch):
    monkeypatch.chdir(repo)
    skill_in(repo)
    student = Scripted(name="scripted:s", default={"queue": "bug", "quote": "a"})
    teacher = Scripted(name="scripted:t", default={"queue": "bug", "quote": "a"})
    (repo / "evals").mkdir(exist_ok=True)
    cases = [{"id": f"c{number}", "input": {"ticket": f"a bug {number}"}, "split": "test"} for number in range(12)]
    (repo / "evals" / "ticket-triage.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (repo / "evals" / "ticket-triage.yaml").write_text(
        "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue}\ncases: file://ticket-triage.jsonl\n"
    )
    forge = forge_at(repo, providers={student.name: student, teacher.name: teacher})
    with pytest.raises(PromotionRefused) as never:
        forge.deployments.promote("ticket-triage", student=student.name)
    assert "measure it: skillforge eval" in never.value.hint
    forge.eval("ticket-triage", students=[student.name], teacher=teacher.name)
    with pytest.raises(PromotionRefused) as unlabelled:
        forge.deployments.promote("ticket-triage", student=student.name)
    assert "skillforge review ticket-triage" in unlabelled.value.hint
