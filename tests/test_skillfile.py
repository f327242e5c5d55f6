from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound, SkillFileError
from skillforge.hygiene import hidden_text
from skillforge.skill import Skill
from skillforge.skillfile import INLINE_EXAMPLES, SCHEMA_COMMENT, parse_skill, read_skill, write_skill

SMALL = """\
schema: skillforge/v1
name: small
description: Say which colour it is.
input:
  text: {type: string}
output:
  colour: {enum: [red, blue]}
instructions: |
  One colour.
prompt: "{{ text }}"
"""
SMALL_DIGEST = "sha256:2493de921a6bea764987a1075958e907f66ef93188410c547f21024660aa2a2a"

BODY: dict[str, Any] = {
    "schema": "skillforge/v1",
    "name": "small",
    "description": "Say which colour it is.",
    "input": {"text": {"type": "string"}},
    "output": {"colour": {"enum": ["red", "blue"]}},
    "instructions": "One colour.\n",
    "prompt": "{{ text }}",
}


def put(folder: Path, text: str, **files: str) -> Path:
    home = folder / "small"
    home.mkdir(exist_ok=True)
    (home / "skill.yaml").write_text(text, "utf-8")
    for name, content in files.items():
        (home / name.replace("_", ".")).write_text(content, "utf-8")
    return home


def problems_of(path: Path) -> list[str]:
    with pytest.raises(SkillFileError) as caught:
        read_skill(path)
    return str(caught.value).splitlines()


def test_the_digest_of_a_small_skill_never_changes(tmp_path):
    assert read_skill(put(tmp_path, SMALL)).skill.digest() == SMALL_DIGEST


def test_key_order_and_formatting_do_not_change_the_digest(tmp_path):
    lines = json.dumps(dict(reversed(BODY.items())), indent=1)
    assert read_skill(put(tmp_path, lines)).skill.digest() == SMALL_DIGEST


@pytest.mark.parametrize(
    "explicit",
    [
        "steps: []",
        "checks: []",
        "suite: null",
        "limits: {output_tokens: 1024}",
        "examples: {select: all, k: 6}",
        "task: ''",
    ],
)
def test_a_default_that_is_written_out_does_not_change_the_digest(tmp_path, explicit):
    assert read_skill(put(tmp_path, f"{SMALL}{explicit}\n")).skill.digest() == SMALL_DIGEST


@pytest.mark.parametrize("aside", ["license: MIT", "metadata: {author: acme}"])
def test_licence_and_metadata_are_not_part_of_the_identity(tmp_path, aside):
    assert read_skill(put(tmp_path, f"{SMALL}{aside}\n")).skill.digest() == SMALL_DIGEST


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("colour: {enum: [red, blue]}", "colour: {enum: [blue, red]}"),
        ("One colour.", "One color."),
        ('"{{ text }}"', '"{{ text }}!"'),
        ("  text: {type: string}", "  text: {type: string}\n  more: {type: string, default: x}"),
        ("name: small", "name: small\ntask: Say the colour."),
    ],
)
def test_what_a_model_sees_changes_the_digest(tmp_path, old, new):
    assert old in SMALL
    assert read_skill(put(tmp_path, SMALL.replace(old, new))).skill.digest() != SMALL_DIGEST


def test_the_order_of_contract_fields_counts(triage):
    one = triage()
    other = triage(output=dict(reversed(one.output.items())))
    assert one.digest() != other.digest()


def test_examples_count_by_content_and_not_by_where_they_stand(tmp_path):
    item = {"id": "e1", "input": {"text": "sky"}, "output": {"colour": "blue"}}
    apart = put(tmp_path, SMALL + "examples: {file: ex.jsonl}\n", ex_jsonl=json.dumps(item) + "\n")
    from_file = read_skill(apart).skill
    inline = read_skill(put(tmp_path, SMALL + f"examples: {{items: [{json.dumps(item)}]}}\n")).skill
    assert from_file.digest() == inline.digest() != SMALL_DIGEST
    assert from_file.examples.items == inline.examples.items


