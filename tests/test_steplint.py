from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import SkillFileError
from skillforge.lint import lint_skill
from skillforge.skill import Skill
from skillforge.skillfile import parse_skill, read_skill, write_skill
from skillforge.step import Step
from tests.fakes.workflow import GET_ORDER, NOTIFY, REFUND, REFUND_ORDER, refund

REFUND_DIGEST = "sha256:094aabefaf9b4b308488f4b9224622872b3f96b7ff229d4b17ea308fe7d478e0"
KEYED = {**REFUND_ORDER, "idempotency_key": "key"}


def told(body: dict[str, Any]) -> list[str]:
    """Every problem, warnings too, as ``field: message (hint)``."""
    found = lint_skill(Skill.model_validate(body))
    return [f"{each.field}: {each.message}" + (f" ({each.hint})" if each.hint else "") for each in found]


def body(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(dict(REFUND)), **changes}


def with_step(number: int, **changes: Any) -> dict[str, Any]:
    made = body()
    made["steps"][number] = {key: value for key, value in {**made["steps"][number], **changes}.items() if value != "-"}
    return made


def plus(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = body(**changes)
    made["steps"] += steps
    return made


def test_a_good_workflow_has_no_problem():
    assert told(body()) == []


def test_the_digest_of_a_workflow_never_changes():
    assert refund().digest() == REFUND_DIGEST


def test_a_workflow_is_read_as_it_was_written(tmp_path):
    checks = [{"type": "not-equals", "path": "/ok", "value": None}]
    skill = Skill.model_validate(with_step(1, checks=checks, instructions="Short.", limits={"output_tokens": 9}))
    read = read_skill(write_skill(skill, tmp_path / skill.name))
    assert read.skill == skill
    assert read.skill.digest() == skill.digest()
    assert read.warnings == ()
    assert "value" in read.skill.steps[1].checks[0].model_fields_set


@pytest.mark.parametrize(
    "change",
    [
        {"instructions": "Other."},
        {"result": {"refunded": 0, "reply": {"from": "steps.reply"}}},
        {"tools": [GET_ORDER, KEYED]},
        {"steps": [*REFUND["steps"][:3], {**REFUND["steps"][3], "prompt": "{{ steps.refund }} {{ request }}"}]},
        {"steps": [REFUND["steps"][0], {**REFUND["steps"][1], "retry": 2}, *REFUND["steps"][2:]]},
    ],
)
def test_whatever_says_what_is_done_is_part_of_the_identity(change):
    assert Skill.model_validate(body(**change)).digest() != refund().digest()


def test_the_order_of_a_steps_output_fields_is_part_of_the_identity():
    one = with_step(1, output={"ok": {"type": "boolean"}, "why": {"type": "string"}}, examples={})
    other = with_step(1, output={"why": {"type": "string"}, "ok": {"type": "boolean"}}, examples={})
    assert Skill.model_validate(one).digest() != Skill.model_validate(other).digest()


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        # kinds
        (with_step(0, prompt="x"), "steps[0]: the step order is tool and prompt at once"),
        (with_step(3, prompt="-"), "steps[3]: the step reply says nothing to do (a step has exactly one of tool"),
        (with_step(3, escalate="no"), "steps[3]: the step reply is escalate and prompt at once"),
        (with_step(3, agent={"tools": ["get_order"]}, prompt="-"), "steps[3]: an agent needs a prompt"),
        (with_step(0, checks=[{"type": "is-json"}]), "steps[0].checks: is of no use in a step of the kind tool"),
        (with_step(3, retry=3), "steps[3].retry: is of no use in a step of the kind prompt"),
        (with_step(3, args={"a": 1}), "steps[3].args: is of no use in a step of the kind prompt"),
        (plus({"id": "stop", "escalate": "no", "each": {"from": "steps.order"}}), "steps[4].each: is of no use"),
        (plus({"id": "stop", "escalate": "no"}), "steps[4]: every run ends here: it has no condition (add when)"),
        # ids, tools
        (plus({"id": "order", "tool": "get_order", "args": {"order_id": "x"}}), "the step 'order' stands twice"),
        (with_step(0, tool="get_ordr"), "steps[0].tool: there is no tool 'get_ordr' under tools (did you mean 'get_or"),
        (with_step(3, agent={"tools": ["get_odrer"]}), "steps[3].agent.tools[0]: there is no tool 'get_odrer'"),
        (with_step(3, agent={"tools": ["get_order"] * 2}), "steps[3].agent.tools: a tool stands twice"),
        (body(tools=[GET_ORDER, REFUND_ORDER, NOTIFY]), "tools[2]: no step calls notify (remove it)"),
        (body(tools=[GET_ORDER, REFUND_ORDER, GET_ORDER]), "tools[2].name: the tool 'get_order' stands twice"),
        (body(tools=[{**GET_ORDER, "name": "get order"}]), "tools[0].name: a tool's name is"),
        (body(tools=[{**GET_ORDER, "parameters": {"type": "objekt"}}]), "tools[0].parameters/type: unknown type"),
        (body(tools=[{**GET_ORDER, "parameters": {}}]), "tools[0].parameters: must be the schema of an object"),
        (
            body(tools=[{**REFUND_ORDER, "idempotency_key": "kay"}]),
            "tools[0].idempotency_key: refund_order has no such",
        ),
        (body(tools=[{**KEYED, "effect": "read"}]), "tools[0].idempotency_key: a tool that only reads needs none"),
        (with_step(2, retry=2), "steps[2].retry: refund_order writes and has no key: it is never retried"),
        # arguments
        (with_step(0, args={}), "steps[0].args: get_order needs the argument 'order_id'"),
        (with_step(0, args={"order_id": "x", "oder": 1}), "steps[0].args.oder: get_order takes no argument 'oder'"),
        (with_step(0, args={"order_id": 5}), "steps[0].args.order_id: does not fit get_order: order_id: 5 is not of"),
        (with_step(0, args={"order_id": {"value": 5}}), "steps[0].args.order_id: does not fit get_order"),
        (with_step(0, args={"order_id": {"from": "order_id", "x": 1}}), "steps[0].args.order_id: unknown key 'x'"),
        # references
        (
            with_step(0, args={"order_id": {"from": "oder_id"}}),
            "no input field 'oder_id' (oder_id) (did you mean 'order",
        ),
        (with_step(0, args={"order_id": {"from": "steps"}}), "steps[0].args.order_id: steps alone is no value"),
        (with_step(0, args={"order_id": {"from": "steps."}}), "steps[0].args.order_id: 'steps.' is no path"),
        (with_step(0, args={"order_id": {"from": "steps.order.x"}}), "steps.order.x is the step itself"),
        (
            with_step(0, args={"order_id": {"from": "steps.judge.ok"}}),
            "the step 'judge' stands later (a step uses those",
        ),
        (with_step(0, args={"order_id": {"from": "steps.judg.ok"}}), "there is no step 'judg'"),
        (with_step(2, when={"from": "steps.judge.okay", "equals": True}), "has no field 'okay' (did you mean 'ok'?)"),
        (
            with_step(2, when={"from": "steps.ordr.ok", "equals": True}),
            "there is no step 'ordr' (did you mean 'order'?)",
        ),
        (
            with_step(2, when={"from": "steps.judge.ok", "is": 1}),
            "steps[2].when: a condition needs exactly one operator",
        ),
        (
            with_step(0, args={"order_id": {"from": "item"}}),
            "steps[0].args.order_id: item is there only in a step with",
        ),
        (with_step(0, each={"from": "item"}), "steps[0].each: item is there only in a step with each"),
        (with_step(0, each={"form": "order_id"}), "steps[0].each: each names a list by reference"),
        (
            body(result={"refunded": 0, "reply": {"from": "steps.reply.text"}}),
            "result: steps.reply.text: reply answers",
        ),
        # prompts
        (with_step(3, prompt="{{ steps.refnd }} {{ request }}"), "steps[3].prompt: there is no step 'refnd' before it"),
        (with_step(1, prompt="{{ steps.reply }}", examples={}), "steps[1].prompt: there is no step 'reply' before it"),
        (with_step(3, prompt="{{ steps }} {{ request }}"), "steps[3].prompt: steps is looked up by the name of a step"),
        (with_step(3, prompt="{{ steps[request] }}"), "steps[3].prompt: steps is looked up by the name of a step"),
        (with_step(3, prompt="{% for s in steps %}{{ s }}{% endfor %}"), "steps[3].prompt: steps is looked up by"),
        (with_step(3, prompt="{{ requst }}"), "steps[3].prompt: unknown variable 'requst' (did you mean 'request'?)"),
        (with_step(3, prompt="{{ item.sku }}"), "steps[3].prompt: unknown variable 'item'"),
        (
            with_step(3, prompt="a\n{{ request.upper() }}"),
            "steps[3].prompt: a call is not allowed in a template (line 2",
        ),
        # outputs, checks, examples
        (with_step(3, output={}), "steps[3].output: needs at least one field"),
        (with_step(3, output={"a b": {}}), "steps[3].output.a b: a field's name"),
        (with_step(3, output={"a": {"type": "strin"}}), "steps[3].output.a/type: unknown type 'strin'"),
        (with_step(3, checks=[{"type": "contans", "value": "x"}]), "steps[3].checks[0].type: unknown check type"),
        (with_step(3, checks=[{"type": "in-input", "of": "requst"}]), "steps[3].checks[0].of: no input field 'requst'"),
        # the whole
        (body(prompt="{{ request }}"), "prompt: is never used beside steps (give it to the step whose prompt it is)"),
        (body(examples={"items": [{"id": "a", "input": {}, "output": {}}]}), "examples: is never used beside steps"),
        (plus(result=None), "steps: the last step answers otherwise than the output, and there is no result"),
        (body(result={"refunded": 0}), "result: the output field 'reply' is missing"),
        (body(result={"refunded": 0, "reply": "", "x": 1}), "result.x: the output has no field 'x'"),
        (body(result="done"), "result: must hold the fields of the output, or be a reference to them"),
        (body(output="text"), "result: the output is text, so the result is one text"),
        (body(input={**REFUND["input"], "more": {}}), "input.more: no step uses this input field"),
        (body(steps=[], instructions="x", prompt="{{ order_id }} {{ request }}"), "tools: only steps call tools"),
        (body(steps=[], instructions="x", prompt="{{ order_id }} {{ request }}"), "result: is made of steps"),
        (body(input={**REFUND["input"], "steps": {}}), "input.steps: the names input, loop, steps are reserved"),
    ],
)
def test_what_can_be_told_before_it_runs(wrong, line):
    found = told(wrong)
    assert any(line in each for each in found), "\n".join(found)


