"""Double labels: two answers each, agreement, and nothing paid twice."""

from __future__ import annotations

from typing import Any

import anyio
from test_simulate import Memory

from skillforge.case import Case
from skillforge.engine.roles.label import label, labelling_cost
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

CASES = [Case(id=f"c{number}", input={"text": text}) for number, text in enumerate(("a", "b", "c", "a"))]


def teacher(second: dict[str, str] | None = None, name: str = "scripted:teacher") -> Scripted:
    def answer(request: Request) -> Any:
        text = request.key.input["text"]
        said = (second or {}).get(text, text) if request.key.role == "solve#2" else text
        return None if said == "fail" else {"label": said, "why": request.key.role}

    return Scripted(default=answer, name=name)


def same_label(case: Case, left: Any, right: Any) -> bool:
    return bool(left["label"] == right["label"])


def test_what_both_answers_say_is_the_label():
    strong = teacher({"b": "other", "c": "fail"})
    found = anyio.run(lambda: label("t", CASES, strong, Memory(), same=same_label))
    assert [item.agreed for item in found] == [{"label": "a"}, None, None, {"label": "a"}]
    assert "no answer" in found[2].error
    assert found[1].error == ""
    assert sorted(request.key.role for request in strong.seen) == ["solve"] * 3 + ["solve#2"] * 3


def test_json_equality_is_the_default_and_blanks_do_not_count():
    answers = iter([{"x": 1}, {"x": 1.0}, "so it is", " so  it is\n", "yes", "no"])
    strong = Scripted(default=lambda request: next(answers), name="scripted:t")
    found = []
    for text in "abc":
        found += anyio.run(lambda text=text: label("t", [Case(id=text, input={"t": text})], strong, Memory()))
    assert [item.agreed for item in found] == [{"x": 1}, "so it is", None]


def test_another_model_gives_the_second_answer():
    first, second = teacher(), teacher(name="scripted:labeller")
    found = anyio.run(lambda: label("t", CASES[:2], first, Memory(), other=second, same=same_label))
    assert [item.agreed["label"] for item in found] == ["a", "b"]
    assert {request.key.role for request in (*first.seen, *second.seen)} == {"solve"}
    assert len(first.seen) == len(second.seen) == 2


def test_nothing_is_asked_twice():
    journal = Memory()
    seen = []
    anyio.run(lambda: label("t", CASES, teacher(), journal, on_labelled=seen.append))
    again = teacher()
    found = anyio.run(lambda: label("t", CASES, again, journal))
    assert again.seen == []
    assert len(seen) == 2 * len(CASES)
    assert labelling_cost(found).usd == 0.0
