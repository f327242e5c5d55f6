from __future__ import annotations

import json

import pytest

TEMPLATE = "Which queue does this ticket belong to?\n\nTicket: {}\n\nOne word."
DATA = ["I pay twice a month", "the page crashes", "where is my parcel", "my card was refused", "I cannot log in"]
HEAD = "NAME ID KIND CALLS OF CALLS A MONTH OF BILL VARIES WORTH A SKILL"


def record(number, prompt, answer):
    message = {"role": "assistant", "content": answer}
    return {
        "id": f"record-of-a-call-{number:04d}",
        "at": f"2026-05-{number % 28 + 1:02d}T10:00:00Z",
        "cost_usd": 0.01,
        "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]},
        "response": {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5},
        },
    }


@pytest.fixture
def log(repo):
    said = [
        record(n, TEMPLATE.format(f"{DATA[n % 5]} and {DATA[n % 7 % 5]} {n}"), ["bug", "billing"][n % 2])
        for n in range(60)
    ]
    said += [record(100 + n, f"{n} {'and so on ' * n}", "yes") for n in range(3)]
    path = repo / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in said))
    return path


def test_scan_prints_a_table_and_one_sentence(cli, repo, log):
    done = cli("scan", str(log))
    assert done.code == 0
    head, row, blank, sentence = done.out.splitlines()
    assert " ".join(head.split()) == HEAD
    assert row.split()[0] == "which-queue-does-ticket"
    assert row.split()[2:7] == ["classification", "60", "95.2%", "$0.67", "95.2%"]
    assert "yes: classification" in row
    assert blank == ""
    assert sentence.startswith("1 recurring call is 95% of the bill; 1 of them, 95% of the bill, is worth a skill")
    assert sentence.endswith("; 3 of 63 calls do not recur")
    assert "the log spans 27.0 days: put to 30 days" in done.err
    assert "next: skillforge suite from-log which-queue-does-ticket" in done.err


def test_scan_as_json_holds_the_groups_and_the_sentence(cli, repo, log):
    told = json.loads(cli("scan", str(log), "--json").out)
    assert told["summary"].startswith("1 recurring call")
    assert told["total"]["calls"] == 63
    (group,) = told["groups"]
    assert group["draft"]["input"] == {"ticket": {"type": "string"}}


def test_show_prints_the_prompt_with_its_gaps_and_the_contract(cli, repo, log):
    cli("scan", str(log))
    done = cli("scan", "--show", "which-queue-does-ticket")
    assert done.code == 0
    assert "    Ticket: [[ticket]]\n" in done.out
    assert '  output  label: {"enum": ["billing", "bug"]}' in done.out
    told = json.loads(cli("scan", "--show", "which-queue-does-ticket", "--json").out)
    assert told["name"] == "which-queue-does-ticket"
    unknown = cli("scan", "--show", "which-queue-does-tickets")
    assert unknown.code == 2
    assert "did you mean 'which-queue-does-ticket'?" in unknown.err


def test_no_calls_say_where_calls_come_from(cli, repo):
    done = cli("scan")
    assert (done.code, done.out) == (0, "")
    assert "skillforge log import" in done.err


def test_a_limit_below_one_is_a_usage_error(cli, repo, log):
    assert cli("scan", str(log), "--limit", "0").code == 2


def test_terminal_escapes_in_prompts_and_models_are_shown_and_not_obeyed(cli, repo):
    said = [record(n, f"\x1b[2JName\u202e it, please, dear model.\nTicket: {n * n}", "bug") for n in range(20)]
    for each in said:
        each["request"]["model"] = "gpt\x1b[31m-4o"
    path = repo / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in said))
    done = cli("scan", str(path))
    name = done.out.splitlines()[1].split()[0]
    shown = cli("scan", "--show", name)
    for text in (done.out, done.err, shown.out, shown.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "\\x1b[2JName" in shown.out


def test_calls_of_unknown_cost_are_left_out_of_the_bill_and_what_mends_it_is_said(cli, repo, log):
    lost, house = record(500, "asked once", "x"), record(501, "asked again", "x")
    del lost["cost_usd"], lost["response"]["usage"], house["cost_usd"]
    house["request"]["model"] = "house-model"
    with log.open("a") as more:
        more.write(json.dumps(lost) + "\n" + json.dumps(house) + "\n")
    done = cli("scan", str(log))
    assert done.out.splitlines()[0].split().count("BILL") == 1
    assert "95% of the known bill" in done.out
    assert "the cost of 2 of 65 calls is unknown: they are left out of the bill" in done.err
    assert "stream_options.include_usage" in done.err
    assert 'a price under [models."SERVER:MODEL"]' in done.err


def test_where_neither_cost_nor_tokens_are_known_no_heading_stands_twice(cli, repo):
    path = repo / "bare.jsonl"
    with path.open("w") as file:
        for n in range(60):
            said = record(n, TEMPLATE.format(f"{DATA[n % 5]} {n}"), ["bug", "billing"][n % 2])
            del said["cost_usd"], said["response"]["usage"]
            file.write(json.dumps(said) + "\n")
    done = cli("scan", str(path))
    assert "OF CALLS  IN THE LOG  VARIES" in done.out
    assert "60 of 60 calls is unknown: shares are of the calls" in done.err