def test_an_input_field_named_item_cannot_stand_beside_each():
    each = {"id": "tell", "each": {"from": "steps.order.lines"}, "tool": "notify", "args": {"sku": {"from": "item"}}}
    wrong = plus(each, input={**REFUND["input"], "item": {}}, tools=[GET_ORDER, REFUND_ORDER, NOTIFY])
    assert any("steps[4].each: item is an input field" in line for line in told(wrong))
    wrong["input"].pop("item")
    assert told(wrong) == []


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ({"input": {"request": "x", "steps": {"order": {}}}, "output": {"ok": "yes"}}, "the output does not fit"),
        ({"input": {"request": "x"}, "output": {"ok": True}}, "the prompt shows 'steps', its input has none"),
        ({"input": {"request": "x", "steps": {}}, "output": {"ok": True}}, "the prompt needs 'order'"),
        (
            {"input": {"request": "x", "reqest": 1, "steps": {"order": 1}}, "output": {"ok": True}},
            "'reqest' is unknown",
        ),
    ],
)
def test_examples_hold_what_their_prompt_shows(example, line):
    found = told(with_step(1, examples={"items": [{"id": "t", **example}]}))
    assert [each for each in found if each.startswith("steps[1].examples.items[0]: example t: ") and line in each], (
        found
    )


