"""``create --cases-target``: all roles of a teacher, one budget, resumable at every stage."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from skillforge.case import Case
from skillforge.errors import BudgetReached, ProviderError, UsageError
from skillforge.evals.alike import ALIKE
from skillforge.evals.leaks import leaking
from skillforge.forge.forge import Forge
from skillforge.forge.making.teach import Taught, TeachPlan, teach_skill
from skillforge.forge.session import NO_TERMS
from skillforge.forge.suites.review import open_review
from skillforge.messages import Request
from skillforge.nearest import canonical_text
from skillforge.providers.scripted import Scripted
from skillforge.skillfile import read_skill
from skillforge.suitefile import read_suite

TASK = "Route one ticket to a queue."
TEACHER = "scripted:teacher"
THINGS = ("invoice", "refund", "button", "screen", "price", "server", "charge", "window", "receipt", "crash")
MONEY = {"invoice", "refund", "price", "charge", "receipt"}
WORDS = [
    f"{first}{last}"
    for first in ("vel", "mar", "or", "gar", "thun", "cop")
    for last in ("ket", "dun", "fy", "lo", "pra")
]

BODY: dict[str, Any] = {
    "name": "tickets",
    "description": "Routes one ticket.",
    "input": {"ticket": {"type": "string"}},
    "output": {"queue": {"enum": ["billing", "bug"]}, "why": {"type": "string"}},
    "instructions": "Money goes to billing, all else is a bug.",
    "prompt": "{{ ticket }}",
    "examples": {"ids": "all", "select": "nearest", "k": 3},
    "checks": [{"type": "max-length", "path": "/why", "value": 200}],
}
WEAK = {**BODY, "checks": [*BODY["checks"], {"type": "is-json"}]}


def sentence(number: int) -> str:
    picked = Random(number).sample(WORDS, 9)
    return f"{THINGS[number % len(THINGS)]} {' '.join(picked)} {number}"


REAL = [Case(id=f"r{number}", input={"ticket": sentence(1000 + number)}) for number in range(10)]


def queue(text: str) -> str:
    return "billing" if any(word in text for word in MONEY) else "bug"


class Roles:
    """A strong model in all its roles, by what it is asked as. ``drafts`` are the author's in turn."""

    def __init__(self, *drafts: Any, name: str = TEACHER, claims: Any = (), halt_at: int = 0, doubt: int = 7) -> None:
        self.drafts = list(drafts or [BODY])
        self.claims = claims
        self.halt_at = halt_at
        self.doubt = doubt
        self.answered: list[Request] = []
        self.provider = Scripted(default=self.answer, name=name)

    def answer(self, request: Request) -> Any:
        if self.halt_at and len(self.provider.seen) >= self.halt_at:
            raise BudgetReached("the budget is spent")
        self.answered.append(request)
        role = request.key.role
        if role == "simulate":
            return self.simulate(request)
        if role == "critic":
            return {"claims": list(self.claims)}
        if role.startswith("author"):
            return self.drafts.pop(0)
        text = request.key.input["ticket"]
        label = queue(text)
        if role == "solve#2" and sum(map(ord, text)) % self.doubt == 0:
            label = "bug" if label == "billing" else "billing"
        return {"queue": label, "why": f"{role}: {text[:20]}"}

    def simulate(self, request: Request) -> Any:
        place = ["corners", "noise", "near-misses", "hostile"].index(request.key.input["purpose"])
        start = 100 * place + 10 * request.key.input["batch"]
        texts = [sentence(start + number) for number in range(8)]
        copied = json.loads(request.messages[1].text.split("BEGIN REAL INPUTS\n")[1].splitlines()[0])
        return {"inputs": [{"ticket": text} for text in texts] + [copied, {"wrong": 1}]}

    def roles(self) -> Counter[str]:
        return Counter(request.key.role for request in self.provider.seen)


def teach(root: Path, roles: Roles, *others: Roles, cases: Any = tuple(REAL), target: int = 60, **more: Any) -> Taught:
    said: list[tuple[str, int, int]] = more.pop("said", [])
    forge = Forge(root, providers={each.provider.name: each.provider for each in (roles, *others)})
    plan = TeachPlan(TASK, tuple(cases), target, TEACHER, root / "skills", name="tickets", **more)
    try:
        return forge._call(lambda: teach_skill(forge._work, plan, lambda *step: said.append(step)))
    finally:
        forge.close()


