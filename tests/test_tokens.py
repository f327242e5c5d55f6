from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skillforge.messages import Message, Request, RequestKey, Tool, ToolCall
from skillforge.tokens import bound_tokens, estimate_tokens


def request(*messages: Message, **more: object) -> Request:
    return Request(messages=messages, key=RequestKey(role="run", task="t", input={}), **more)  # type: ignore[arg-type]


@given(st.lists(st.text(), max_size=5))
def test_the_bound_is_never_below_one_token_a_byte(texts):
    asked = request(*(Message.of("user", text) for text in texts))
    sent = sum(len(text.encode("utf-8", "backslashreplace")) for text in texts)
    assert bound_tokens(asked) >= sent
    assert bound_tokens(asked) >= estimate_tokens(asked) - 1


def test_half_surrogates_tools_and_schemas_are_counted():
    plain = request(Message.of("user", "hi"))
    odd = request(Message.of("user", "hi\ud800"))
    call = ToolCall(id="1", name="look", arguments={"x": "\ud800" * 50})
    assert bound_tokens(odd) > bound_tokens(plain)
    assert bound_tokens(request(Message(role="assistant", content=(call,)))) > 50
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    assert bound_tokens(request(Message.of("user", "hi"), output_schema=schema)) > bound_tokens(plain) + 50
    tool = Tool(name="look", parameters=schema)
    assert bound_tokens(request(Message.of("user", "hi"), tools=(tool,))) > bound_tokens(plain) + 50


def test_the_estimate_is_four_characters_a_token():
    assert estimate_tokens(request(Message.of("user", "x" * 400))) == 101
