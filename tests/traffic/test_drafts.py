from __future__ import annotations

import json

import pytest
from talk import call, scanned, text

from skillforge.lint import lint_skill
from skillforge.skill import Skill
from skillforge.template import Template

ASK = "Name the queue.\n\nTicket: {}\n\nOne word."


def group_of(answer, prompt=ASK, count=60, **more):
    """The group of calls whose answers are ``answer(number, text)``."""
    calls = [call(n, prompt.format(text(n)), answer=answer(n, text(n)), **more) for n in range(count)]
    report = scanned(calls)
    assert [group.calls for group in report.groups] == [count]
    return report.groups[0]


def skill_of(draft):
    return Skill(
        name="x",
        description=draft.task,
        task=draft.task,
        input=draft.input,
        output=draft.output,
        instructions=draft.instructions,
        prompt=draft.prompt,
    )


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("classification", lambda n, said: ["billing", "bug", "other"][n % 3]),
        ("classification", lambda n, said: json.dumps({"queue": ["billing", "bug"][n % 2], "urgent": n % 5 == 0})),
        ("extraction", lambda n, said: " ".join(said.split()[2:5])),
        ("extraction", lambda n, said: json.dumps({"words": said.split()[:2], "last": said.split()[-1]})),
        ("rewriting", lambda n, said: f"{said.capitalize()}, please!"),
        ("writing", lambda n, said: f"Dear customer {n}, thank you. {text(n + 9_000, words=60)}"),
        ("writing", lambda n, said: json.dumps({"reasoning": text(n + 9_000, words=80), "answer": str(n * 7919)})),
    ],
)
def test_the_kind_is_told_from_the_answers(kind, answer):
    assert group_of(answer).kind == kind


def test_many_labels_are_still_a_classification():
    labels = [f"intent_{n}" for n in range(40)]
    group = group_of(lambda n, said: labels[n * n % 40], count=120)
    assert group.kind == "classification"


def test_bare_labels_become_one_field_and_recorded_answers_fit():
    draft = group_of(lambda n, said: ["Billing", "bug", "other"][n % 3]).draft
    assert draft.output == {"label": {"enum": ["Billing", "bug", "other"]}}
    assert draft.parse_output(" billing.\n") == {"label": "Billing"}
    assert draft.parse_output('{"label": "bug"}') == {"label": "bug"}
    assert draft.parse_output("I cannot say") is None
    assert draft.prompt == "Name the queue.\n\nTicket: {{ ticket }}\n\nOne word."


@pytest.mark.parametrize("form", ["{}", '{{"label": "{}"}}'])
def test_labels_that_differ_in_case_and_last_punctuation_are_one_in_its_commonest_form(form):
    said = ["yes", "yes", "Yes", "no", "no", "No!"]
    draft = group_of(lambda n, _: form.format(said[n % 6])).draft
    assert draft.output == {"label": {"enum": ["no", "yes"]}}
    assert draft.parse_output(form.format("Yes")) == {"label": "yes"}
    assert draft.parse_output(form.format("NO!")) == {"label": "no"}
    assert draft.parse_output(form.format("perhaps")) is None


def test_a_refusal_among_labels_is_no_label():
    group = group_of(lambda n, said: "I am sorry, but I cannot help with this request at all, dear customer. " * 2
                     if n == 7 else ["billing", "bug"][n % 2])  # fmt: skip
    assert group.draft.output == {"label": {"enum": ["billing", "bug"]}}


def test_keys_types_and_choices_are_read_from_json_answers():
    def answer(n, said):
        body = {"queue": ["billing", "bug"][n % 2], "words": said.split()[:2], "count": n, "sure": True}
        return "```json\n" + json.dumps(body | ({"note": said} if n % 3 else {})) + "\n```"

    draft = group_of(answer).draft
    assert draft.output == {
        "queue": {"enum": ["billing", "bug"]},
        "words": {"type": "array", "items": {"type": "string"}},
        "count": {"type": "integer"},
        "sure": {"type": "boolean"},
        "note": {"type": ["null", "string"]},
    }
    parsed = draft.parse_output(answer(0, "a b c") + " Done.")
    assert parsed == {"queue": "billing", "words": ["a", "b"], "count": 0, "sure": True, "note": None}
    assert draft.parse_output('{"queue": "sales"}') is None


def test_the_recorded_schema_is_the_contract():
    fields = {"domain": {"type": "string", "enum": ["a", "b"]}, "note": {"type": "string"}}
    schema = {"type": "object", "properties": fields, "required": ["domain"], "additionalProperties": False}
    draft = group_of(lambda n, said: '{"domain": "a"}', output_schema=schema).draft
    assert draft.output == {"domain": fields["domain"], "note": {"anyOf": [fields["note"], {"type": "null"}]}}
    assert draft.parse_output('{"domain": "a"}') == {"domain": "a", "note": None}


def test_a_schema_that_no_contract_can_hold_is_read_from_the_answers_instead():
    schema = {"type": "object", "properties": {"domain": {"$ref": "https://example.com/x"}}}
    draft = group_of(lambda n, said: json.dumps({"domain": ["a", "b"][n % 2]}), output_schema=schema).draft
    assert draft.output == {"domain": {"enum": ["a", "b"]}}


@pytest.mark.parametrize(
    "prompt",
    [
        "Use {{{{ name }}}} and {{% if %}} and {{# this #}} as they are.\nTicket: {}",
        'Answer as {{"a": {{"b": 1}}}}.\nTicket: {{{}}}',
        "Be\u200b careful\x07 now, dear model.\nTicket: {}\nAnd <b>bold</b>.",
        "Input: {}\nSteps: one, two and three.\nLoop: no",
    ],
)
def test_drafts_are_valid_and_their_prompt_is_the_recorded_one(prompt):
    group = group_of(lambda n, said: ["billing", "bug"][n % 2], prompt=prompt)
    draft = group.draft
    assert not [problem for problem in lint_skill(skill_of(draft)) if problem.level == "error"]
    asked = prompt.format(text(3))
    fields = group.skeleton.fields(call(3, asked))
    rendered = Template(draft.prompt, tuple(draft.input)).render(fields)
    assert rendered == asked.strip().replace("\u200b", "").replace("\x07", "")


def test_what_varies_in_the_system_text_is_given_in_the_prompt():
    system = "Today is 2026-05-{:02d}. Name the queue of the ticket."
    calls = [call(n, text(n), system=system.format(n % 28 + 1), answer=["bug", "other"][n % 2]) for n in range(60)]
    (group,) = scanned(calls).groups
    assert group.draft.instructions == "Today is (date, given below). Name the queue of the ticket."
    assert group.draft.prompt == "date: {{ date }}\n{{ text }}"
    assert group.draft.task == "Name the queue of the ticket."