def test_from_ten_real_inputs_to_sixty_cases_a_skill_and_a_queue(repo):
    roles, said = Roles(), []
    made = teach(repo, roles, said=said)
    assert (made.cases, made.suite, made.metric) == (60, "evals/tickets.yaml", "/queue")
    suite = read_suite(repo / made.suite)
    assert (len(suite.cases), suite.skill) == (60, "tickets")
    assert made.splits == dict(Counter(case.split for case in suite.cases)) | {}
    assert abs(made.splits["train"] - 24) <= 4
    assert abs(made.splits["test"] - 30) <= 4
    kinds = Counter((case.split, case.metadata["provenance"]) for case in suite.cases)
    assert made.simulated == {split: kinds[split, "simulated"] for split in ("train", "dev", "test")}
    assert kinds["test", "real"] > 0, "real inputs are measured on too"
    wrong = [case.expected for case in suite.cases if case.expected != {"queue": queue(case.input["ticket"])}]
    assert wrong == [], "a field that the two answers differ in is no label"
    simulated = [case for case in suite.cases if case.metadata["provenance"] == "simulated"]
    assert {case.metadata["purpose"] for case in simulated} == {"corners", "noise", "near-misses", "hostile"}
    held = {case.id for case in suite.cases if case.split != "train"}
    assert not any(set(case.metadata["seeds"]) & held for case in simulated)
    assert made.disputed > 0
    assert "(1 input nobody agreed on)" in made.model_copy(update={"disputed": 1}).next_step
    waiting = read_suite(repo / made.queue)
    assert (len(waiting.cases), {case.expected for case in waiting.cases}) == (made.disputed, {None})
    assert made.removed["does not fit the schema"] > 0
    assert made.removed["like a train case"] > 0
    assert made.diversity.n == 60
    assert made.diversity.balance is not None
    assert (made.created.name, made.created.version, made.mended) == ("tickets", 1, False)
    assert [finding.kind for finding in made.findings] == ["ambiguous-label"], "what two answers differed on is told"
    assert list(dict.fromkeys(step for step, _, _ in said)) == [
        *("solve", "label", "simulate", "freeze", "author", "prove", "critique")
    ]


def test_the_skill_knows_no_unseen_case_and_no_split_reads_like_another(repo):
    from rapidfuzz import fuzz

    made = teach(repo, Roles())
    suite = read_suite(repo / made.suite)
    skill = read_skill(repo / "skills" / "tickets").skill
    held = [case for case in suite.cases if case.split != "train"]
    assert leaking(skill, held) == []
    assert {item.id for item in skill.examples.items} <= {case.id for case in suite.cases if case.split == "train"}
    texts = [canonical_text(case.input) for case in suite.cases]
    assert all(fuzz.ratio(one, two) < ALIKE for place, one in enumerate(texts) for two in texts[:place])


def test_the_author_and_the_simulator_never_see_what_is_measured_on(repo):
    roles = Roles()
    made = teach(repo, roles)
    held = [case.input["ticket"] for case in read_suite(repo / made.suite).cases if case.split != "train"]
    shown = "".join(
        message.text
        for request in roles.provider.seen
        if request.key.role.startswith(("author", "critic"))
        for message in request.messages
    )
    assert not any(text in shown for text in held)
    real = [case.input["ticket"] for case in REAL if case.input["ticket"] in held]
    written = "".join(m.text for r in roles.provider.seen if r.key.role == "simulate" for m in r.messages)
    assert real
    assert not any(text in written for text in real)


def test_the_same_again_pays_for_no_input_and_comes_to_the_same_suite(repo):
    first = teach(repo, Roles())
    before = (repo / first.suite).read_bytes(), (repo / "evals" / "tickets.jsonl").read_bytes()
    again = Roles()
    made = teach(repo, again)
    assert before == ((repo / first.suite).read_bytes(), (repo / "evals" / "tickets.jsonl").read_bytes())
    assert set(again.roles()) == {"author", "run"}
    assert (made.created.version, made.cases, made.disputed) == (1, first.cases, first.disputed)


@pytest.mark.parametrize("halt_at", [3, 11, 22, 45, 130, 133])
def test_stopped_anywhere_it_goes_on_where_it_was(repo, halt_at):
    whole = Roles()
    stopped = Roles(halt_at=halt_at)
    with pytest.raises(BudgetReached):
        teach(repo, stopped)
    made = teach(repo, whole)
    asked = Counter(
        (request.key.role, json.dumps(request.key.input, sort_keys=True))
        for roles in (stopped, whole)
        for request in roles.answered
        if request.key.role in ("solve", "solve#2", "simulate")
    )
    assert max(asked.values()) == 1, "nothing that was answered is asked again"
    assert made.cases == 60


def test_each_role_may_be_another_model(repo):
    roles = [Roles(), Roles(name="scripted:sim"), Roles(name="scripted:lab", doubt=5), Roles(name="scripted:crit")]
    made = teach(repo, *roles, simulator="scripted:sim", labeller="scripted:lab", critic="scripted:crit")
    teacher, simulator, labeller, critic = roles
    assert set(simulator.roles()) == {"simulate"}
    assert set(labeller.roles()) == {"solve"}
    assert set(critic.roles()) == {"critic"}
    assert not {"simulate", "critic", "solve#2"} & set(teacher.roles())
    assert made.models["labeller"] == "scripted:lab"


