"""Importing log files into a repository: idempotent, priced, clean, with what could not be read put aside."""

from __future__ import annotations

import gzip
import json
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import NotFound, UsageError
from skillforge.forge.calls.logs import read_calls
from skillforge.forge.calls.pricing import call_pricer
from skillforge.formats.bodies import read_call

MakeForge = Callable[..., Any]


def pair(number: int, **more: Any) -> dict[str, Any]:
    return {
        "timestamp": 1_759_309_200 + number,
        "request": {"model": "gpt-6-luna", "messages": [{"role": "user", "content": f"ticket {number}"}]},
        "response": {
            "model": "gpt-6-luna",
            "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}],
            "usage": {
                "prompt_tokens": 1_000_000,
                "completion_tokens": 1_000_000,
                "prompt_tokens_details": {"cached_tokens": 500_000},
            },
        },
        **more,
    }


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *records: Any) -> Path:
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in records))
        return path

    return write


def test_importing_twice_adds_nothing(repo: Path, forge_at: MakeForge, log: Any):
    path = log("calls.jsonl", *map(pair, range(3)))
    forge = forge_at(repo)
    seen: list[int] = []
    done = forge.traffic.import_logs([path], tags={"app": "support"}, on_calls=seen.append)
    assert (done.read, done.new, done.known, done.quarantined, done.quarantine) == (3, 3, 0, 0, "")
    assert seen == [3]
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    again = forge.traffic.import_logs([packed])
    assert (again.read, again.new, again.known) == (3, 0, 3)
    newest = forge.traffic.recent(2)
    assert [call.messages[0].text for call in newest] == ["ticket 2", "ticket 1"]
    assert newest[0].tags == {"app": "support"}
    assert newest[0].cost.usd is not None


