"""``skillforge run``: inputs in, one output, everything else on stderr."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moods import Cli

RUN = ("run", "mood", "--student", "scripted:right.yaml")
TYPED = """\
schema: skillforge/v1
name: typed
description: Takes every type.
input:
  n: {type: integer}
  f: {type: number, default: 1.5}
  tags: {type: array, items: {type: string}, default: []}
  flag: {type: boolean, default: false}
  pick: {enum: [a, "1", 2], default: a}
  either: {type: [string, integer], default: ""}
  more: {type: object, default: {}}
output: text
instructions: i
prompt: "{{ n }} {{ f }} {{ tags }} {{ flag }} {{ pick }} {{ either }} {{ more }}"
"""


@pytest.fixture
def typed(repo: Path) -> Path:
    (repo / "skills/typed").mkdir()
    (repo / "skills/typed/skill.yaml").write_text(TYPED)
    return repo


def test_stdout_holds_the_output_alone(cli: Cli, repo: Path) -> None:
    done = cli(*RUN, "-i", "text=so happy")
    assert done.code == 0
    assert done.json == {"mood": "good", "why": "happy"}
    assert "saved as draft mood@1" in done.err
    assert "checks 1/1" in done.err


@pytest.mark.parametrize("source", [("-",), ("-f", "-"), ("-f", "in.json")])
def test_an_input_comes_from_a_file_or_from_stdin(cli: Cli, repo: Path, source: tuple[str, ...]) -> None:
    data = b'{"text": "so sad"}'
    (repo / "in.json").write_bytes(data)
    assert cli(*RUN, *source, stdin=data).json["mood"] == "bad"


def test_json_prints_the_whole_run(cli: Cli, repo: Path) -> None:
    run = cli(*RUN, "-i", "text=so happy", "--json").json
    assert (run["skill"], run["version"], run["status"]) == ("mood", 1, "ok")
    assert [attempt["kind"] for attempt in run["attempts"]] == ["student"]


def test_a_failed_check_ends_with_1_and_says_which(cli: Cli, repo: Path) -> None:
    done = cli("run", "mood", "--student", "scripted:wrong.yaml", "-i", "text=so happy")
    assert done.code == 1
    assert done.json == {"mood": "good", "why": "message"}
    assert "in-input" in done.err
    assert "repaired once" in done.err


def test_no_answer_ends_with_4(cli: Cli, repo: Path) -> None:
    done = cli(*RUN, "-i", "text=neither")
    assert (done.code, done.out) == (4, "")


def test_values_are_read_by_the_contract(cli: Cli, typed: Path) -> None:
    (typed / "ok.yaml").write_text("default: fine\n")
    run = ("run", "typed", "--student", "scripted:ok.yaml", "--json")
    given = ("n=3", "f=2", 'tags=["a"]', "flag=true", "pick=1", "either=7", 'more={"a": 1}')
    done = cli(*run, *(part for pair in given for part in ("-i", pair)))
    told = {"n": 3, "f": 2, "tags": ["a"], "flag": True, "pick": "1", "either": 7, "more": {"a": 1}}
    assert done.json["input"] == told
    assert cli(*run, "-i", "n=3", "-i", "pick=2", "-i", "either=x").json["input"]["pick"] == 2
    plain = cli("run", "typed", "--student", "scripted:ok.yaml", "-i", "n=3")
    assert plain.out == "fine\n"


@pytest.mark.parametrize(
    "pair",
    ["n=x", "n=1.5", "n=", "tags=a", "flag=yes", "f=NaN", "f=1e999", "more=[]", "other=1", "n", "=1", "n=\udcff"],
)
def test_a_value_of_the_wrong_type_is_named(cli: Cli, typed: Path, pair: str) -> None:
    done = cli("run", "typed", "--student", "scripted:right.yaml", "-i", pair)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(("error: ", str(typed)))
    assert "  -> " in done.err


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[1]", b"null", b'"x"', b'{"text": NaN}', b'{"text": "a", "text": "b"}', b'{"text": "\xff"}'),
        *(b'{"text": "\\ud800"}', b'{"text": ' + b"[" * 100_000, b'{"text": "' + b"x" * 1_048_577 + b'"}', b"{}"),
    ],
)
def test_stdin_that_is_no_input_is_refused(cli: Cli, repo: Path, data: bytes) -> None:
    done = cli(*RUN, "-", stdin=data)
    assert (done.code, done.out) == (2, "")
    assert "  -> " in done.err


def test_an_interrupted_run_says_so_and_ends_with_130(repo: Path) -> None:
    script = repo / "right.yaml"
    script.write_text(script.read_text() + "latency_ms: 60000\n")
    log = repo / "skill-saved"
    args = [sys.executable, "-W", "error", "-m", "skillforge", *RUN, "-i", "text=so happy"]
    with (
        log.open("w") as told,
        subprocess.Popen(
            args,
            cwd=repo,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            # a shell that started the tests in the background made this signal ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
    ):
        deadline = time.monotonic() + 30
        while "saved as draft" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert log.read_text().rpartition("\n  -> go on with: ")[0].endswith("\ninterrupted before the answer was whole")


@pytest.mark.parametrize(
    "args", [(), ("-i", "text=x", "-"), ("-f", "a.json", "-"), ("-i", "text=x", "-f", "a.json"), ("extra", "-")]
)
def test_the_input_comes_in_exactly_one_way(cli: Cli, repo: Path, args: tuple[str, ...]) -> None:
    assert cli(*RUN, *args).code == 2


def test_an_answer_with_half_a_surrogate_pair_is_kept_escaped(cli: Cli, repo: Path) -> None:
    (repo / "half.yaml").write_text(json.dumps({"default": '{"mood": "good", "why": "\\ud800"}'}))
    done = cli("run", "mood", "--student", "scripted:half.yaml", "-i", "text=so happy", "--json")
    assert done.code == 1
    assert done.json["status"] == "failed"