def test_a_weak_check_is_confirmed_and_mended_once(repo):
    claims = [{"kind": "weak-check", "check": 1}, {"kind": "weak-check", "check": 0}, {"kind": "leak"}, {"x": 1}]
    roles = Roles(WEAK, BODY, claims=claims)
    made = teach(repo, roles)
    assert [(item.kind, item.place, item.claimed) for item in made.findings if item.of_draft] == [
        ("weak-check", "checks[1]", True)
    ]
    assert (made.claims, made.confirmed, made.mended) == (4, 1, True)
    assert [finding for finding in made.left if finding.of_draft] == []
    assert len(read_skill(repo / "skills" / "tickets").skill.checks) == 1
    assert "checks[1]" in next(r for r in roles.provider.seen if r.key.role == "author-revised").messages[-1].text


@pytest.mark.parametrize("second", [WEAK, "no JSON", {**BODY, "prompt": "{{ tickt }}"}])
def test_a_mended_draft_that_is_no_better_is_not_taken(repo, second):
    made = teach(repo, Roles(WEAK, second))
    assert not made.mended
    assert made.not_mended
    assert len(read_skill(repo / "skills" / "tickets").skill.checks) == 2
    assert len(made.left) == len(made.findings)


def test_splits_that_are_given_are_kept_and_their_labels_too(repo):
    cases = [case.model_copy(update={"split": "train"}) for case in REAL[:6]]
    cases += [case.model_copy(update={"split": "test", "expected": {"queue": "bug"}}) for case in REAL[6:]]
    roles = Roles()
    made = teach(repo, roles, cases=cases, target=30)
    found = {case.id: case for case in read_suite(repo / made.suite).cases}
    assert all(found[case.id].expected == {"queue": "bug"} for case in cases[6:]), "a person's label stays"
    assert all(found[case.id].split == case.split for case in cases if case.id in found)
    asked = {request.key.input["ticket"] for request in roles.provider.seen if request.key.role.startswith("solve")}
    assert not asked & {case.input["ticket"] for case in cases[6:]}


def test_an_empty_simulator_ends_with_the_real_inputs_and_says_so(repo):
    mute = Roles(name="scripted:sim")
    mute.simulate = lambda request: "I would rather not"  # type: ignore[method-assign]
    made = teach(repo, Roles(), mute, simulator="scripted:sim")
    assert made.cases <= len(REAL)
    assert made.ended == "nothing new was written any more"
    assert made.removed == {"not JSON": 8}


def test_a_suite_that_stands_there_is_never_replaced(repo):
    (repo / "evals").mkdir()
    (repo / "evals" / "tickets.yaml").write_text("mine")
    with pytest.raises(UsageError, match="frozen"):
        teach(repo, Roles())
    assert (repo / "evals" / "tickets.yaml").read_text() == "mine"


@pytest.mark.parametrize("wrong", [{"target": 0}, {"target": 10**6}, {"cases": ()}])
def test_wishes_that_cannot_be_cost_nothing(repo, wrong):
    roles = Roles()
    with pytest.raises(UsageError):
        teach(repo, roles, **wrong)
    assert roles.provider.seen == []
    assert NO_TERMS.budget_usd is None


def test_a_secret_in_a_simulated_input_reaches_no_file(repo, canary, stored_bytes):
    roles = Roles()
    plain = roles.simulate

    def leaky(request: Request) -> Any:
        found = plain(request)
        found["inputs"][0]["ticket"] += f" my key is {canary}"
        return found

    roles.simulate = leaky  # type: ignore[method-assign]
    teach(repo, roles)
    assert canary.encode() not in stored_bytes(repo)


def test_the_queue_is_what_review_asks_and_labels_come_before_answers(repo):
    made = teach(repo, Roles())
    forge = Forge(repo)
    waiting = open_review(forge._work, "tickets-queue", by="ann")
    case = waiting.next_case()
    assert case is not None
    assert len(waiting.cases) == made.disputed
    waiting.answer(case, {"queue": "bug"})
    assert {item.id: item.expected for item in read_suite(repo / made.queue).cases}[case.id] == {"queue": "bug"}
    train = next(case for case in read_suite(repo / made.suite).cases if case.split == "train")
    other = "bug" if train.expected["queue"] == "billing" else "billing"
    open_review(forge._work, "tickets", by="ann").answer(train, {"queue": other})
    forge.close()
    teach(repo, Roles())
    examples = {item.id: item.output for item in read_skill(repo / "skills" / "tickets").skill.examples.items}
    assert examples[train.id]["queue"] == other, "what a person says comes before what a model says"


def test_another_wish_under_the_same_name_costs_nothing(repo):
    teach(repo, Roles())
    roles = Roles()
    with pytest.raises(UsageError, match="frozen"):
        teach(repo, roles, target=61)
    assert roles.provider.seen == []


def test_where_nothing_is_kept_a_frozen_suite_is_not_paid_for_again(repo, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    assert teach(repo, Roles(), target=20).cases == 20
    roles = Roles()
    with pytest.raises(UsageError, match="were not kept"):
        teach(repo, roles, target=20)
    assert roles.provider.seen == []


def test_a_teacher_that_solves_nothing_is_told_before_anything_is_written(repo):
    mute = Roles()
    mute.provider = Scripted(name=TEACHER)
    with pytest.raises(ProviderError, match="solved 0 of 10"):
        teach(repo, mute)
    assert not (repo / "evals").exists()
