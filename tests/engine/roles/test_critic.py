"""The critic: nothing it claims counts before it is verified, and what can be shown is found without it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from test_simulate import Memory

from skillforge.engine.author import Draft
from skillforge.engine.roles.attacks import Disputed, Material, attack, needless_steps, weak_checks
from skillforge.engine.roles.critic import Criticism, confirm, criticise, read_claims, revise
from skillforge.engine.roles.mutations import wrong_outputs
from skillforge.messages import Cost, Request, Tool, Usage
from skillforge.providers.scripted import Scripted
from skillforge.skill import Check, Example, Examples, Skill
from skillforge.step import Step
from skillforge.trace import Trace

BODY: dict[str, Any] = {
    "name": "tickets",
    "description": "Routes tickets.",
    "input": {"ticket": {"type": "string"}},
    "output": {"queue": {"enum": ["billing", "bug"]}, "quote": {"type": "string"}},
    "instructions": "Choose. If the ticket says refund, the queue is billing.",
    "prompt": "{{ ticket }}",
}


def skill(**changes: Any) -> Skill:
    return Skill.model_validate({**BODY, **changes})


def trace(number: int, text: str, queue: str) -> Trace:
    return Trace(case_id=f"t{number}", task="t", input={"ticket": text}, output={"queue": queue, "quote": text[:12]})


TRACES = [
    trace(1, "I was charged twice for one order", "billing"),
    trace(2, "the screen stays black after the update", "bug"),
    trace(3, "please send the receipt of last May", "billing"),
    trace(4, "no sound in the second video", "bug"),
]
MATERIAL = Material(TRACES, answer=lambda output: output["queue"] if isinstance(output, dict) else output)


@pytest.mark.parametrize(
    "check",
    [
        {"type": "is-json"},
        {"type": "not-equals", "path": "/queue", "value": "other"},
        {"type": "regex", "path": "/quote", "value": ".*"},
        {"type": "max-length", "path": "/quote", "value": 10**6},
        {"type": "not-contains", "path": "/queue", "value": "http://"},
        {"type": "regex", "path": "/queue", "value": "^(billing|bug)$"},
    ],
)
def test_checks_that_always_pass_are_found(check):
    found = list(weak_checks(skill(checks=[check]), TRACES))
    assert [(item.kind, item.place) for item in found] == [("weak-check", "checks[0]")]
    assert "wrong outputs" in found[0].evidence


@pytest.mark.parametrize(
    "check",
    [
        {"type": "in-input", "path": "/quote", "of": "ticket"},
        {"type": "max-length", "path": "/quote", "value": 80},
        {"type": "not-contains", "path": "/quote", "value": "http://"},
        {"type": "not-icontains", "path": "/quote", "value": "as an AI"},
        {"type": "word-count", "path": "/quote", "value": {"min": 1, "max": 8}},
        {"type": "regex", "path": "/quote", "value": "^[a-zA-Z]"},
    ],
)
def test_checks_that_can_tell_something_are_not(check):
    assert Check.model_validate(check)
    assert list(weak_checks(skill(checks=[check]), TRACES)) == []


def test_wrong_outputs_fit_the_contract_and_are_always_the_same():
    found = wrong_outputs(skill(), TRACES)
    assert found == wrong_outputs(skill(), TRACES)
    assert all(output != case.output for case, output in found)
    assert {output["queue"] for _, output in found} == {"billing", "bug"}
    text = skill(output="text")
    texts = [item.model_copy(update={"output": item.input["ticket"]}) for item in TRACES]
    assert all(isinstance(output, str) for _, output in wrong_outputs(text, texts))


def test_inputs_that_ask_the_same_with_other_answers_and_disputed_labels_are_ambiguous():
    twins = [*TRACES, trace(5, "I was charged twice for one order!", "bug")]
    found = attack(
        skill(), Material(twins, [Disputed("s1", {"queue": "bug"}, {"queue": "billing"})], answer=MATERIAL.answer)
    )
    assert [item.kind for item in found] == ["ambiguous-label"] * 2
    assert "t1 and t5" in found[0].evidence
    assert '"billing" and "bug"' in found[1].evidence
    assert "differed 1 time, first at s1" in found[1].evidence
    assert not any(item.of_draft for item in found)
    marked, confirmed = confirm(skill(), found, [{"kind": "ambiguous-label", "cases": ["t1", "t5"]}])
    assert (confirmed, marked[0].claimed, marked[1].claimed) == (1, True, False)


def test_leaks_come_from_whoever_knows_the_unseen_cases():
    material = Material(TRACES, leaks=lambda draft: [("c9", "its input ticket stands in the skill's instructions")])
    (found,) = attack(skill(), material)
    assert (found.kind, found.place) == ("leak", "instructions")


def test_steps_that_nothing_uses():
    tools = [{"name": "get"}, {"name": "put", "effect": "write"}]
    steps = [
        {"id": "order", "tool": "get", "args": {"id": {"from": "ticket"}}},
        {"id": "unused", "tool": "get"},
        {"id": "only_unused", "prompt": "{{ steps.unused }}", "when": {"from": "steps.unused", "exists": True}},
        {"id": "write", "tool": "put", "args": {"x": {"from": "steps.order.total"}}},
        {"id": "stop", "when": {"from": "steps.judge.ok", "equals": False}, "escalate": "no"},
        {"id": "judge", "prompt": "{{ steps.order }}"},
        {"id": "reply", "prompt": "{{ ticket }}"},
    ]
    made = skill(tools=[Tool(**tool) for tool in tools], steps=[Step(**step) for step in steps], output="text")
    assert [item.place for item in needless_steps(made)] == ["steps.unused", "steps.only_unused"]
    assert [item.place for item in needless_steps(made.model_copy(update={"result": {"from": "steps.judge"}}))] == [
        *("steps.unused", "steps.only_unused", "steps.reply")
    ]


def contradiction(**changes: Any) -> dict[str, Any]:
    claim = {
        "kind": "contradiction",
        "quote": "If the ticket says refund, the queue is billing.",
        "when": {"field": "ticket", "contains": "refund"},
        "then": {"field": "queue", "equals": "billing"},
    }
    return {**claim, **changes}


def test_a_contradiction_counts_only_where_an_example_shows_it():
    wrong = Example(id="e1", input={"ticket": "No refund button"}, output={"queue": "bug", "quote": "x"})
    made = skill(examples=Examples(items=(wrong,)))
    found, confirmed = confirm(made, (), [contradiction()])
    assert confirmed == 1
    assert "e1" in found[0].evidence
    for claim in (
        contradiction(quote="A rule that stands nowhere: refund billing"),
        contradiction(when={"field": "ticket", "contains": "crash"}),
        contradiction(then={"field": "queue", "equals": "bug"}),
        contradiction(then="x"),
        contradiction(quote=5),
        {"kind": "contradiction"},
    ):
        assert confirm(made, (), [claim]) == ((), 0)
    assert confirm(skill(), (), [contradiction()]) == ((), 0)


def test_a_sentence_said_twice():
    made = skill(
        instructions="Always choose the queue that fits best. Be brief. always choose the queue  that fits best."
    )
    (found,) = attack(made, MATERIAL)
    assert found.kind == "needless-instruction"


@pytest.mark.parametrize("answer", ["nonsense", '{"claims": 5}', '{"claims": [1, null, {"kind": ["x"]}]}', "[" * 5000])
def test_a_critic_that_talks_nonsense_stops_nobody(answer):
    critic = Scripted(default=answer, name="scripted:critic")
    found, _ = anyio.run(criticise, skill(checks=[{"type": "is-json"}]), MATERIAL, critic, Memory())
    assert [item.kind for item in found.findings] == ["weak-check"]
    assert found.confirmed == 0


def test_a_critic_that_cannot_answer_is_told_and_none_is_needed():
    silent = Scripted(name="scripted:critic")
    found, _ = anyio.run(criticise, skill(), MATERIAL, silent, Memory())
    assert "no answer" in found.error
    assert anyio.run(criticise, skill(), MATERIAL, None, Memory())[0].error == ""


def test_the_critic_is_asked_once_and_its_claims_are_bounded():
    critic = Scripted(default={"claims": [{"kind": "weak-check", "check": 0}] * 500}, name="scripted:critic")
    journal = Memory()
    for _ in range(2):
        found, claims = anyio.run(criticise, skill(checks=[{"type": "is-json"}]), MATERIAL, critic, journal)
    assert (len(critic.seen), len(claims), found.claims) == (1, 50, 50)
    assert read_claims(5) is None


def test_nothing_to_mend_asks_nobody():
    author = Scripted(name="scripted:author")
    draft = Draft(skill(), (), ("{}",), "m", Usage(), Cost())
    result = anyio.run(lambda: revise("t", draft, Criticism(), (), MATERIAL, author))
    assert (result.draft, result.taken, author.seen) == (draft, False, [])


def test_a_mended_draft_must_prove():
    weak = skill(checks=[{"type": "is-json"}])

    async def proves_nothing(draft: Skill) -> tuple[str, ...]:
        return ("it does not run",)

    def author(request: Request) -> Any:
        return {**BODY, "examples": {"ids": "all"}}

    draft = Draft(weak, (), ("{}",), "m", Usage(), Cost())
    told = Criticism(findings=attack(weak, MATERIAL))
    strong = Scripted(default=author, name="scripted:author")
    refused = anyio.run(lambda: revise("t", draft, told, (), MATERIAL, strong, prove=proves_nothing))
    assert (refused.taken, refused.draft.skill) == (False, weak)
    assert "it does not run" in refused.why
    taken = anyio.run(lambda: revise("t", draft, told, (), MATERIAL, strong))
    assert (taken.taken, taken.findings) == (True, ())
