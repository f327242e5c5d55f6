"""What differs between two versions of a skill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound
from skillforge.forge.changes.diff import skill_changes, text_changes
from skillforge.forge.forge import Forge
from skillforge.skill import Skill

E1 = {"id": "e1", "input": {"ticket": "charged twice"}, "output": {"queue": "billing", "quote": "charged twice"}}
E2 = {"id": "e2", "input": {"ticket": "app crashes"}, "output": {"quote": "crashes", "queue": "bug"}}
QUEUE = {"enum": ["billing", "bug"]}
QUOTE = {"type": "string"}
TICKET = {"type": "string"}
LOCALE = {"enum": ["en", "de"], "default": "en"}
C1 = {"type": "contains", "value": "a"}
C2 = {"type": "contains", "value": "b"}


def told(a: Skill, b: Skill) -> list[tuple[str, str, str]]:
    return [(change.part, change.kind, change.name) for change in skill_changes(a, b)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"description": "New."}, [("description", "changed", "")]),
        ({"license": "MIT"}, [("license", "changed", "")]),
        ({"metadata": {"team": "ops"}}, [("metadata", "added", "team")]),
        ({"suite": "evals/x.yaml"}, [("suite", "changed", "")]),
        ({"input": {"ticket": TICKET, "locale": LOCALE, "plan": TICKET}}, [("input", "added", "plan")]),
        ({"input": {"ticket": TICKET, "locale": {**LOCALE, "default": "de"}}}, [("input", "changed", "locale")]),
        ({"input": {"locale": LOCALE, "ticket": TICKET}}, [("input", "changed", "(order)")]),
        ({"output": {"quote": QUOTE, "queue": QUEUE}}, [("output", "changed", "(order)")]),
        ({"output": {"queue": QUEUE}}, [("output", "removed", "quote")]),
        ({"output": {"queue": QUEUE, "quote": {"minLength": 1, **QUOTE}}}, [("output", "changed", "quote")]),
        ({"output": "text"}, [("output", "changed", "")]),
        ({"examples": {"items": [E1]}}, [("examples", "removed", "#e2")]),
        ({"examples": {"items": [E2, E1]}}, [("examples", "changed", "(order)")]),
        ({"examples": {"items": [E1, {**E2, "input": {"ticket": "x"}}]}}, [("examples", "changed", "#e2")]),
        ({"examples": {"items": [E1, E2], "select": "first"}}, [("examples", "changed", "select")]),
        ({"examples": {"items": [E1, E2], "k": 1}}, [("examples", "changed", "k")]),
        ({"checks": [C1]}, [("checks", "added", "1")]),
        ({"limits": {"output_tokens": 96}}, [("limits", "changed", "output_tokens")]),
    ],
)
def test_each_part_is_told(triage: Any, changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert told(triage(), triage(**changes)) == expected


def test_checks_are_told_with_their_places(triage: Any) -> None:
    a, b = triage(checks=[C1, C2]), triage(checks=[C2, {**C1, "weight": 2}])
    assert told(a, b) == [("checks", "removed", "1"), ("checks", "added", "2")]


def test_texts_are_line_diffs(triage: Any) -> None:
    a, b = triage(instructions="one\ntwo\nthree\n"), triage(instructions="one\n2\nthree\n", prompt="{{ ticket }}")
    found = text_changes(a, b)
    assert list(found) == ["instructions", "prompt"]
    assert found["instructions"] == ("@@ -1,4 +1,4 @@", " one", "-two", "+2", " three", " ")
    assert "-Locale: {{ locale }}" in found["prompt"]


def test_a_line_break_at_the_end_is_a_difference(triage: Any) -> None:
    assert text_changes(triage(instructions="x"), triage(instructions="x\n"))["instructions"]


PARTS: dict[str, list[Any]] = {
    "description": ["d", "e"],
    "license": ["", "MIT"],
    "metadata": [{}, {"a": "b"}, {"a": "c"}],
    "input": [{"ticket": TICKET}, {"ticket": TICKET, "locale": LOCALE}, {"locale": LOCALE, "ticket": TICKET}],
    "output": ["text", {"queue": QUEUE, "quote": QUOTE}, {"quote": QUOTE, "queue": QUEUE}, {"queue": QUOTE}],
    "instructions": ["", "x", "x\n"],
    "examples": [{}, {"k": 3}, {"items": [E1]}, {"items": [E1, E2]}, {"items": [E2, E1]}, {"select": "nearest"}],
    "checks": [[], [C1], [C1, C2], [C2, C1], [C1, C1]],
    "limits": [{}, {"input_tokens": 5}, {"output_tokens": 1024}],
    "suite": [None, "s"],
}


@given(*(st.fixed_dictionaries({part: st.sampled_from(values) for part, values in PARTS.items()}) for _ in range(2)))
def test_no_difference_is_told_exactly_where_there_is_none(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = (Skill.model_validate({"name": "n", "prompt": "p", **body}) for body in (one, other))
    same = a.digest() == b.digest() and (a.license, a.metadata) == (b.license, b.metadata)
    assert (not skill_changes(a, b) and not text_changes(a, b)) == same


def test_versions_are_compared_with_what_was_measured(
    repo: Path, skill_in: Callable[..., Path], forge_at: Callable[..., Forge]
) -> None:
    forge = forge_at(repo)
    forge.save(skill_in(repo))
    skill_in(repo, instructions="New words.")
    found = forge.repository.diff("ticket-triage@1", "ticket-triage")
    assert found.changed
    assert (found.a.version, found.b.version) == (1, 2)
    assert (found.a.evidence, found.b.evidence) == ((), ())
    assert not forge.repository.diff("ticket-triage@1", "ticket-triage@1").changed
    with pytest.raises(NotFound):
        forge.repository.diff("ticket-triage@1", "ticket-triage@9")