def test_examples_of_a_step_stand_in_the_file():
    found = told(with_step(1, examples={"file": "x.jsonl"}))
    assert found == ["steps[1].examples.file: the examples of a step stand in the file (write them under items)"]


def test_what_an_unwritten_result_would_be_is_held_to_the_output():
    escalating = {"id": "stop", "when": {"from": "steps.judge.ok", "equals": False}, "escalate": "no"}
    assert any("the last step gives no value" in line for line in told(plus(escalating, result=None)))
    asking = {"id": "answer", "prompt": "{{ request }}", "output": {"refunded": {"type": "number"}}}
    assert any("has other fields than the output" in line for line in told(plus(asking, result=None)))
    asking["output"]["reply"] = {"type": "string"}
    assert told(plus(asking, result=None)) == []
    assert any("gives a list" in line for line in told(plus({**asking, "each": {"from": "request"}}, result=None)))


def test_values_of_elements_are_looked_up_by_place():
    each = {"id": "say", "each": {"from": "steps.order.lines"}, "prompt": "{{ item }}", "output": {"a": {}}}
    use = {"id": "use", "prompt": "x {{ steps.say }}", "when": {"from": "steps.say.a", "exists": True}}
    assert any("the value of say is a list (steps.say.0, or pick)" in line for line in told(plus(each, use)))
    use["when"] = {"from": "steps.say.0.a", "exists": True}
    assert told(plus(each, use)) == []