def test_a_broken_record_is_put_aside_clean_and_cut(repo: Path, forge_at: MakeForge, log: Any, canary: str):
    cut = '{"request": {"key": "' + canary + '", "pad": "' + "x" * 5000
    path = log("my calls.jsonl", pair(1), cut, {"odd": {"password": "hunter2hunter2"}}, pair(2))
    done = forge_at(repo).traffic.import_logs([path])
    assert (done.read, done.new, done.quarantined) == (2, 2, 2)
    file = Path(done.quarantine)
    assert file.parent == repo / ".skillforge" / "quarantine"
    assert file.name.startswith("my_calls.jsonl-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["file"], row["line"]) for row in rows] == [(str(path), 2), (str(path), 3)]
    assert len(rows[0]["text"]) == 2000
    assert "x" * 100 in rows[0]["text"]
    assert canary not in file.read_text()
    assert "hunter2hunter2" not in file.read_text()
    forge_at(repo).traffic.import_logs([path])
    assert len(file.read_text().splitlines()) == 2


def test_a_secret_in_a_log_reaches_no_file_of_the_repository(
    repo: Path, forge_at: MakeForge, log: Any, canary: str, stored_bytes: Any
):
    told = pair(1, tags={"t": canary}, error=canary)
    told["request"]["messages"][0]["content"] = f"my key is {canary}"
    forge_at(repo).traffic.import_logs([log("calls.jsonl", told, "[" + canary)])
    assert canary.encode() not in stored_bytes(repo)


def test_an_unknown_format_and_a_missing_file_store_nothing(repo: Path, forge_at: MakeForge, log: Any):
    forge = forge_at(repo)
    good = log("good.jsonl", pair(1))
    with pytest.raises(UsageError, match="odd"):
        forge.traffic.import_logs([good, log("odd.jsonl", {"odd": 1})])
    with pytest.raises(NotFound):
        forge.traffic.import_logs([good, repo / "missing.jsonl"])
    assert forge.traffic.recent() == []


def test_calls_are_read_from_files_or_from_what_is_kept(repo: Path, forge_at: MakeForge, log: Any, canary: str):
    told = pair(3)
    told["request"]["messages"][0]["content"] = canary
    path = log("calls.jsonl", pair(2), pair(1), told, "{broken")
    said: list[str] = []
    forge = forge_at(repo, say=said.append)
    work, seen = forge._work, []
    from_file = forge._portal.run(lambda: list(read_calls(work, [path], seen.append)))
    assert [call.messages[0].text for call in from_file[:2]] == ["ticket 2", "ticket 1"]
    assert canary not in from_file[2].messages[0].text
    assert from_file[0].cost.usd is not None
    assert seen == [3]
    assert said == ["1 record could not be read: skillforge log import puts it aside and says why"]
    assert forge._portal.run(lambda: list(read_calls(work))) == []
    forge.traffic.import_logs([path])
    kept = forge._portal.run(lambda: list(read_calls(work)))
    assert sorted(kept, key=lambda call: call.id) == sorted(from_file, key=lambda call: call.id)
    assert [call.at for call in kept] == sorted(call.at for call in kept)


def test_without_texts_kept_files_are_still_scanned_with_theirs(
    repo: Path, forge_at: MakeForge, log: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    path = log("calls.jsonl", pair(1))
    forge = forge_at(repo)
    forge.traffic.import_logs([path])
    assert forge.traffic.recent()[0].messages == ()
    (call,) = forge._portal.run(lambda: list(read_calls(forge._work, [path])))
    assert call.messages[0].text == "ticket 1"


def test_without_texts_kept_the_quarantine_says_where_and_why_alone(
    repo: Path, forge_at: MakeForge, log: Any, monkeypatch: pytest.MonkeyPatch, stored_bytes: Any
):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    done = forge_at(repo).traffic.import_logs([log("calls.jsonl", pair(1), '{"request": {"a": "a private matter"')])
    (row,) = map(json.loads, Path(done.quarantine).read_text().splitlines())
    assert (row["line"], row["reason"], set(row)) == (2, "not JSON at character 36", {"file", "line", "reason"})
    assert b"private matter" not in stored_bytes(repo)


def test_an_interrupted_import_keeps_what_it_did(
    repo: Path, forge_at: MakeForge, log: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("skillforge.forge.calls.logs._TOGETHER", 5)
    path = log("calls.jsonl", *map(pair, range(12)))
    forge = forge_at(repo)

    def interrupt(count: int) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.2)  # until the main thread has passed it on

    with pytest.raises(KeyboardInterrupt):
        forge.traffic.import_logs([path], on_calls=interrupt)
    again = forge.traffic.import_logs([path])
    assert (again.read, again.new, again.known) == (12, 7, 5)


def priced(forge: Any, **told: Any) -> Any:
    record = pair(1)
    request = {**record["request"], **told.pop("request", {})}
    call = read_call(told.pop("api", "openai-chat"), request, record["response"], id="c", **told)
    return forge._portal.run(lambda: call_pricer(forge._work)(call))


def test_a_call_costs_what_the_price_list_says_and_its_list_price_knows_no_cache(repo: Path, forge_at: MakeForge):
    call = priced(forge_at(repo))
    assert 0 < call.cost.usd < call.list_usd
    assert call.cost.basis.startswith("genai-prices")


@pytest.mark.parametrize("tier", ["batch", "flex"])
def test_a_batch_and_flex_processing_cost_half(repo: Path, forge_at: MakeForge, tier: str):
    forge = forge_at(repo)
    whole, half = priced(forge), priced(forge, request={"service_tier": tier})
    assert half.cost.usd == pytest.approx(whole.cost.usd / 2)
    assert half.list_usd == whole.list_usd


def test_a_price_of_ones_own_goes_first(repo: Path, forge_at: MakeForge):
    (repo / "skillforge.toml").write_text(
        """
[endpoints.gateway]
kind = "openai-chat"
base_url = "https://gateway.example.org/v1"
price = { input = 2.0, output = 4.0, cached = 1.0 }

[models."openai:gpt-6-luna"]
price = { input = 10.0, output = 10.0 }
"""
    )
    forge = forge_at(repo)
    at_gateway = priced(forge, server="https://gateway.example.org")
    assert (at_gateway.cost.usd, at_gateway.list_usd) == (0.5 * 2 + 0.5 * 1 + 4, 2 + 4)
    assert priced(forge).cost.usd == 20
    assert priced(forge, server="https://api.openai.com/v1").cost.usd == 20


@pytest.mark.parametrize("server", ["http://127.0.0.1:9/v1", "https://unknown.example.org", "http://[broken"])
def test_an_unknown_price_stays_unknown(repo: Path, forge_at: MakeForge, server: str):
    call = priced(forge_at(repo), server=server)
    assert (call.cost.usd, call.list_usd) == (None, None)


def test_a_log_that_names_no_server_has_its_public_price_whatever_the_shell_says(
    repo: Path, forge_at: MakeForge, monkeypatch: pytest.MonkeyPatch
):
    plain = priced(forge_at(repo)).cost
    for address in ("http://127.0.0.1:9/v1", "https://gateway.example.org/v1", "no address"):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        assert priced(forge_at(repo)).cost == plain
        assert priced(forge_at(repo), server="https://api.openai.com/v1").cost == plain


def test_a_price_that_is_known_later_is_filled_in(repo: Path, forge_at: MakeForge, log: Any):
    records = [pair(number) for number in range(3)]
    for record in records:
        record["request"]["model"] = record["response"]["model"] = "house-model"
    path = log("calls.jsonl", *records)
    forge = forge_at(repo)
    forge.traffic.import_logs([path])
    assert [call.cost.usd for call in forge.traffic.recent()] == [None] * 3
    assert [line.unknown for line in forge.repository.cost().lines] == [3]
    (repo / "skillforge.toml").write_text('[models."openai:house-model"]\nprice = { input = 2.0, output = 4.0 }\n')
    later = forge_at(repo)
    assert [(line.unknown, line.usd) for line in later.repository.cost().lines] == [(0, pytest.approx(18.0))]
    assert later.traffic.scan().total.unknown == 0
    assert [call.cost.usd for call in later.traffic.recent()] == [pytest.approx(6.0)] * 3
