from __future__ import annotations

import json

import pytest

from skillforge.errors import NotFound

ASK = "Which queue does this ticket belong to: billing or bug?\n\nTicket: {}\n\nOne word."
DATA = ["I pay twice a month", "the page crashes", "where is my parcel", "my card was refused", "I cannot log in"]


def record(number, prompt, answer="bug"):
    message = {"role": "assistant", "content": answer}
    return {
        "id": f"record-of-a-call-{number:04d}",
        "at": f"2026-05-{number % 28 + 1:02d}T10:00:00Z",
        "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]},
        "response": {
            "object": "chat.completion",
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105},
        },
    }


def write(path, records):
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


@pytest.fixture
def repo(tmp_path):
    (tmp_path / ".skillforge").mkdir()
    return tmp_path


@pytest.fixture
def log(repo):
    return write(
        repo / "log.jsonl", [record(n, ASK.format(f"{DATA[n % 5]} and {DATA[n % 7 % 5]} {n}")) for n in range(60)]
    )


def test_a_scan_of_a_file_prices_the_calls_and_keeps_the_groups(repo, log, forge_at):
    counts = []
    with forge_at(repo) as forge:
        report = forge.traffic.scan([log], on_calls=counts.append)
        (group,) = report.groups
        assert (group.calls, group.unknown, counts[-1]) == (60, 0, 60)
        assert group.usd == pytest.approx(60 * (100 * 2.5 + 5 * 10) / 1e6)
        assert forge.traffic.group(group.id) == forge.traffic.group(group.name) == group
    assert forge_at(repo).traffic.group(group.name) == group


def test_stored_calls_are_scanned_without_files(repo, log, forge_at):
    forge = forge_at(repo)
    from_file = forge.traffic.scan([log]).groups[0]
    forge.traffic.import_logs([log])
    from_store = forge.traffic.scan().groups[0]
    assert (from_store.id, from_store.calls) == (from_file.id, 60)


def test_a_group_found_again_takes_the_place_of_the_former_and_its_name(repo, log, forge_at):
    forge = forge_at(repo)
    first = forge.traffic.scan([log]).groups[0]
    more = write(repo / "more.jsonl", [record(n, ASK.format(f"{n} {DATA[n % 3]}, {DATA[n % 5]}")) for n in range(90)])
    second = forge.traffic.scan([more]).groups[0]
    assert (second.id, second.name, second.calls) == (first.id, first.name, 90)
    assert forge.traffic.group(first.id).calls == 90


def test_an_unknown_group_is_told_what_there_is(repo, log, forge_at):
    forge = forge_at(repo)
    with pytest.raises(NotFound, match="no group of calls is known yet") as nothing:
        forge.traffic.group("x")
    assert "skillforge scan" in nothing.value.hint
    name = forge.traffic.scan([log]).groups[0].name
    with pytest.raises(NotFound, match=name) as near:
        forge.traffic.group(name[:-1])
    assert name in near.value.hint


def test_a_secret_in_a_prompt_reaches_no_file_and_no_report(repo, forge_at, canary, stored_bytes):
    records = [record(n, f"The key is {canary}.\nName the queue.\nTicket: {DATA[n % 5]} {n}") for n in range(30)]
    log = write(repo.parent / f"{repo.name}-log.jsonl", records)
    forge = forge_at(repo)
    report = forge.traffic.scan([log])
    assert report.groups[0].calls == 30
    assert canary not in report.model_dump_json()
    forge.close()
    assert canary.encode() not in stored_bytes(repo)


def test_broken_records_are_said(repo, log, forge_at):
    with log.open("a") as handle:
        handle.write('{"request": {"model": \n')
    said = []
    report = forge_at(repo, say=said.append).traffic.scan([log])
    assert report.calls == 60
    assert "1 record could not be read" in said[0]


def test_a_missing_file_is_not_found(repo, forge_at):
    with pytest.raises(NotFound):
        forge_at(repo).traffic.scan([repo / "none.jsonl"])
