from __future__ import annotations

import json
from typing import Any


def answer(number: str) -> dict[str, Any]:
    said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return {"id": number, "object": "chat.completion", "model": "gpt-5", "choices": [said], "usage": usage}


def test_costs_of_nothing_say_how_to_begin(repo, cli):
    done = cli("cost")
    assert (done.code, done.out) == (0, "")
    assert "forge.wrap" in done.err


def test_costs_are_shown_as_a_table_and_as_json(repo, cli):
    assert cli("run", "skills/mood", "-i", "text=message 1: I am happy", "--student", "scripted:right.yaml").code == 0
    shown = cli("cost", "--by", "student")
    assert "scripted:right.yaml  a skill        1  $0.00" in shown.out
    assert "what a call cost before is not known" in shown.out
    body = json.loads(cli("cost", "--json").out)
    assert [(line["key"], line["runs"], line["saved_usd"]) for line in body["lines"]] == [("mood", 1, None)]


def test_a_wrong_way_or_day_names_the_right_ones(repo, cli):
    assert cli("cost", "--by", "moon").code == 2
    assert "skill, tag, student, day" in cli("cost", "--by", "moon").err
    assert "2026-11-01" in cli("cost", "--since", "yesterday").err
    assert cli("cost", "--tag", "customer").code == 2


def test_a_tag_that_no_call_has_is_said_with_those_there_are(repo, cli):
    row = {
        "request": {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]},
        "response": answer("one"),
    }
    (repo / "log.jsonl").write_text(json.dumps(row) + "\n")
    assert cli("log", "import", "log.jsonl", "--tag", "shop=west").code == 0
    done = cli("cost", "--by", "tag", "--tag", "foo")
    assert done.code == 0
    assert "no call has the tag foo; there are: shop" in done.err
    assert "nothing was run" not in done.err


def test_days_are_in_order_whoever_answered(repo, cli):
    assert cli("run", "skills/mood", "-i", "text=message 1: I am happy", "--student", "scripted:right.yaml").code == 0
    rows = [
        {
            "request": {"model": "gpt-5", "messages": [{"role": "user", "content": f"Hello {at}"}]},
            "response": answer(at),
            "at": at,
        }
        for at in ("2020-01-01T10:00:00Z", "2999-01-01T10:00:00Z")
    ]
    (repo / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("log", "import", "log.jsonl").code == 0
    keys = [line["key"] for line in json.loads(cli("cost", "--by", "day", "--json").out)["lines"]]
    assert len(keys) == 3
    assert keys == sorted(keys)
