from __future__ import annotations

import gzip
import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.capture.context import Labels
from skillforge.capture.exchange import MAX_BODY, Exchange, Policy
from skillforge.capture.reading import Reader
from skillforge.messages import Cost
from tests.capture.asking import KINDS, perform
from tests.fakes.faults import Fault
from tests.fakes.llm_server import Answer, refuse, sequence

KIND = pytest.mark.parametrize("kind", KINDS, ids=str)
SYNC = pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.is_async], ids=str)
ANSWER = {
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [{"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 2},
}


def exchange(
    request: bytes | None = None,
    response: bytes | None = None,
    *,
    api: str = "anthropic",
    labels: Labels | None = None,
    policy: Policy | None = None,
    status: int = 200,
    encoding: str = "",
    error: str = "",
) -> Exchange:
    asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    told = json.dumps(ANSWER).encode()
    given_policy = policy or Policy("full")
    made = Exchange(api, "", asked if request is None else request, labels or Labels(), given_policy, lambda x: None)
    made.answered(status, encoding)
    made.take(told if response is None else response)
    made.end(error)
    return made


def reader() -> Reader:
    return Reader(lambda call: call)


def test_a_call_has_its_time_and_an_id_of_its_own():
    one, two = (reader().read(exchange()) for _ in range(2))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.at)
    assert one.id != two.id
    assert one.text == "yes"
    assert (one.usage.input_tokens, one.usage.output_tokens) == (10, 2)


def test_an_answer_that_was_compressed_is_read():
    packed = gzip.compress(json.dumps(ANSWER).encode())
    assert reader().read(exchange(response=packed, encoding="gzip")).text == "yes"


def test_a_compressed_answer_that_grows_too_large_is_not_unpacked():
    bomb = gzip.compress(b" " * (MAX_BODY * 4))
    with pytest.raises(ValueError, match="longer than 8 MiB"):
        reader().read(exchange(response=bomb, encoding="gzip"))


def test_a_compressed_answer_that_was_cut_gives_what_came():
    packed = gzip.compress(json.dumps(ANSWER).encode())[:60]
    call = reader().read(exchange(response=packed, encoding="gzip", error="ReadError"))
    assert (call.output, call.error) == (None, "ReadError")


def test_the_price_is_asked_only_where_something_may_cost():
    priced = Reader(lambda call: call.model_copy(update={"cost": Cost(usd=1.0)}))
    assert priced.read(exchange()).cost.usd == 1.0
    assert priced.read(exchange(status=500)).cost.usd == 0.0


def test_the_words_of_an_error_are_not_kept(kitchen, servers):
    server = servers(faults=sequence([refuse(401, message="Incorrect API key: sk-live-1234567890")]))
    perform(KINDS[0], "text", kitchen.wrap(KINDS[0].client(server.url)))
    (call,) = kitchen.calls
    assert call.error == "HTTP 401 authentication_error"
    assert "sk-live" not in call.model_dump_json()


@SYNC
def test_a_request_that_is_too_long_is_recorded_without_texts(kind, kitchen, servers):
    server = servers(answer=lambda body: Answer("yes"))
    client = kitchen.wrap(kind.client(server.url))
    assert kind.create(client)(**kind.body("x" * (MAX_BODY + 1)))
    client.close()
    (call,) = kitchen.calls
    assert (call.model, call.messages, call.output) == ("fake-large", (), None)
    assert call.error == "the request is longer than 8 MiB: not kept"


@SYNC
def test_an_answer_that_is_too_long_is_recorded_without_its_text(kind, kitchen, servers):
    server = servers(faults=sequence([Fault("huge", size=MAX_BODY + 1)]))
    client = kitchen.wrap(kind.client(server.url))
    assert len(str(kind.create(client)(**kind.body("hello")))) > MAX_BODY
    client.close()
    (call,) = kitchen.calls
    assert (call.messages[0].text, call.output) == ("hello", None)
    assert call.error == "the answer is longer than 8 MiB: not kept"


# what is kept


def test_a_share_keeps_whole_conversations():
    policy = Policy("full", share=0.3)
    kept = {}
    for number in range(300):
        labels = Labels(conversation=f"c-{number}")
        kept[number] = {reader().read(exchange(labels=labels, policy=policy)) is not None for _ in range(3)}
    assert all(len(found) == 1 for found in kept.values())
    assert 50 < sum(found == {True} for found in kept.values()) < 130


def test_a_share_without_conversations_is_drawn_call_by_call():
    found = [reader().read(exchange(policy=Policy("full", share=0.5))) is not None for _ in range(400)]
    assert 120 < sum(found) < 280
    assert reader().read(exchange(policy=Policy("full", share=0.0))) is None


@pytest.mark.parametrize(
    ("named", "conversation"),
    [
        ({"conversation": "conv_1"}, "conv_1"),
        ({"conversation": {"id": "conv_2"}}, "conv_2"),
        ({"metadata": {"session_id": "s"}}, "s"),
        ({"metadata": {"conversation_id": 7}}, ""),
        ({"metadata": "no object"}, ""),
        ({"prompt_cache_key": "one for the whole program"}, ""),
    ],
)
def test_a_request_may_name_its_conversation(named, conversation):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **named}).encode()
    assert reader().read(exchange(body)).conversation == conversation
    told = Labels(conversation="said by the program")
    assert reader().read(exchange(body, labels=told)).conversation == "said by the program"


