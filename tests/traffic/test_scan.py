from __future__ import annotations

import random

import pytest
from talk import call, many, scanned, text, tool

from skillforge.messages import Cost, Message, ToolCall, ToolResult, Usage
from skillforge.traffic.skeleton import turns_of

INTENT = "Which queue does this ticket belong to: billing, bug or other?\n\nTicket: {}\n\nAnswer with the queue alone."


def only(report):
    assert len(report.groups) == 1, [group.name for group in report.groups]
    return report.groups[0]


def noise(count, start=50_000):
    return [call(number, text(number, words=number % 17 + 3)) for number in range(start, start + count)]


def test_members_give_back_their_prompts_and_one_off_calls_are_in_no_group():
    calls = [*many(40, lambda n: INTENT.format(text(n))), *noise(60)]
    group = only(scanned(calls))
    members = [each for each in calls if group.skeleton.matches(each)]
    assert (group.calls, len(members)) == (40, 40)
    assert group.share == pytest.approx(0.4)
    for each in members:
        fields = group.skeleton.fields(each)
        assert set(fields) == {"ticket"}
        assert group.skeleton.render(fields) == turns_of(each)


@pytest.mark.parametrize(
    "template",
    [
        "{}\n\nSummarise the text above in one sentence.",
        "Summarise in one sentence.\n\n{}",
        "Summarise what the customer says.\n<message>\n{}\n</message>\nOne sentence, please.",
        'What is the mood of "{}"? Reply good or bad.',
        "Translate '{}' into German please.",
        "{}\nWhich of our products is meant here, and is the writer angry with us?",
        '{{"task": "detect_language", "text": "{}", "options": ["en", "de"]}}',
    ],
)
def test_the_instruction_may_stand_before_after_or_around_the_data(template):
    report = scanned([*many(30, lambda n: template.format(text(n))), *noise(40)])
    group = only(report)
    assert group.calls == 30
    assert len(group.skeleton.field_names) == 1


def test_one_system_prompt_with_several_user_templates_is_several_groups():
    system = "You work for the support team of Acme. Be accurate and never promise anything."
    first = many(30, lambda n: f"Summarise the ticket.\nTicket: {text(n)}", system=system)
    second = many(20, lambda n: f"Draft a friendly reply.\nCustomer: {text(n)}", start=100, system=system)
    report = scanned([*first, *second])
    assert sorted(group.calls for group in report.groups) == [20, 30]
    assert {group.skeleton.field_names for group in report.groups} == {("ticket",), ("customer",)}


def test_free_questions_under_one_system_prompt_are_one_group():
    system = "Name the queue of the ticket: billing, bug or other. One word."
    calls = many(60, lambda n: f"Hello,\n{text(n)}\nThanks." if n % 3 else text(n), system=system)
    group = only(scanned(calls))
    assert group.skeleton.field_names == ("text",)
    assert group.calls == 60


def test_a_date_or_a_name_in_the_system_prompt_splits_nothing():
    names = ["Ana", "Bo", "Cem", "Dora"]
    calls = [
        call(n, f"Text: {text(n)}", system=f"Today is 2026-05-{n % 28 + 1:02d}. You help {names[n % 4]} to sort mail.")
        for n in range(80)
    ]
    group = only(scanned(calls))
    assert group.calls == 80
    assert group.skeleton.field_names[0] == "date"
    assert group.skeleton.fields(calls[3])["date"] == "2026-05-04"


def test_data_that_recurs_splits_no_group():
    endings = ["Thanks.", "Sent from my iPhone", "Kind regards, the Miller family of Graz", ""]
    documents = [text(n, words=30) for n in range(10)]
    calls = many(200, lambda n: INTENT.format(f"{documents[n % 10]}. {text(n)}\n{endings[n % 4]}"))
    assert only(scanned(calls)).calls == 200


def test_an_optional_line_splits_no_group():
    calls = many(90, lambda n: f"Is the customer angry?\n{f'Order: {n}' if n % 3 else ''}\nMessage: {text(n)}")
    assert only(scanned(calls)).calls == 90


def test_example_turns_that_are_constant_are_part_of_the_prompt():
    shots = ("Message: I pay twice", "billing", "Message: it crashes", "bug")
    calls = [call(n, *shots, f"Message: {text(n)}", system="Name the queue.") for n in range(30)]
    group = only(scanned(calls))
    assert not group.skeleton.open
    assert group.skeleton.field_names == ("message",)
    assert "I pay twice" in group.draft.instructions