@pytest.mark.parametrize("select", ["all", "nearest"])
@pytest.mark.parametrize("count", [0, 1, INLINE_EXAMPLES, INLINE_EXAMPLES + 1])
def test_what_is_written_reads_back_with_the_same_digest(tmp_path, triage, count, select):
    items = [
        {"id": f"e{n}", "input": {"ticket": f"Grüße\n  {n}: “x” 🐛 #"}, "output": {"queue": "bug", "quote": "null"}}
        for n in range(count)
    ]
    skill = triage(
        examples={"items": items, "select": select, "k": 3},
        checks=[{"type": "not-contains", "value": "http://"}, {"type": "in-input", "path": "/quote", "of": "ticket"}],
        limits={"output_tokens": 77},
        metadata={"author": "acme"},
        suite="evals/ticket-triage.yaml",
    )
    path = write_skill(skill, tmp_path / skill.name)
    assert path.read_text("utf-8").startswith(SCHEMA_COMMENT)
    found = read_skill(path)
    assert found.skill.digest() == skill.digest()
    assert found.skill.metadata == {"author": "acme"}
    assert found.source == path.read_bytes()
    assert (path.parent / "examples.jsonl").exists() is (count > INLINE_EXAMPLES)
    assert not list(path.parent.glob(".*"))


def test_a_check_against_null_survives_writing(tmp_path, triage):
    skill = parse_skill(
        triage(checks=[{"type": "not-equals", "value": None, "path": "/queue"}]).model_dump(
            by_alias=True, exclude_unset=True
        ),
        path="draft",
    )
    assert read_skill(write_skill(skill, tmp_path / skill.name)).skill == skill


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]), max_size=40).map(
    lambda text: "".join(" " if hidden_text(character) else character for character in text)
)


@given(instructions=texts, quote=texts, default=texts)
def test_any_visible_text_survives_writing(tmp_path_factory, instructions, quote, default):
    skill = Skill.model_validate(
        {
            **BODY,
            "instructions": instructions + "\n",
            "input": {"text": {"type": "string"}, "mark": {"type": "string", "default": default}},
            "examples": {"items": [{"id": "e", "input": {"text": quote}, "output": {"colour": "red"}}]},
        }
    )
    path = write_skill(skill, tmp_path_factory.mktemp("s") / "small")
    assert read_skill(path).skill.digest() == skill.digest()