def test_a_chain_of_responses_is_the_conversation_of_its_first():
    one = reader()

    def ask(own: str, before: str | None, labels: Labels | None = None) -> str:
        request = json.dumps({"model": "m", "input": "hi", "previous_response_id": before}).encode()
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]}
        told = json.dumps({"id": own, "object": "response", "status": "completed", "model": "m", "output": [item]})
        return one.read(exchange(request, told.encode(), api="openai-responses", labels=labels)).conversation

    assert ask("r1", None) == "r1"
    assert ask("r2", "r1") == "r1"
    assert ask("r3", "r2") == "r1"
    assert ask("r4", "of another process") == "of another process"
    assert ask("q1", None, Labels(conversation="named")) == "named"
    assert ask("q2", "q1") == "named"


def test_a_mask_changes_drops_or_fails_before_anything_is_kept(kitchen, servers):
    kind = KINDS[0]

    def mask(call):
        if "secret" in call.messages[0].text:
            raise RuntimeError("the mask broke")
        return None if "private" in call.messages[0].text else call.model_copy(update={"subject": "masked"})

    client = kitchen.wrap(kind.client(servers().url), mask=mask)
    for text in ("plain", "private", "secret", "secret"):
        assert kind.create(client)(**kind.body(text))
    client.close()
    assert [call.subject for call in kitchen.calls] == ["masked"]
    assert kitchen.said == ["some calls are not recorded: mask raised RuntimeError"]
    assert kitchen.recorder.dropped == {"mask raised RuntimeError": 2}


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (lambda call: call.model_dump(), "the mask returned dict, not a Call or None"),
        (
            lambda call: call.model_copy(update={"messages": ["private"]}),
            "the mask made a call that cannot be: messages.0",
        ),
    ],
)
def test_what_a_mask_spoils_is_dropped_alone(kitchen, servers, mask, reason):
    kind = KINDS[0]
    client = kitchen.wrap(kind.client(servers().url), mask=mask)
    assert kind.create(client)(**kind.body("private"))
    client.close()
    assert kitchen.calls == []
    assert kitchen.recorder.dropped == {reason: 1}


def test_half_a_character_in_what_the_program_says_is_stored_as_a_question_mark(kitchen, servers):
    kind = KINDS[0]
    labels = Labels(conversation="a\udcff", subject="b\udcff", tags={"file": "c\udcff"})
    client = kitchen.wrap(kind.client(servers().url), labels=labels)
    masked = kitchen.wrap(client, mask=lambda call: call.model_copy(update={"subject": "d\udcff"}))
    for each in (kitchen.wrap(client, labels=labels), masked):
        assert kind.create(each)(**kind.body("hello"))
    client.close()
    assert [call.subject for call in kitchen.calls] == ["b?", "d\ufffd"]
    assert all(call.model_dump_json() for call in kitchen.calls)


# hostile bytes


BYTES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "model",
                        "messages",
                        "input",
                        "content",
                        "role",
                        "error",
                        "choices",
                        "output",
                        "usage",
                        "metadata",
                        "conversation",
                        "previous_response_id",
                        "id",
                        "text",
                        "type",
                        "tools",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(
    request=BYTES,
    response=BYTES | BYTES.map(lambda data: b"event: x\ndata: " + data + b"\n\n"),
    api=st.sampled_from(["anthropic", "openai-chat", "openai-responses"]),
    status=st.sampled_from([200, 400, 529]),
    encoding=st.sampled_from(["", "gzip", "zstd", "br", "odd"]),
)
def test_unreadable_bytes_are_a_value_error_at_most(request, response, api, status, encoding):
    with suppress(ValueError):
        reader().read(exchange(request, response, api=api, status=status, encoding=encoding))


def test_a_body_nested_without_end_is_a_value_error():
    deep = b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(ValueError, match="nested"):
        reader().read(exchange(deep))
