"""An answer can be held to the words of its input while it is written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skillforge.engine.frame import build_request
from skillforge.engine.spans import MAX_RUNS, RUN_WORDS, held_to_input
from skillforge.skill import Skill
from skillforge.skillparts import Check, Decoding

TEXT = {"type": "string", "maxLength": 60}


def booking(*checks: Check, output: dict[str, object] | None = None) -> Skill:
    return Skill(
        name="booking",
        description="Copies what was said.",
        input={"message": {"type": "string"}, "note": {"type": "string", "default": "from the web"}},
        output=output or {"day": TEXT, "kind": {"enum": ["table", "room"]}, "remark": TEXT},
        instructions="Copy.",
        prompt="{{ message }} {{ note }}",
        checks=checks,
        decoding=Decoding(format="spans"),
    )


def held(skill: Skill, message: str) -> dict[str, object]:
    request = build_request(skill, {"message": message, "note": "from the web"}, role="run")
    assert request.output_schema is not None
    return request.output_schema["properties"]


def test_a_text_under_an_in_input_check_is_one_of_the_runs_of_words_of_that_input() -> None:
    fields = held(booking(Check(type="in-input", path="/day", of="message", value="")), "Friday at 7.30, please")
    runs = fields["day"]["enum"]
    assert runs[:5] == ["", "Friday", "Friday at", "Friday at 7.30", "Friday at 7.30, please"]
    assert "7.30" in runs
    assert "web" not in " ".join(runs)
    assert (fields["kind"], fields["remark"]) == ({"enum": ["table", "room"]}, TEXT)


def test_without_a_marker_for_nothing_said_something_must_be_chosen() -> None:
    fields = held(booking(Check(type="in-input", path="/day")), "tomorrow")
    assert fields["day"]["enum"] == ["tomorrow", "from", "from the", "from the web", "the", "the web", "web"]


def test_texts_inside_lists_and_objects_are_held_and_their_labels_stay() -> None:
    item = {"type": "object", "properties": {"slot": {"enum": ["city"]}, "text": TEXT}}
    skill = booking(
        Check(type="in-input", path="/slots", of="message"), output={"slots": {"type": "array", "items": item}}
    )
    fields = held(skill, "in Ulm")
    assert fields["slots"]["items"]["properties"] == {
        "slot": {"enum": ["city"]},
        "text": {"enum": ["in", "in Ulm", "Ulm"]},
    }


def test_other_checks_and_an_input_without_words_hold_nothing() -> None:
    assert held(booking(Check(type="not-in-input", path="/day")), "tomorrow")["day"] == TEXT
    assert held(booking(Check(type="in-input", path="/day", of="message")), "?!")["day"] == TEXT
    assert held(booking(Check(type="in-input", path="/day/0", of="message")), "tomorrow")["day"] == TEXT


def test_an_input_with_too_many_runs_leaves_the_contract_as_it_is() -> None:
    message = " ".join(f"word{number}" for number in range(MAX_RUNS))
    assert held(booking(Check(type="in-input", path="/day", of="message")), message)["day"] == TEXT


@given(st.text(max_size=200))
def test_every_choice_stands_in_the_input_and_is_short(message: str) -> None:
    skill = booking(Check(type="in-input", path="/day", of="message"))
    found = held_to_input({"type": "object", "properties": {"day": TEXT}}, skill, {"message": message})
    for run in found["properties"]["day"].get("enum", []):
        assert run in message
        assert len(run.split()) <= RUN_WORDS