def test_examples_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "secret.jsonl").write_text('{"input": {"text": "x"}, "output": {"colour": "red"}}\n')
    for name in ("../secret.jsonl", str(tmp_path / "secret.jsonl")):
        home = put(tmp_path, SMALL + f"examples: {{file: {json.dumps(name)}}}\n")
        assert "lies outside the skill's folder" in problems_of(home)[0]
    home = put(tmp_path, SMALL + "examples: {file: link.jsonl}\n")
    (home / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert "lies outside the skill's folder" in problems_of(home)[0]


@pytest.mark.parametrize("name", ['"a\\0b"', "5", "[x]", "null"])
def test_an_examples_file_must_have_a_name(tmp_path, name):
    assert (
        "examples.file: must be the name of a file"
        in problems_of(put(tmp_path, SMALL + f"examples: {{file: {name}}}\n"))[0]
    )


def test_wrong_examples_are_named_with_file_and_line(tmp_path):
    home = put(tmp_path, SMALL + "examples: {file: ex.jsonl}\n", ex_jsonl='{"input": {"text": "x"}, "ouput": 1}\n')
    assert "skill.yaml:11:12: examples.file: ex.jsonl:1: an example needs" in problems_of(home)[0]
    home = put(tmp_path, SMALL + "examples: {file: ex.jsonl}\n", ex_jsonl='\n{"input": {}, "input": {}}\n')
    assert "ex.jsonl:2: not JSON: the key 'input' stands twice" in problems_of(home)[0]
    missing = problems_of(put(tmp_path, SMALL + "examples: {file: none.jsonl}\n"))
    assert "skill.yaml:11:12: examples.file: 'none.jsonl' is not a file in the skill's folder" in missing[0]
    home = put(tmp_path, SMALL + "examples: {file: ex.jsonl, items: []}\n")
    assert "give either file or items" in problems_of(home)[0]


def test_an_unknown_key_is_named_with_its_line_and_a_guess(tmp_path):
    (problem,) = problems_of(put(tmp_path, SMALL + "limits: {output_token: 5}\n"))
    assert problem.endswith("skill.yaml:11:10: limits.output_token: unknown key (did you mean 'output_tokens'?)")
    (problem,) = problems_of(put(tmp_path, SMALL + "exmples: {}\n"))
    assert problem.endswith("skill.yaml:11:1: exmples: unknown key (did you mean 'examples'?)")


def test_name_and_folder_must_be_equal(tmp_path):
    (problem,) = problems_of(put(tmp_path, SMALL.replace("name: small", "name: large")))
    assert "skill.yaml:2:1: name: is 'large', but its folder is 'small'" in problem


def test_a_file_of_another_name_may_stand_anywhere(tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text(SMALL, "utf-8")
    assert read_skill(path).skill.name == "small"


def test_steps_and_a_prompt_beside_them_are_told_apart(tmp_path):
    prompt, tool, *_ = problems_of(put(tmp_path, SMALL + "steps: [{id: a, tool: b}]\n"))
    assert "skill.yaml:10:1: prompt: is never used beside steps" in prompt
    assert "skill.yaml:11:17: steps[0].tool: there is no tool 'b' under tools" in tool


def test_empty_steps_are_none(tmp_path):
    assert read_skill(put(tmp_path, SMALL + "steps: []\n")).skill.digest() == SMALL_DIGEST
    (problem,) = problems_of(put(tmp_path, SMALL.replace('prompt: "{{ text }}"\n', "steps: []\n")))
    assert "skill.yaml:1:1: prompt: is required" in problem


def test_a_secret_is_refused_and_never_repeated(tmp_path):
    secret = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2
    (problem,) = problems_of(put(tmp_path, SMALL.replace("One colour.", f"Use {secret}.")))
    assert "instructions: looks like a secret" in problem
    assert secret not in problem


def test_a_credential_is_found_by_its_key_in_examples_and_metadata_but_never_in_a_contract(tmp_path):
    contract = SMALL.replace("{type: string}", "{type: string}\n  password: {type: string, description: typed1n}")
    example = "examples: {items: [{id: a, input: {text: x, password: %s}, output: {colour: red}}]}\n"
    for value in ("changeme", "'[redacted:credential]'"):
        read_skill(put(tmp_path, contract + example % value))
    for more in (example % "hunter2secret9x", "metadata: {api_key: hunter2secret9x}\n"):
        (problem,) = problems_of(put(tmp_path, contract + more))
        assert "looks like a secret (credential)" in problem
        assert "hunter2" not in problem


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\U000e0041"])
def test_hidden_text_is_refused(tmp_path, hidden):
    assert any(
        "hidden character" in problem for problem in problems_of(put(tmp_path, SMALL.replace("One", f"On{hidden}e")))
    )


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    text = SMALL.replace("{type: string}", "{type: strin}").replace("{{ text }}", "{{ txt }}")
    more = (
        "checks:\n  - {type: contans, value: x}\n  - {type: regex, value: '(a)\\1'}\n"
        "  - {type: in-input, of: nothing}\n"
        "examples: {items: [{id: a, input: {text: x}, output: {colour: green}}]}\n"
    )
    found = "\n".join(problems_of(put(tmp_path, text + more)))
    for part in ("input.text", "prompt:", "checks[0].type", "checks[1].value", "checks[2].of"):
        assert part in found, part
    assert "did you mean 'contains'?" in found


def test_a_missing_key_a_missing_file_and_what_lint_finds_are_said_together(tmp_path):
    text = SMALL.replace("description: Say which colour it is.\n", "").replace("string}", "strng}")
    text = text.replace("{{ text }}", "{{ text.upper() }}")
    found = problems_of(put(tmp_path, text + "checks:\n  - {type: contans, value: x}\nexamples: {file: none.jsonl}\n"))
    assert len(found) == 5
    for part in (
        "skill.yaml:1:1: description: is required",
        "skill.yaml:4:3: input.text/type",
        "skill.yaml:9:1: prompt: a call is not allowed",
        "skill.yaml:11:5: checks[0].type: ",
        "skill.yaml:12:12: examples.file: 'none.jsonl' is not a file",
    ):
        assert any(part in line for line in found), (part, found)


@pytest.mark.parametrize("key", ["name", "description", "input", "output", "instructions", "prompt"])
@pytest.mark.parametrize("written", [None, "[5]"])
def test_what_stands_in_for_a_wrong_key_is_never_complained_about(tmp_path, key, written):
    body = {
        **BODY,
        "input": {"text": {"type": "string"}, "more": {"type": "string", "default": ""}},
        "prompt": "{{ text }} {{ more }}",
        "examples": {"items": [{"id": "a", "input": {"text": "x"}, "output": {"colour": "red"}}]},
        "checks": [{"type": "not-in-input", "of": "more"}, {"type": "contans"}],
    }
    del body[key]
    text = json.dumps(body)[:-1] + (f', "{key}": {written}}}' if written else "}")
    found = problems_of(put(tmp_path, text))
    assert {line.split(": ")[1].split("[")[0] for line in found} == {key, "checks"}, found
    assert any("checks[1].type" in line for line in found)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ("checks: [{value: x}, {type: contans}]", "checks[0].type"),
        ("checks: [5, {type: contans}]", "checks[0]"),
        ("checks: [{type: in-input, of: 5}, {type: contans}]", "checks[0].of"),
        ("checks: [{type: is-json, weight: -1}, {type: contans}]", "checks[0].weight"),
        ("limits: 5\nchecks: [{type: is-json}, {type: contans}]", "limits"),
        ("limits: {output_tokens: x}\nchecks: [{type: is-json}, {type: contans}]", "limits.output_tokens"),
        ("metadata: {a: 5}\nchecks: [{type: is-json}, {type: contans}]", "metadata.a"),
        ("examples: {items: [5]}\nchecks: [{type: is-json}, {type: contans}]", "examples.items[0]"),
        ("examples: {items: [{id: 5}]}\nchecks: [{type: is-json}, {type: contans}]", "examples.items[0].id"),
        ("examples: {items: [{id: 5, k: 1}], k: 0}\nchecks: [{type: is-json}, {type: contans}]", "examples"),
        ("steps: [{id: a}]\nchecks: [{type: is-json}, {type: contans}]", "steps"),
    ],
)
def test_a_wrong_part_hides_no_other_and_is_named_alone(tmp_path, more, field):
    found = problems_of(put(tmp_path, f"{SMALL}{more}\n"))
    assert any(f" {field}" in line for line in found), found
    assert any(" checks[1].type: " in line for line in found), found
    assert all(f" {field}" in line or " checks[1].type: " in line or " examples.items[0]." in line for line in found)