def conversation(number, turns):
    said = [f"{text(number)} I ask"] + [text(number * 50 + at) for at in range(turns * 2)]
    return [
        call(number * 100 + at, *said[: 2 * at + 1], system="You are the agent of an airline.", tools=(tool("book"),))
        for at in range(turns)
    ]


def test_a_growing_conversation_is_one_group_and_its_conversations_are_counted():
    calls = [each for number in range(8) for each in conversation(number, number % 4 + 1)]
    group = only(scanned([*calls, *noise(20)]))
    assert (group.calls, group.conversations, group.kind) == (len(calls), 8, "agent")
    assert not group.worth
    assert "conversation" in group.why
    for each in calls:
        assert group.skeleton.render(group.skeleton.fields(each)) == turns_of(each)


def test_tool_turns_are_conversations():
    asked = Message(role="assistant", content=(ToolCall(id="1", name="book", arguments={}),))
    told = Message(role="tool", content=(ToolResult(id="1", content={"ok": True}),))
    calls = [
        call(n, system="You book flights.", tools=(tool("book"),), messages=(Message.of("user", text(n)), asked, told))
        for n in range(10)
    ]
    group = only(scanned(calls))
    assert group.skeleton.fields(calls[0])["history"][1]["content"][0]["name"] == "book"


def test_varying_tools_under_one_system_prompt_are_one_group():
    calls = [call(n, text(n), system="Call a function that helps.", tools=(tool(f"f{n % 17}"),)) for n in range(60)]
    group = only(scanned(calls))
    assert group.skeleton.tools is None
    assert (group.calls, group.kind, group.skeleton.field_names) == (60, "agent", ("text", "tools"))


def test_five_calls_are_found_among_many_and_four_are_not():
    rare = many(5, lambda n: f"Write a title of at most five words.\n\nText: {text(n)}", system="Be helpful.")
    group = only(scanned([*rare, *noise(200)]))
    assert group.calls == 5
    assert not group.worth
    assert "too few" in group.why
    assert scanned([*rare[:4], *noise(200)]).groups == ()


def test_the_same_prompt_again_and_again_has_nothing_to_learn():
    group = only(scanned([*(call(n, "One fun fact for today, please.") for n in range(30)), *noise(20)]))
    assert (group.calls, group.skeleton.field_names, group.draft) == (30, (), None)
    assert "keep the answer" in group.why


def test_the_order_of_the_log_does_not_matter():
    calls = [*many(40, lambda n: INTENT.format(text(n))), *noise(60), *conversation(3, 4), *conversation(4, 4)]
    shuffled = random.Random(1).sample(calls, len(calls))
    assert scanned(calls) == scanned(shuffled)


def test_figures_add_up_and_months_need_an_hour():
    times = [f"2026-05-{1 + n // 10:02d}T{n % 10:02d}:00:00Z" for n in range(100)]
    calls = [call(n, INTENT.format(text(n)), at=times[n], answer=["bug", "billing"][n % 2]) for n in range(100)]
    report = scanned(calls)
    group = only(report)
    assert (group.usd, group.list_usd) == (pytest.approx(0.5), pytest.approx(0.6))
    assert report.span is not None
    assert report.span.hours == pytest.approx(225)
    assert group.monthly_usd == pytest.approx(0.5 * 720 / 225)
    assert (group.outputs, group.top_share) == (2, 0.5)
    assert group.variability == pytest.approx(1 / 6.6438, rel=1e-3)  # one bit of log2(100)
    assert group.tokens == 11_000
    assert report.summary == "1 recurring call is 100% of the bill; 1 of them, 100% of the bill, is worth a skill"
    soon = [each.model_copy(update={"at": "2026-05-01T00:00:00Z"}) for each in calls]
    assert only(scanned(soon)).monthly_usd is None


def test_unknown_costs_are_counted_and_never_zero():
    known = many(20, lambda n: INTENT.format(text(n)))
    unknown = many(
        20, lambda n: f"Summarise.\nText: {text(n)}\nOne sentence.", start=100, cost=Cost(), list_usd=None,
        usage=Usage(input_tokens=400, output_tokens=40),
    )  # fmt: skip
    report = scanned([*known, *unknown])
    assert (report.by, report.total.unknown) == ("usd", 20)
    first, second = report.groups
    assert (first.unknown, second.unknown) == (0, 20)
    assert (first.cost_share, second.cost_share) == (1.0, 0.0)
    assert second.monthly_usd is None
    assert "100% of the known bill" in report.summary
    assert (scanned(unknown).usd, scanned(unknown).by) == (None, "tokens")