def test_a_step_that_ends_the_run_has_no_value():
    stop = {"id": "stop", "when": {"from": "steps.judge.ok", "equals": False}, "escalate": "no"}
    use = {"id": "use", "prompt": "x", "when": {"from": "steps.stop", "exists": True}}
    assert any("the step stop ends the run: it has no value" in line for line in told(plus(stop, use)))


def test_the_key_of_a_call_is_not_the_files_to_give():
    made = with_step(2, args={"order_id": "x", "amount": 1, "key": "mine"})
    made["tools"] = [GET_ORDER, {**KEYED, "parameters": {**KEYED["parameters"], "required": ["key"]}}]
    assert told(made) == ["steps[2].args.key: is filled in for every call (remove it)"]
    made["steps"][2]["args"].pop("key")
    assert told(made) == []


def test_a_tool_that_is_not_described_takes_whatever_its_box_says():
    made = body(tools=[{"name": "get_order"}, REFUND_ORDER])
    assert told(made) == []


def test_there_is_an_end_to_steps_and_tools():
    step = {"tool": "get_order", "args": {"order_id": {"from": "order_id"}}}
    many = [{"id": f"s{number}", **step} for number in range(101)]
    assert any("steps: more than 100 steps" in line for line in told(plus(*many)))
    tools = [{**GET_ORDER, "name": f"t{number}"} for number in range(65)]
    assert any("tools: more than 64 tools" in line for line in told(body(tools=[*REFUND["tools"], *tools])))


@pytest.mark.parametrize(
    "place",
    [
        ("steps", 0, "args", "order_id"),
        ("steps", 1, "prompt"),
        ("steps", 1, "instructions"),
        ("steps", 1, "examples", "items", 0, "input", "request"),
        ("steps", 1, "examples", "items", 0, "input", "steps", "order", "total"),
        ("tools", 0, "description"),
        ("result", "reply"),
    ],
)
def test_secrets_and_hidden_text_are_refused_everywhere(place):
    for text, line in (
        ("sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2, "looks like a secret"),
        ("a\u202eb", "hidden character"),
    ):
        made = body()
        holder: Any = made
        for part in place[:-1]:
            holder = holder[part]
        holder[place[-1]] = f"{holder.get(place[-1], '')} {text}"
        found = [each for each in told(made) if line in each]
        assert len(found) == 1, told(made)
        assert found[0].startswith("".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place)[1:])


