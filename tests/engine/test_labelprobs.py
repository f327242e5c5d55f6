"""The probabilities of labels: of the contract's labels only, never more than 1 in all, right letter by letter."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.engine.labelprobs import label_probabilities
from skillforge.messages import TokenLogprob
from skillforge.skill import Skill
from tests.conftest import TRIAGE

EPS = 1e-4


def skill_of(output: dict[str, Any]) -> Skill:
    return Skill.model_validate({**TRIAGE, "output": output, "examples": {}, "checks": []})


def token(text: str, top: dict[str, float], chosen: float | None = None) -> TokenLogprob:
    """A token with the probabilities of its place."""
    share = top.get(text, chosen)
    return TokenLogprob(
        token=text,
        logprob=math.log(share) if share else -math.inf,
        top=tuple((other, math.log(p)) for other, p in top.items()),
    )


def plain(*texts: str) -> list[TokenLogprob]:
    return [token(text, {text: 0.9, "x": 0.1}) for text in texts]


QUEUE = skill_of({"queue": {"enum": ["billing", "bug", "delivery", "other"]}})
URGENT = skill_of({"urgent": {"type": "boolean"}})


def test_tokens_that_lead_to_no_label_are_left_out_as_a_grammar_leaves_them_out() -> None:
    tokens = [
        *plain('{"', "queue", '":"'),
        token("delivery", {"delivery": 0.3, "parcel": 0.3, "other": 0.1, "bug": 0.05, "bill": 0.05, "The": 0.1}),
        *plain('"}'),
    ]
    found = label_probabilities(QUEUE, '{"queue":"delivery"}', tokens)
    assert found == {"queue": {'"delivery"': 0.6, '"other"': 0.2, '"billing"': 0.1, '"bug"': 0.1}}


def test_a_shared_beginning_is_told_apart_by_the_next_token_where_it_was_chosen() -> None:
    tokens = [
        *plain('{"queue": "'),
        token("b", {"b": 0.8, "other": 0.1, "delivery": 0.1}),
        token("ug", {"ug": 0.75, "illing": 0.25}),
        *plain('"}'),
    ]
    found = label_probabilities(QUEUE, '{"queue": "bug"}', tokens)["queue"]
    assert found == pytest.approx({'"bug"': 0.6, '"billing"': 0.2, '"delivery"': 0.1, '"other"': 0.1})


def test_a_shared_beginning_that_was_not_chosen_belongs_to_no_label_and_too_much_of_it_leaves_the_field_out() -> None:
    def found(shared: float) -> dict[str, dict[str, float]]:
        top = {"delivery": 0.9 - shared, "b": shared, "other": 0.1}
        tokens = [*plain('{"queue":"'), token("delivery", top), *plain('"}')]
        return label_probabilities(QUEUE, '{"queue":"delivery"}', tokens)

    assert found(0.05) == {"queue": {'"delivery"': 0.85, '"other"': 0.1}}
    assert found(0.2) == {}


def test_one_label_that_begins_another_is_told_apart_by_its_end() -> None:
    skill = skill_of({"queue": {"enum": ["bill", "billing"]}})
    tokens = [*plain('{"queue":"'), token("bill", {"bill": 1.0, "x": 1e-9}), token('"}', {'"}': 0.7, "ing": 0.3})]
    assert label_probabilities(skill, '{"queue":"bill"}', tokens)["queue"] == pytest.approx(
        {'"bill"': 0.7, '"billing"': 0.3}
    )


def test_numbers_booleans_and_null_end_where_json_says_so() -> None:
    tokens = [*plain('{"urgent":'), token(" true", {" true": 0.6, " false": 0.2, " 1": 0.2}), *plain("}")]
    assert label_probabilities(URGENT, '{"urgent": true}', tokens) == {"urgent": {"true": 0.75, "false": 0.25}}
    grade = skill_of({"grade": {"enum": [1, 10, None]}})
    tokens = [*plain('{"grade":'), token("1", {"1": 0.9, "null": 0.1}), token("}", {"}": 0.5, "0": 0.5})]
    assert label_probabilities(grade, '{"grade":1}', tokens) == {"grade": {"1": 0.45, "10": 0.45, "null": 0.1}}


def test_a_label_that_may_hide_behind_the_alternatives_told_leaves_the_field_out() -> None:
    """Under a grammar the chosen token may not be among the likeliest: then nothing is known of the others."""
    top = {"The": 0.3, "I": 0.2, "A": 0.1}
    tokens = [*plain('{"queue":"'), token("bug", top, chosen=0.001), *plain('"}')]
    assert label_probabilities(QUEUE, '{"queue":"bug"}', tokens) == {}


def test_without_alternatives_or_without_labels_nothing_is_told() -> None:
    bare = [TokenLogprob(token=part, logprob=-0.1) for part in ('{"queue":"', "bug", '"}')]
    assert label_probabilities(QUEUE, '{"queue":"bug"}', bare) == {}
    assert label_probabilities(QUEUE, '{"queue":"bug"}', None) == {}
    text = skill_of({"quote": {"type": "string"}})
    assert label_probabilities(text, '{"quote":"bug"}', plain('{"quote":"', "bug", '"}')) == {}


def test_of_text_around_the_object_and_of_a_name_given_twice_the_value_that_counts_is_read() -> None:
    top = {"bug": 0.9, "other": 0.04, "delivery": 0.03, "billing": 0.03}
    last = token("bug", top)
    parts = [*plain("Sure:\n```json\n", '{"queue":"other","queue":"'), last, *plain('"}', "\n```")]
    text = "".join(item.token for item in parts)
    assert label_probabilities(QUEUE, text, parts)["queue"]['"bug"'] == 0.9


def test_thoughts_before_the_answer_are_stepped_over_and_an_answer_they_repeat_is_not_guessed_at() -> None:
    top = {"bug": 0.9, "other": 0.04, "delivery": 0.03, "billing": 0.03}
    answer = [*plain('{"queue":"'), token("bug", top), *plain('"}')]
    text = '{"queue":"bug"}'
    assert label_probabilities(QUEUE, text, [*plain("so a ", "bug. "), *answer])["queue"]['"bug"'] == 0.9
    assert label_probabilities(QUEUE, text, [*plain(" "), *answer, *answer]) == {}


LABELS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["a", "ab", '"']),
    min_size=1,
    max_size=6,
    unique=True,
)
TOKEN = st.text(max_size=5) | st.sampled_from(["a", "ab", '"', "\ud800", "", '"}', "\x00", ",", "}"])
LOGPROB = st.floats(allow_nan=True, allow_infinity=True)
TOKENS = st.lists(
    st.builds(
        TokenLogprob,
        token=TOKEN,
        logprob=LOGPROB,
        top=st.lists(st.tuples(TOKEN, LOGPROB), max_size=6).map(tuple),
    ),
    max_size=6,
)


def cut(text: str, places: Sequence[int]) -> list[str]:
    at = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(at)]


@settings(max_examples=300, deadline=None)
@given(LABELS, st.integers(0, 5), st.lists(st.integers(0, 60), max_size=6), TOKENS, st.booleans())
def test_hostile_tokens_never_raise_and_never_name_another_label(
    labels: list[str], pick: int, places: list[int], junk: list[TokenLogprob], spelled: bool
) -> None:
    skill = skill_of({"queue": {"enum": labels}})
    answer = labels[pick % len(labels)]
    text = json.dumps({"queue": answer}, ensure_ascii=bool(places))
    alternatives = tuple((item.token, item.logprob) for item in junk)
    tokens = [TokenLogprob(token=part, logprob=-0.5, top=alternatives) for part in cut(text, places)]
    found = label_probabilities(skill, text, tokens if spelled else junk)
    allowed = {json.dumps(label, ensure_ascii=False, separators=(",", ":")) for label in labels}
    for told in found.values():
        assert set(told) <= allowed
        assert json.dumps(answer, ensure_ascii=False) in told
        assert all(0 <= share <= 1 for share in told.values())
        assert sum(told.values()) <= 1 + EPS


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), TOKENS)
def test_a_text_that_is_no_answer_raises_nothing(text: str, tokens: list[TokenLogprob]) -> None:
    label_probabilities(QUEUE, text, tokens)
    label_probabilities(QUEUE, "{" + text, [TokenLogprob(token="{" + text, logprob=0.0, top=(("a", -1.0),)), *tokens])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_letter_by_letter_the_answer_has_the_probability_of_a_model_held_to_the_labels(seed: int) -> None:
    """Oracle: a model over letters, its mass outside the labels cut off letter by letter, as a grammar does."""
    chance = random.Random(seed)
    labels = ["billing", "bug", "bugs", "delivery", "other"]
    ways = {label: f'"{label}"' for label in labels}
    letters = sorted({letter for way in ways.values() for letter in way} | {"q", "z"})
    shares: dict[str, dict[str, float]] = {}

    def place(before: str) -> dict[str, float]:
        weights = [chance.random() + 0.01 for _ in letters]
        return shares.setdefault(before, {x: w / sum(weights) for x, w in zip(letters, weights, strict=True)})

    def mass(way: str) -> float:
        found, before = 1.0, ""
        for letter in way:
            legal = {other[len(before)] for other in ways.values() if other.startswith(before)}
            found *= place(before)[letter] / sum(place(before)[x] for x in legal)
            before += letter
        return found

    expected = {label: mass(way) for label, way in ways.items()}
    answer = chance.choice(labels)
    way = ways[answer]
    tokens = [*plain('{"queue":'), *(token(x, place(way[:at])) for at, x in enumerate(way)), *plain("}")]
    skill = skill_of({"queue": {"enum": labels}})
    found = label_probabilities(skill, f'{{"queue":{way}}}', tokens).get("queue", {})
    for name, share in found.items():
        assert share <= expected[json.loads(name)] + 1e-5
    if found:
        assert found[way] == pytest.approx(expected[answer], abs=1e-5)
    else:  # too much of it lay behind a letter that was not chosen and that several labels share
        assert sum(expected[name] for name in labels if shares_a_fork(ways, way, ways[name])) > 0.1


def shares_a_fork(ways: dict[str, str], chosen: str, way: str) -> bool:
    same = next((at for at, (a, b) in enumerate(zip(chosen, way, strict=False)) if a != b), None)
    return same is not None and sum(other.startswith(way[: same + 1]) for other in ways.values()) > 1