def test_one_call_of_unknown_cost_leaves_the_shares_of_the_bill():
    calls = [call(n, INTENT.format(text(n)), answer=["bug", "billing"][n % 2]) for n in range(99)]
    odd = call(200, "something else that is asked once", cost=Cost(), list_usd=None, usage=Usage())
    report = scanned([*calls, odd])
    assert (report.by, only(report).cost_share, only(report).worth) == ("usd", 1.0, True)


def test_calls_whose_cost_is_unknown_may_be_worth_a_skill_all_the_same():
    dear = many(60, lambda n: f"Name a city near {text(n)} please.")
    free = {"cost": Cost(), "list_usd": None}
    calls = [call(100 + n, INTENT.format(text(n)), answer=["bug", "billing"][n % 2], **free) for n in range(60)]
    (group,) = [group for group in scanned([*dear, *calls]).groups if group.unknown]
    assert (group.cost_share, group.worth) == (0.0, True)


def test_rewriting_into_free_text_is_not_worth_a_skill_yet():
    calls = [call(n, INTENT.format(text(n)), answer=f"{text(n).capitalize()}, please!") for n in range(60)]
    group = only(scanned(calls))
    assert (group.kind, group.draft.output) == ("rewriting", "text")
    assert (group.worth, group.why) == (False, "free text: needs a judge")


def test_failed_calls_are_counted_and_say_nothing_of_answers():
    calls = [call(n, INTENT.format(text(n)), answer=None if n % 2 else "bug", error="overloaded") for n in range(20)]
    group = only(scanned(calls))
    assert (group.calls, group.errors, group.outputs) == (20, 10, 1)


def test_a_group_keeps_its_name_and_names_are_unique():
    first = many(20, lambda n: f"Summarise the ticket.\nTicket: {text(n)}\nIn English.")
    second = many(20, lambda n: f"Summarise the ticket.\n\nMessage of today: {text(n)}\nIn German.", start=500)
    report = scanned([*first, *second])
    names = [group.name for group in report.groups]
    assert len(set(names)) == 2
    renamed = scanned([*first, *second], known={report.groups[0].id: "mine", "g-00000000": names[1]})
    assert renamed.groups[0].name == "mine"
    assert renamed.groups[1].name != names[1]


def test_a_secret_in_a_constant_becomes_a_gap():
    secret = "hunter2-hunter2"
    calls = many(20, lambda n: f"The code is {secret}, keep it. Name the queue.\nTicket: {text(n)}")
    report = scanned(calls, mask=lambda said: said.replace(secret, "[masked]"))
    group = only(report)
    assert secret not in report.model_dump_json()
    assert group.skeleton.fields(calls[0])["secret_1_1"] == secret


def test_a_log_beyond_the_budget_is_sampled_and_counted_in_full():
    calls = [*many(400, lambda n: INTENT.format(text(n, words=40))), *noise(200)]
    report = scanned(calls, budget=40_000)
    assert report.sampled < 1
    assert only(report).calls == 400


@pytest.mark.parametrize(
    "odd",
    [
        call(1),
        call(1, ""),
        call(1, "a\x00\x1b[31m"),
        call(1, "x" * 200_000),
        call(1, "<" * 3_000 + ":" * 3_000 + '"' * 3_000),
        call(1, "a", output_schema={"properties": 3}),
        call(1, "a", output_schema={"properties": {"a": {"type": 3}}}),
        call(1, "a", at="yesterday", answer=None),
        call(1, "{{ a }} {% b %} {#", answer='{"a": NaN, "b": [[[1]]]}'),
    ],
)
def test_odd_calls_break_nothing(odd):
    calls = [odd.model_copy(update={"id": f"odd-{n}"}) for n in range(12)]
    varied = [call(100 + n, f"{odd.messages[0].text if odd.messages else ''} {text(n)}") for n in range(12)]
    report = scanned([*calls, *varied])
    assert report.calls == 24
    for group in report.groups:
        group.model_dump_json()


def test_calls_of_one_id_are_counted_as_they_stand():
    calls = [each.model_copy(update={"id": "the same"}) for each in many(40, lambda n: INTENT.format(text(n)))]
    assert only(scanned(calls)).calls == 40
