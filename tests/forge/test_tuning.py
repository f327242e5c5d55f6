"""Tuning end to end: scripted students through the real stack."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.errors import KeyRejected, ProviderError, UsageError
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.students.tune.page import tuning_page
from skillforge.students.tune.tuned import Tuned
from skillforge.students.tune.values import Improved, Proposal, Task
from skillforge.suitefile import read_suite
from skillforge.variantfile import variant_path
from tests.fakes.llm_server import LLMServer, last_text

STUDENT = "scripted:student"
RIGHT = {"crash": "bug", "charged": "billing"}


def queue_of(ticket: str) -> str:
    return "bug" if "crash" in ticket else "billing"


def answer(request: Request, right: bool) -> dict[str, str]:
    queue = queue_of(request.key.input["ticket"])
    return {"queue": queue if right else "billing", "quote": "x"}


def shown(request: Request) -> int:
    """How many examples the request shows."""
    return sum(message.role == "assistant" for message in request.messages)


def system(request: Request) -> str:
    return request.messages[0].text


@pytest.fixture
def tuning_repo(repo: Path, skill_in: Callable[..., Path], triage: Any) -> Callable[..., Path]:
    """A repository with the skill and a suite of dev, train and test cases."""

    def write(dev: int = 40, train: int = 12, test: int = 40, *, head: str = "", **changes: Any) -> Path:
        skill_in(repo, **changes)
        (repo / "evals").mkdir(exist_ok=True)
        lines, recorded = [], []
        for split, count in (("dev", dev), ("train", train), ("test", test)):
            for number in range(count):
                ticket = f"{'crash' if number % 2 else 'charged'} {split} {number}"
                expected = {"queue": queue_of(ticket), "quote": "x"}
                case = {"id": f"{split}{number}", "input": {"ticket": ticket}, "split": split, "expected": expected}
                lines.append(json.dumps(case))
                asked = {"role": "solve", "task": digest(triage().task), "input": case["input"]}
                recorded.append(json.dumps({"request": asked, "response": {"json": expected}}))
        (repo / "evals" / "ticket-triage.jsonl").write_text("\n".join(lines) + "\n")
        (repo / "evals" / "teacher.jsonl").write_text("\n".join(recorded) + "\n")
        (repo / "evals" / "ticket-triage.yaml").write_text(
            "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.1}\n"
            f"cases: file://ticket-triage.jsonl\nrecorded: file://teacher.jsonl\n{head}"
        )
        return repo

    return write


def test_examples_that_help_are_kept_tested_and_written(tuning_repo, forge_at):
    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, shown(request) >= 4), name=STUDENT)
    forge = forge_at(root, providers={STUDENT: student})
    found = forge.students.tune("ticket-triage", student=STUDENT, stages=["roots", "format", "examples"])
    assert found.status == "done"
    best, test = found.best, found.test
    assert best is not None
    assert (best.stage, best.quality, best.decided.outcome) == ("examples", 1.0, "wins")
    assert test is not None
    assert (test.cases, test.of, test.worse) == (40, 40, False)
    assert (root / found.file).is_file()
    with closing(sqlite3.connect(root / ".skillforge" / "registry.db")) as db:
        proven = [row[0] for row in db.execute("SELECT variant FROM evidence WHERE variant <> ''")]
    assert proven == [best.id]
    asked = Counter(asked_of(student))
    assert max(asked.values()) == 1
    assert forge.run("ticket-triage@latest", {"ticket": "a crash"}, student=STUDENT).digest == best.id


def tune(forge: Any, **wishes: Any) -> Tuned:
    asked = {"student": STUDENT, "test": False, **wishes}
    found: Tuned = forge.students.tune("ticket-triage", **asked)
    return found


def asked_of(student: Scripted) -> list[str]:
    """Every question that arrived, whole."""
    return [request.model_dump_json() for request in student.seen]


def helped_by_examples(name: str = STUDENT) -> Scripted:
    return Scripted(default=lambda request: answer(request, shown(request) >= 4), name=name)


def test_the_nearest_grouped_by_answer_are_tried_and_kept_where_they_help(tuning_repo, forge_at):
    def right(request: Request) -> bool:  # copies the last answer it is shown, if another like it stands before it
        said = [message.text for message in request.messages if message.role == "assistant"]
        return len(said) > 4 and said[-1] == said[-2] == said[-3]

    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, right(request)), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["examples"])
    tried = {(item.variant.examples.select, item.variant.examples.k) for item in found.tried if item.variant.examples}
    assert {("grouped", 6), ("grouped", 10), ("nearest", 8)} <= tried
    best = found.best
    assert best is not None
    assert best.quality == 1.0


def test_a_skill_that_hurts_is_left_away_and_that_is_said(tuning_repo, forge_at):
    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, "JSON Schema" in system(request)), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}))
    best = found.best
    assert best is not None
    assert best.variant.form == "bare"
    assert "no skill is better for this student" in found.words[0]


def test_where_nothing_is_better_the_skill_stays_and_the_test_split_is_not_touched(tuning_repo, forge_at):
    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, True), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), test=True, stages=["format"])
    assert found.best is not None
    assert found.best.stage == "start"
    assert (found.test, found.file) == (None, "")
    assert not any(" test " in request.key.input["ticket"] for request in student.seen)


def test_equal_quality_is_decided_by_cost(tuning_repo, forge_at):
    root = tuning_repo(instructions="Choose the queue.\n" + "Mind the words of the customer well.\n" * 30)
    student = Scripted(default=lambda request: answer(request, True), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["compression"])
    best, start = found.best, found.start
    assert best is not None
    assert start is not None
    assert best.decided.outcome == "cheaper"
    assert (best.tokens or 0) < (start.tokens or 0)


def test_a_kept_sentence_is_never_left_out(tuning_repo, forge_at):
    kept = "Never promise a refund."
    root = tuning_repo(instructions=f"{kept}\n" + "Mind the words of the customer well.\n" * 30, keep=[kept])
    student = Scripted(default=lambda request: answer(request, True), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["roots", "compression"])
    assert {each.decided.outcome for each in found.tried if each.stage == "roots"} == {"refused"}
    assert all(kept in system(request) for request in student.seen)


def test_a_candidate_that_fails_an_anchor_is_rejected(tuning_repo, forge_at):
    root = tuning_repo(head="anchors: [dev0]\n")

    def one_lost(request: Request) -> dict[str, str]:
        """The examples alone are right but for one case, which the skill gets right."""
        bare = "JSON Schema" in system(request)
        anchor = request.key.input["ticket"] == "charged dev 0"
        return {"queue": "bug", "quote": "x"} if bare and anchor else answer(request, bare)

    student = Scripted(default=one_lost, name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["roots"])
    bare = next(each for each in found.tried if each.variant.form == "bare")
    assert bare.decided.outcome == "anchor"
    assert "dev0" in bare.decided.why
    assert found.best is not None
    assert found.best.variant.form not in ("bare", "examples")


def test_an_anchor_of_the_test_split_is_refused(tuning_repo, forge_at):
    forge = forge_at(tuning_repo(), providers={STUDENT: helped_by_examples()})
    with pytest.raises(UsageError, match="test0"):
        tune(forge, anchors=["test0"])


def test_a_tuning_that_was_cut_off_goes_on_and_asks_nothing_twice(tuning_repo, forge_at):
    root = tuning_repo()
    cut: list[Scripted] = []

    def dying(request: Request) -> Any:
        if len(cut[0].seen) > 70:
            raise KeyRejected("the key was taken away")
        return answer(request, shown(request) >= 4)

    cut.append(Scripted(default=dying, name=STUDENT))
    with pytest.raises(KeyRejected):
        tune(forge_at(root, providers={STUDENT: cut[0]}))
    again = helped_by_examples()
    found = tune(forge_at(root, providers={STUDENT: again}))
    assert found.status == "done"
    answered = asked_of(cut[0])[:70]
    assert not set(answered) & set(asked_of(again))
    fresh = helped_by_examples()
    third = tune(forge_at(root, providers={STUDENT: fresh}))
    assert fresh.seen == []
    assert third.model_dump(exclude={"calls"}) == found.model_dump(exclude={"calls"})


@pytest.mark.parametrize("calls", [1, 30, 100])
def test_a_budget_in_calls_is_never_overshot_and_more_goes_on(calls, tuning_repo, forge_at):
    root = tuning_repo()
    student = helped_by_examples()
    forge = forge_at(root, providers={STUDENT: student})
    found = tune(forge, budget=f"{calls}calls", dev=40)
    assert found.status == "budget"
    assert len(student.seen) <= calls
    assert found.calls == len(student.seen)
    assert tune(forge, budget=f"{calls}calls", dev=40).calls <= calls  # what was spent stays spent
    assert len(student.seen) <= calls
    whole = tune(forge, budget="5000calls", dev=40)
    assert whole.status == "done"
    assert len(set(asked_of(student))) == len(student.seen) == whole.calls


def test_what_was_proven_before_the_budget_was_spent_counts(tuning_repo, forge_at):
    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, "JSON Schema" in system(request)), name=STUDENT)
    forge = forge_at(root, providers={STUDENT: student})
    whole = tune(forge, stages=["roots"])
    assert whole.best is not None
    cut = tune(forge_at(root, providers={STUDENT: student}), stages=["roots", "examples"], budget="5calls")
    assert cut.status == "budget"
    assert cut.winner == whole.winner


def test_a_budget_covers_the_test_too(tuning_repo, forge_at):
    root = tuning_repo()
    student = helped_by_examples()
    forge = forge_at(root, providers={STUDENT: student})
    found = tune(forge, test=True, budget="320calls", dev=24, stages=["examples"])
    assert len(student.seen) <= 320
    assert found.test is not None


def test_a_recorded_teacher_reflects_on_nothing_and_that_is_said(tuning_repo, forge_at):
    said: list[str] = []
    forge = forge_at(tuning_repo(), providers={STUDENT: helped_by_examples()}, say=said.append)
    tune(forge, stages=["instructions"], teacher="recorded")
    assert any("no live teacher" in line for line in said)


def test_authors_are_asked_once_each_and_their_words_are_candidates(tuning_repo, forge_at):
    root = tuning_repo()
    student = Scripted(default=lambda request: answer(request, "by the crash" in system(request)), name=STUDENT)
    good = Scripted(default={"instructions": "Decide by the crash."}, name="scripted:good")
    mute = Scripted(default="I cannot.", name="scripted:mute")
    models = {STUDENT: student, "scripted:good": good, "scripted:mute": mute}
    said: list[str] = []
    forge = forge_at(root, providers=models, say=said.append)
    found = tune(forge, authors=["scripted:good", "scripted:mute"], stages=["roots"])
    assert found.best is not None
    assert found.best.author == "scripted:good"
    assert any("scripted:mute wrote no instructions" in line for line in said)
    tune(forge, authors=["scripted:good", "scripted:mute"], stages=["roots"])
    assert (len(good.seen), len(mute.seen)) == (1, 1)


def test_an_optimiser_proposes_and_dev_decides(tuning_repo, forge_at):
    root = tuning_repo(train=24)

    class Two:
        name = "two"

        async def improve(self, task: Task) -> Improved:
            assert not {case.id for case in task.feedback} & {case.id for case in task.selection}
            assert all(case.split == "train" for case in (*task.feedback, *task.selection))
            told = await task.ask("reflect", "what is wrong?")
            scores = await task.measure(task.skill, task.selection)
            better = Proposal("Decide by the crash.", told, -1, scores)
            return Improved((Proposal("Guess."), better), len(scores), 1, "done")

    student = Scripted(default=lambda request: answer(request, "by the crash" in system(request)), name=STUDENT)
    teacher = Scripted(default="mind the crash", name="scripted:teacher")
    forge = forge_at(root, providers={STUDENT: student, "scripted:teacher": teacher})
    found = tune(forge, optimizer=Two(), stages=["instructions"], teacher="scripted:teacher")
    assert found.best is not None
    assert (found.best.stage, found.best.note) == ("instructions", "mind the crash")
    tune(forge, optimizer=Two(), stages=["instructions"], teacher="scripted:teacher")
    assert len(teacher.seen) == 1


MENDED = {
    "reflect": {"why": "crashes", "edits": [{"op": "add", "rule": 0, "text": "Decide by the crash."}]},
    "gepa": {"instructions": "Decide by the crash."},
}


@pytest.mark.parametrize("optimizer", list(MENDED))
def test_reflection_betters_the_instructions_within_the_budget(optimizer, tuning_repo, forge_at):
    root = tuning_repo(train=24)
    student = Scripted(default=lambda request: answer(request, "by the crash" in system(request)), name=STUDENT)
    teacher = Scripted(default=MENDED[optimizer], name="scripted:teacher")
    models = {STUDENT: student, "scripted:teacher": teacher}
    wishes = {"stages": ["instructions"], "teacher": "scripted:teacher", "budget": "300calls", "optimizer": optimizer}
    found = tune(forge_at(root, providers=models), **wishes)
    assert found.best is not None
    assert (found.best.stage, found.best.quality) == ("instructions", 1.0)
    calls = len(student.seen) + len(teacher.seen)
    assert found.calls == calls <= 300
    tune(forge_at(root, providers=models), **wishes)
    assert len(student.seen) + len(teacher.seen) == calls


def test_a_teacher_that_says_nothing_of_use_leaves_the_instructions(tuning_repo, forge_at):
    said: list[str] = []
    models = {STUDENT: helped_by_examples(), "scripted:teacher": Scripted(default="no", name="scripted:teacher")}
    forge = forge_at(tuning_repo(train=24), providers=models, say=said.append)
    found = tune(forge, stages=["instructions", "compression"], teacher="scripted:teacher")
    assert found.status == "done"
    assert any(line.startswith("instructions: left as they are") for line in said)


def test_a_budget_in_dollars_is_never_overshot(tuning_repo, forge_at):
    root = tuning_repo()

    def reply(body: dict[str, Any]) -> str:
        return json.dumps({"queue": queue_of(last_text(body)), "quote": "x"})

    with LLMServer(reply) as server:
        (root / "skillforge.toml").write_text(
            f'[endpoints.fake]\nkind = "openai-chat"\nbase_url = "{server.url}/v1"\n'
            "price = {input = 10, output = 10}\n"
        )
        forge = forge_at(root)
        found = tune(forge, student="fake:small", budget="0.1")
        assert found.status == "budget"
        assert found.spent_usd is not None
        assert 0 < found.spent_usd <= 0.1
        again = tune(forge, student="fake:small", budget="0.1")
        assert again.spent_usd is not None
        assert again.spent_usd <= 0.1
        assert server.calls


def test_a_case_is_never_shown_its_own_answer(tuning_repo, forge_at):
    root = tuning_repo(dev=0, train=48)
    student = helped_by_examples()
    found = tune(forge_at(root, providers={STUDENT: student}))
    assert found.cases["dev"] == 24
    for request in student.seen:
        *before, asked = [message.text for message in request.messages if message.role == "user"]
        assert asked not in before


def test_the_history_holds_every_candidate_with_its_reason(tuning_repo, forge_at):
    forge = forge_at(tuning_repo(), providers={STUDENT: helped_by_examples()})
    found = tune(forge)
    (kept,) = forge.students.tunings("ticket-triage")
    assert kept.tried == found.tried
    assert kept.winner == found.winner
    assert all(each.decided.why for each in kept.tried)
    assert {each.decided.outcome for each in kept.tried} >= {"start", "wins", "raced out"}


def test_the_page_holds_every_candidate_as_text_only(tuning_repo, forge_at):
    forge = forge_at(tuning_repo(), providers={STUDENT: helped_by_examples()})
    found = tune(forge)
    hostile = found.model_copy(update={"words": ("<script>alert(1)</script>",)})
    page = tuning_page([hostile])
    assert "<script" not in page
    assert page.count('<li class="') == len(found.tried)


def test_an_estimate_asks_nothing_and_bounds_what_is_asked(tuning_repo, forge_at):
    student = helped_by_examples()
    forge = forge_at(tuning_repo(), providers={STUDENT: student})
    estimate = forge.students.estimate_tuning("ticket-triage", student=STUDENT, test=False)
    assert student.seen == []
    tune(forge)
    assert len(student.seen) <= estimate.calls


def test_anchors_are_no_part_of_the_suites_digest(tuning_repo):
    root = tuning_repo()
    plain = read_suite(root / "evals" / "ticket-triage.yaml")
    anchored = read_suite(tuning_repo(head="anchors: [dev0]\n") / "evals" / "ticket-triage.yaml")
    assert anchored.anchors == ("dev0",)
    assert anchored.digest() == plain.digest()


SECRET = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2


@pytest.mark.parametrize(
    "written",
    [f"MAGIC with {SECRET}", "MAGIC \x1b[2J", "MAGIC \x00", "MAGIC \u202e"],
    ids=["secret", "escape", "nul", "bidi"],
)
def test_instructions_that_no_file_may_hold_are_refused_before_they_are_measured(tuning_repo, forge_at, written):
    root = tuning_repo(dev=24)
    (root / "skillforge.toml").write_text('store_io = "full"\n')
    student = Scripted(default=lambda request: answer(request, "MAGIC" in system(request)), name=STUDENT)
    author = Scripted(default=lambda request: json.dumps({"instructions": written}), name="scripted:author")
    forge = forge_at(root, providers={STUDENT: student, "scripted:author": author})
    found = forge.students.tune("ticket-triage", student=STUDENT, authors=["scripted:author"], stages=["roots"])
    (refused,) = [each for each in found.tried if each.decided.outcome == "refused"]
    assert (refused.author, refused.n) == ("scripted:author", 0)
    assert SECRET not in refused.decided.why
    assert not any("MAGIC" in system(request) for request in student.seen)


def test_half_a_character_in_an_authors_answer_is_dropped(tuning_repo, forge_at):
    root = tuning_repo(dev=24)
    student = Scripted(default=lambda request: answer(request, "MAGIC" in system(request)), name=STUDENT)
    author = Scripted(default=lambda request: '{"instructions": "MAGIC \\ud800"}', name="scripted:author")
    forge = forge_at(root, providers={STUDENT: student, "scripted:author": author})
    found = forge.students.tune("ticket-triage", student=STUDENT, authors=["scripted:author"], stages=["roots"])
    assert found.best is not None
    assert found.best.variant.instructions == "MAGIC"


def test_a_tolerance_of_nothing_is_one(tuning_repo, forge_at):
    root = tuning_repo(dev=24)
    student = Scripted(default=lambda request: answer(request, False), name=STUDENT)
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["roots"], tolerance=0)
    assert found.rule.tolerance == 0
    assert not [each for each in found.tried if each.decided.outcome == "cheaper"]


def test_the_same_tuning_is_not_done_twice_at_once(tuning_repo, forge_at):
    root = tuning_repo(dev=24)
    refused: list[str] = []

    def meanwhile(request: Request) -> dict[str, str]:
        if not refused:
            refused.append("")
            other = forge_at(root, providers={STUDENT: helped_by_examples()})
            with pytest.raises(UsageError, match="is being tuned") as caught:
                tune(other, stages=["roots"])
            refused.append(str(caught.value))
        return answer(request, shown(request) >= 4)

    forge = forge_at(root, providers={STUDENT: Scripted(default=meanwhile, name=STUDENT)})
    assert tune(forge, stages=["roots"]).status == "done"
    assert len(refused) == 2
    assert tune(forge, stages=["roots"]).status == "done"  # and afterwards it is told again


class Failing(Scripted):
    """No answer comes where ``fails`` says so."""

    fails: Callable[[Request], bool] = staticmethod(lambda request: True)

    async def complete(self, request: Request) -> Any:
        if self.fails(request):
            raise ProviderError("503 the server is down")
        return await super().complete(request)


def test_a_student_that_answers_nothing_is_told_and_not_searched_with(tuning_repo, forge_at):
    student = Failing(default="x", name=STUDENT)
    forge = forge_at(tuning_repo(dev=24), providers={STUDENT: student})
    with pytest.raises(ProviderError, match=r"answered none of 24 cases.*503"):
        tune(forge)
    student.fails = lambda request: False
    student_now = Scripted(default=lambda request: answer(request, True), name=STUDENT)
    assert tune(forge_at(forge.root, providers={STUDENT: student_now}), stages=["roots"]).best is not None


def test_a_form_that_only_answers_what_it_can_does_not_win(tuning_repo, forge_at):
    """Without instructions it is right, and too long for half of the cases."""

    def bare(request: Request) -> bool:
        return "Choose" not in system(request)

    student = Failing(
        default=lambda request: answer(request, bare(request)) if bare(request) else {"queue": "bug", "quote": "x"},
        name=STUDENT,
    )
    student.fails = lambda request: bare(request) and "crash" not in request.key.input["ticket"]
    root = tuning_repo(instructions="Choose.")
    found = tune(forge_at(root, providers={STUDENT: student}), stages=["roots"])
    assert found.winner == found.tried[0].id
    assert any("counts as wrong" in each.decided.why for each in found.tried)


def test_a_variant_that_cannot_be_read_stops_no_tuning_that_makes_it_anew(tuning_repo, forge_at):
    root = tuning_repo()
    forge = forge_at(root, providers={STUDENT: helped_by_examples()})
    path = variant_path(root / "skills" / "ticket-triage", STUDENT)
    path.parent.mkdir()
    path.write_text("schema: skillforge/variant/v1\nskill: ticket-triage\nstudent: nobody\n")
    found = forge.students.tune("ticket-triage", student=STUDENT, stages=["examples"])
    assert found.file == path.relative_to(root).as_posix()
    assert forge.run("ticket-triage@latest", {"ticket": "a crash"}, student=STUDENT).digest == found.winner


def test_why_a_teacher_changed_something_reaches_no_terminal_as_it_is(tuning_repo, forge_at):
    """It is shown while tuning, in the table and on the page."""
    root = tuning_repo(dev=24, train=24)
    (root / "skillforge.toml").write_text('store_io = "full"\n')
    edit = {"why": f"\x1b[2J\u202e {SECRET}\nb", "edits": [{"op": "add", "rule": 0, "text": "GOOD"}]}
    teacher = Scripted(default=lambda request: json.dumps(edit), name="scripted:teacher")
    student = Scripted(default=lambda request: answer(request, "GOOD" in system(request)), name=STUDENT)
    said: list[str] = []
    forge = forge_at(root, providers={STUDENT: student, "scripted:teacher": teacher}, say=said.append)
    found = tune(forge, stages=["instructions"], teacher="scripted:teacher")
    assert found.best is not None
    assert found.best.stage == "instructions"
    told = "".join([*said, found.best.note, *found.words])
    assert not [mark for mark in ("\x1b", "\u202e", SECRET) if mark in told]