def test_a_credential_among_the_arguments_is_found_by_its_name():
    tools = [{**GET_ORDER, "parameters": {"type": "object", "properties": {"password": {}, "order_id": {}}}}]
    made = with_step(0, args={"password": "hunter2secret9x"})
    made["tools"] = [*tools, REFUND_ORDER]
    assert any("steps[0].args.password: looks like a secret (credential)" in line for line in told(made))
    made["steps"][0]["args"] = {"password": {"from": "order_id"}}
    assert told(made) == []


def put(folder: Path, text: str) -> Path:
    home = folder / "refund-request"
    home.mkdir(exist_ok=True)
    (home / "skill.yaml").write_text(text, "utf-8")
    return home


def test_problems_of_steps_name_their_line(tmp_path):
    text = write_skill(refund(), tmp_path / "refund-request").read_text("utf-8")
    line = 1 + [each.strip() for each in text.splitlines()].index("tool: refund_order")
    with pytest.raises(SkillFileError) as caught:
        read_skill(put(tmp_path, text.replace("tool: refund_order", "tool: refund_ordr")))
    assert f"skill.yaml:{line}:" in str(caught.value)
    assert "did you mean 'refund_order'?" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (with_step(1, limits=5), {"steps[1].limits"}),
        (with_step(1, id="Not An Id"), {"steps[1].id"}),
        (with_step(1, id="-"), {"steps[1].id"}),
        (with_step(1, retries=5), {"steps[1].retries"}),
        (with_step(0, tool=5, output="json"), {"steps[0].tool", "steps[0].output"}),
        (body(steps=[5]), {"steps[0]"}),
        (body(steps=5), {"steps"}),
        (body(tools=[{"effect": "delete"}]), {"tools[0].name", "tools[0].effect"}),
        (body(tools=5), {"tools"}),
        (with_step(1, agent={"tools": "get_order"}), {"steps[1].agent.tools"}),
        (with_step(1, examples={"items": [5]}), {"steps[1].examples.items[0]"}),
    ],
)
def test_a_misshapen_step_hides_nothing_else_and_is_told_alone(tmp_path, wrong, fields):
    wrong = {**wrong, "checks": [{"type": "contans"}]}
    with pytest.raises(SkillFileError) as caught:
        read_skill(put(tmp_path, json.dumps(wrong)))
    told_fields = {problem.field for problem in caught.value.problems}
    assert told_fields == fields | {"checks[0].type"}, caught.value


@pytest.mark.parametrize("key", ["input", "output", "description"])
@pytest.mark.parametrize("written", [None, [5]])
def test_a_wrong_key_makes_no_step_wrong(tmp_path, key, written):
    wrong = plus({"id": "say", "each": {"from": "steps.order.lines"}, "prompt": "{{ item }} {{ order_id }}"})
    wrong = {**wrong, "checks": [{"type": "contans"}], key: written}
    if written is None:
        del wrong[key]
    with pytest.raises(SkillFileError) as caught:
        read_skill(put(tmp_path, json.dumps(wrong)))
    assert {problem.field for problem in caught.value.problems} == {key, "checks[0].type"}, caught.value


def test_other_steps_are_still_looked_at(tmp_path):
    wrong = with_step(1, limits=5)
    wrong["steps"][0]["tool"] = "get_ordr"
    with pytest.raises(SkillFileError) as caught:
        parse_skill(wrong, path="x")
    assert [problem.field for problem in caught.value.problems] == ["steps[1].limits"]
    with pytest.raises(SkillFileError) as caught:
        read_skill(put(tmp_path, json.dumps(wrong)))
    assert {problem.field for problem in caught.value.problems} == {"steps[1].limits", "steps[0].tool"}


def test_every_field_of_a_step_is_of_use_to_some_kind():
    from skillforge.steplint import _UNREAD

    shared = {"id", "when", "each", "tool", "agent", "prompt", "escalate"}
    used = [Step.model_fields.keys() - set(unread) for unread in _UNREAD.values()]
    assert set.union(*used) | shared == Step.model_fields.keys()
