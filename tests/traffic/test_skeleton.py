from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from talk import call, tool

from skillforge.messages import Message, ToolCall, ToolResult
from skillforge.traffic.segments import split
from skillforge.traffic.skeleton import Skeleton, Turn, turns_of

SYSTEM = Turn(role="system", texts=("Be brief.",))
ASK = Turn(role="user", texts=("Ticket: ", "\nLocale: ", ""), gaps=("ticket", "locale"))


@given(st.text(), st.sampled_from(["system", "user"]))
def test_the_pieces_of_a_text_are_the_text(text, role):
    assert "".join(split(text, role)) == text


@given(st.text(alphabet='<ab>:\n "{},.!?`#'))
def test_the_pieces_of_a_text_full_of_marks_are_the_text(text):
    pieces = split(text, "user")
    assert "".join(pieces) == text
    assert all(piece.strip() for piece in pieces) or len(pieces) == 1


@given(st.lists(st.text(alphabet="ab:", max_size=6), min_size=1, max_size=4), st.data())
def test_constants_rendered_with_the_gaps_give_back_the_text(texts, data):
    gaps = tuple(f"f{at}" for at in range(len(texts) - 1))
    turn = Turn(role="user", texts=tuple(texts), gaps=gaps)
    values = [data.draw(st.text(alphabet="ab:", max_size=6)) for _ in gaps]
    text = turn.render(dict(zip(gaps, values, strict=True)))
    found = turn.match(text)
    assert found is not None
    assert turn.render(dict(zip(gaps, found, strict=True))) == text


def test_fields_are_what_varies_and_other_calls_have_none():
    skeleton = Skeleton.of((SYSTEM, ASK))
    member = call(1, "Ticket: I pay twice\nLocale: en", system="Be brief.")
    assert skeleton.fields(member) == {"ticket": "I pay twice", "locale": "en"}
    assert skeleton.render(skeleton.fields(member)) == turns_of(member)
    assert skeleton.fields(call(2, "Ticket: I pay twice", system="Be brief.")) is None
    assert skeleton.fields(call(3, "Ticket: a\nLocale: en")) is None
    assert skeleton.fields(call(4, "Ticket: a\nLocale: en", "b", "c", system="Be brief.")) is None
    assert skeleton.fields(member.model_copy(update={"tools": (tool("look_up"),)})) is None


def test_the_id_names_the_constants_and_not_the_fields():
    named = Turn(role="user", texts=ASK.texts, gaps=("text", "text_2"))
    assert Skeleton.of((SYSTEM, named)).id == Skeleton.of((SYSTEM, ASK)).id
    assert Skeleton.of((SYSTEM, ASK), tools=None).id != Skeleton.of((SYSTEM, ASK)).id
    assert Skeleton.of((SYSTEM, ASK)).id == "g-e7c08e1b"  # kept in databases and typed by people


def test_a_conversation_keeps_its_history_with_tool_calls():
    skeleton = Skeleton.of((SYSTEM,), open=True, tools=("look_up",))
    messages = (
        Message.of("user", "Where is it?"),
        Message(role="assistant", content=(ToolCall(id="1", name="look_up", arguments={"n": 1}),)),
        Message(role="tool", content=(ToolResult(id="1", content="in Graz"),)),
    )
    asked = call(1, system="Be brief.", tools=(tool("look_up"),), messages=messages)
    fields = skeleton.fields(asked)
    assert fields is not None
    assert (fields["message"], len(fields["history"])) == ("", 3)
    assert skeleton.render(fields) == turns_of(asked)
    first = call(2, "Where is it?", system="Be brief.", tools=(tool("look_up"),))
    assert skeleton.fields(first) == {"history": [], "message": "Where is it?"}


def test_tools_that_vary_are_a_field():
    skeleton = Skeleton.of((SYSTEM, Turn(role="user", texts=("", ""), gaps=("text",))), tools=None)
    fields = skeleton.fields(call(1, "Hi", system="Be brief.", tools=(tool("a"), tool("b"))))
    assert fields is not None
    assert [item["name"] for item in fields["tools"]] == ["a", "b"]
    assert skeleton.fields(call(2, "Hi", system="Be brief.")) is None


def test_calls_of_a_narrower_skeleton_are_not_of_the_wider():
    narrow = Skeleton.of((SYSTEM, ASK))
    wide = Skeleton.of((SYSTEM, Turn(role="user", texts=("", ""), gaps=("text",)))).model_copy(
        update={"besides": (narrow,)}
    )
    assert wide.fields(call(1, "Ticket: a\nLocale: en", system="Be brief.")) is None
    assert wide.matches(call(2, "anything", system="Be brief."))