def test_a_name_unlike_its_folder_is_said_beside_a_missing_key(tmp_path):
    text = SMALL.replace("name: small", "name: large").replace("description: Say which colour it is.\n", "")
    assert [line.split(": ")[1] for line in problems_of(put(tmp_path, text))] == ["description", "name"]


@pytest.mark.parametrize("gone", ["input", "output"])
def test_wrong_examples_beside_a_missing_contract_are_no_crash(tmp_path, gone):
    body = {key: value for key, value in BODY.items() if key != gone}
    body |= {"examples": {"items": [{"id": 5, "more": 1}, 7]}, "checks": [{"type": "contans"}]}
    found = problems_of(put(tmp_path, json.dumps(body)))
    for field in (gone, "examples.items[0].id", "examples.items[0].more", "examples.items[1]", "checks[0].type"):
        assert any(f" {field}: " in line for line in found), (field, found)


def test_a_field_that_is_no_schema_hides_nothing_of_its_neighbours(tmp_path):
    text = SMALL.replace("  text: {", "  more: 5\n  text: {").replace("string}", "strng}")
    fields = [line.split(": ")[1] for line in problems_of(put(tmp_path, text))]
    assert fields == ["input.more", "input.text/type"]


def test_a_deeply_nested_example_beside_a_wrong_key_is_no_crash(tmp_path):
    deep = "[" * 200 + "]" * 200
    text = SMALL.replace("description", "descripton") + "examples: {file: ex.jsonl}\n"
    line = f'{{"input": {{"text": {deep}}}, "output": {{"colour": "red"}}}}\n'
    assert any("description: is required" in found for found in problems_of(put(tmp_path, text, ex_jsonl=line)))


def test_examples_and_defaults_must_fit_the_contract(tmp_path):
    item = "examples: {items: [{id: a, input: {}, output: {colour: green}}, {id: a, input: {text: x}, output: {}}]}\n"
    found = problems_of(put(tmp_path, SMALL.replace("{type: string}", "{type: string, default: 5}") + item))
    joined = "\n".join(found)
    assert "example a: the output does not fit the contract: colour" in joined
    assert "the id 'a' stands twice" in joined
    assert "input.text.default: does not fit its own schema" in joined


