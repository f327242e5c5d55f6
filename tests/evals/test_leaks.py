"""What a skill gives away of its cases is found, what it has in common with them is not."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.case import Case
from skillforge.evals.leaks import leaking
from skillforge.skill import Skill

ASK = "My invoice of last Tuesday shows the fee twice"
REPLY = "We are sorry for that. The second fee is on its way back to your card."


def skill(instructions: str = "Answer.", **more) -> Skill:
    body = {
        "name": "s",
        "description": "d",
        "input": {"t": {"type": "string"}},
        "output": "text",
        "instructions": instructions,
        "prompt": "{{ t }}",
    }
    return Skill.model_validate({**body, **more})


def case(given: str = "Something else that nobody ever wrote down", expected=None, name: str = "c") -> Case:
    return Case(id=name, input={"t": given}, expected=expected)


def whys(skill: Skill, *cases: Case) -> dict[str, str]:
    return {item.case: item.why for item in leaking(skill, cases)}


def test_an_input_or_an_answer_in_the_skill_is_found_with_its_part():
    assert whys(skill(f"For example: {ASK}."), case(ASK)) == {"c": "its input t stands in the skill's instructions"}
    assert whys(skill(prompt=f"Such as {REPLY}\n{{{{ t }}}}"), case(expected=REPLY)) == {
        "c": "its answer stands in the skill's prompt"
    }
    shown = {"items": [{"id": "e", "input": {"t": "x"}, "output": f"Dear you, {REPLY}"}]}
    assert "the skill's examples" in whys(skill(examples=shown), case(expected={"a": [REPLY]}))["c"]
    assert "answer a.0 stands" in whys(skill(examples=shown), case(expected={"a": [REPLY]}))["c"]


@pytest.mark.parametrize(
    "written",
    [ASK.upper(), ASK.replace(" ", "\n  "), '{"t": "' + ASK.replace(" ", "\\n", 1) + '"}', f"«{ASK}»", f"- {ASK}"],
)
def test_white_space_case_and_json_escapes_do_not_hide_it(written):
    assert whys(skill(written), case(ASK))


def test_punctuation_at_its_start_does_not_hide_it():
    assert whys(skill(f"Say {ASK}"), case(f'"{ASK}'))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("yes", "no"), ("the second fee is on", None), ("x", "The second fee is on its way back"), ("", "")],
)
def test_short_texts_give_nothing_away(given, expected):
    assert not whys(skill(f"yes no {REPLY}"), case(given, expected))


def test_what_the_contract_lists_and_what_many_cases_share_is_no_leak():
    output = {"reply": {"type": "string", "enum": [REPLY, "none"]}}
    assert not whys(skill(REPLY, output=output), case(expected={"reply": REPLY}))
    assert not whys(skill(REPLY), *(case(f"t {n}", REPLY, f"c{n}") for n in range(3)))
    assert len(whys(skill(REPLY), *(case(f"t {n}", REPLY if n < 2 else None, f"c{n}") for n in range(3)))) == 2


def test_a_script_without_spaces_is_found_too():
    text = "上周二的发票上同一笔费用出现了两次请退款"
    assert whys(skill(f"例如{text}谢谢"), case(text))


def test_part_of_a_word_is_no_word():
    assert not whys(skill("re" + ASK), case(ASK))


WORDS = st.lists(st.sampled_from(["aa", "b", "Fee,", "é", "42", "\n", "中"]), max_size=30)


@given(WORDS, st.lists(st.sampled_from(["alpha", "beta", "gamma"]), min_size=6, max_size=12), WORDS)
def test_whatever_stands_around_it_a_text_is_found(before, words, after):
    text = " ".join(words)
    assert whys(skill(" ".join([*before, text, *after]) or "x"), case(text))


def test_thousands_of_cases_and_a_long_skill_take_seconds():
    chance = random.Random(1)
    words = [f"word{n}" for n in range(2000)]
    long = skill(" ".join(chance.choices(words, k=120_000)))
    cases = [case(" ".join(chance.choices(words, k=30)), name=f"c{n}") for n in range(2000)]
    start = time.process_time()
    assert leaking(long, cases) == []
    repeated = [case("aaa " * (30 + n % 40) + str(n), name=f"c{n}") for n in range(200)]
    assert leaking(skill("aaa " * 200_000), repeated) == []
    assert time.process_time() - start < 5