def test_a_reference_starts_at_the_root_of_the_contract(tmp_path):
    local = "colour: {$defs: {c: {enum: [red, blue]}}, $ref: '#/properties/colour/$defs/c'}"
    assert read_skill(put(tmp_path, SMALL.replace("colour: {enum: [red, blue]}", local)))
    for ref in ("#/$defs/c", "https://example.org/x.json", "other.json"):
        wrong = local.replace("#/properties/colour/$defs/c", ref)
        (problem,) = problems_of(put(tmp_path, SMALL.replace("colour: {enum: [red, blue]}", wrong)))
        assert "skill.yaml:7:3: output.colour/$ref" in problem


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"checks": [{"type": "equals", "value": [[]] * 1 + [2**60]}]}, "2**53"),
        ({"output": {"colour": {"enum": [float("nan")]}}}, "has no identity"),
        ({"input": {"text\n": {"type": "string"}}, "prompt": "x"}, "letters, digits and _"),
        ({"input": {}}, "needs at least one field"),
        ({"output": {"colour": 5}}, "output.colour: must be a mapping"),
        ({"name": "Not A Name"}, "has the wrong form"),
        ({"name": "con"}, "reserved by an operating system"),
        ({"description": "<b>"}, "holds < or >"),
        ({"instructions": "x" * 65_537}, "longer than 65,536"),
    ],
)
def test_a_body_that_never_was_a_file_is_held_to_the_same_rules(change, part):
    with pytest.raises(SkillFileError) as caught:
        parse_skill({**BODY, **change}, path="the draft")
    assert part in str(caught.value)
    assert str(caught.value).startswith("the draft: ")


@pytest.mark.parametrize("depth", [33, 300, 3000])
def test_a_deep_body_is_refused_and_not_a_crash(depth):
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    with pytest.raises(SkillFileError, match=r"deep|identity"):
        parse_skill({**BODY, "checks": [{"type": "equals", "value": deep}]}, path="the draft")


def test_an_unshown_field_is_only_a_warning(tmp_path):
    found = read_skill(put(tmp_path, SMALL.replace("{{ text }}", "hello")))
    assert [problem.level for problem in found.warnings] == ["warning"]
    assert "never shown to the model" in found.warnings[0].message


@pytest.mark.parametrize(
    ("text", "part"), [("[1, 2]", "must be a mapping"), ("a: 1\na: 2\n", "stands twice"), ("a: [", "not YAML")]
)
def test_what_is_no_skill_at_all(tmp_path, text, part):
    assert any(part in problem for problem in problems_of(put(tmp_path, text)))


def test_no_file_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no skill file there"):
        read_skill(tmp_path / "nothing")
    with pytest.raises(NotFound):
        read_skill(tmp_path)


def test_the_order_of_nested_fields_is_part_of_the_identity(triage):
    def digest_of(*names: str) -> str:
        fields = {name: {"type": "string"} for name in names}
        return str(triage(output={"queue": {"type": "object", "properties": fields}}).digest())

    assert digest_of("why", "label") != digest_of("label", "why")
    assert digest_of("why", "label") == digest_of("why", "label")


def test_how_to_decode_is_part_of_the_identity_and_what_to_keep_is_not(tmp_path):
    old = read_skill(put(tmp_path, SMALL)).skill.digest()
    assert read_skill(put(tmp_path, SMALL + "keep: [One colour.]\ndecoding: {}\nrepair: ''\n")).skill.digest() == old
    for more in ("decoding: {format: free}\n", "decoding: {effort: low}\n", "repair: 'Mend {problems}'\n"):
        assert read_skill(put(tmp_path, SMALL + more)).skill.digest() != old


def test_decoding_repair_and_keep_survive_writing(tmp_path, triage):
    skill = triage(
        decoding={"format": "json", "keys": ["quote", "queue"], "temperature": 0.5, "thinking_tokens": 0},
        repair="Mend:\n{problems}",
        keep=["quote the ticket"],
    )
    found = read_skill(write_skill(skill, tmp_path / skill.name)).skill
    assert (found.decoding, found.repair, found.keep) == (skill.decoding, skill.repair, skill.keep)
    assert found.digest() == skill.digest()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("keep: [Two colours.]\n", "keep[0]"),
        ("keep: ['']\n", "keep[0]"),
        ("decoding: {keys: [shape]}\n", "decoding.keys"),
        ("decoding: {keys: [colour, colour]}\n", "decoding.keys"),
        ("decoding: {format: xml}\n", "decoding.format"),
        (f"repair: {'x' * 5000}\n", "repair"),
    ],
)
def test_what_cannot_be_asked_or_kept_is_refused(tmp_path, more, said):
    with pytest.raises(SkillFileError) as caught:
        read_skill(put(tmp_path, SMALL + more))
    assert [problem.field for problem in caught.value.problems] == [said]


def test_a_text_has_no_keys_and_a_workflow_no_decoding():
    text = {**BODY, "output": "text", "decoding": {"keys": ["colour"]}}
    steps = {**BODY, "steps": [{"id": "a", "prompt": "{{ text }}"}], "repair": "Mend."}
    for body, said in ((text, "a text has no keys"), ({k: v for k, v in steps.items() if k != "prompt"}, "workflow")):
        with pytest.raises(SkillFileError, match=said):
            parse_skill(body, path="draft")
