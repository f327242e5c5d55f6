from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from skillforge.cli._asking import Command, chosen, command_in, visible, wrapped
from skillforge.labels import read_labels

SUITE = """\
schema: skillforge/suite/v1
name: tickets
decision: {metric: /queue}
contract:
  input: {ticket: {type: string}}
  output: {queue: {enum: [billing, bug, other]}, urgent: {type: boolean}, quote: {type: string}}
cases: file://tickets.jsonl
today: file://tickets.today.jsonl
labels: file://tickets.labels.jsonl
"""
RECORDED = {"queue": "bug", "urgent": True, "quote": "SECRETQUOTE"}


@pytest.fixture
def suite(empty: Path) -> Path:
    (empty / ".skillforge").mkdir()
    evals = empty / "evals"
    cases = [{"id": f"c{n}", "input": {"ticket": f"text {n}"}, "split": "test"} for n in range(4)]
    (evals / "tickets.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    lines = [{"case": f"c{n}", "text": json.dumps(RECORDED)} for n in range(4)]
    (evals / "tickets.today.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (evals / "tickets.yaml").write_text(SUITE)
    return evals / "tickets.yaml"


def labels(suite: Path):
    return read_labels(suite.with_name("tickets.labels.jsonl"))


def test_lines_label_case_after_case_and_the_end_sums_up(cli, suite):
    same = "2\ny\nSECRETQUOTE\n"
    differs = "bil\nn\n\n"  # Enter leaves the quote out
    told = cli("review", "tickets", "--by", "ada", stdin=(same * 3 + differs).encode())
    assert told.code == 0
    assert "every case has a label" in told.err
    assert told.out.splitlines()[0] == "tickets: 4 of 4 cases labelled, 0 left"
    assert "whole answer 3 of 4 75.0% 95% sure: 30.1–95.4%" in " ".join(told.out.split())
    assert "they differ on c" in told.out
    found = labels(suite)
    assert sorted(map(json.dumps, (label.expected for label in found.values()))) == sorted(
        [*[json.dumps(RECORDED)] * 3, '{"queue": "billing", "urgent": false}']
    )
    assert {label.by for label in found.values()} == {"ada"}


def test_a_second_start_goes_on(cli, suite):
    first = cli("review", "tickets", stdin=b"2\ny\nSECRETQUOTE\nq\n")
    assert "1 of 4 cases labelled, 3 left" in first.out
    again = cli("review", "tickets", "--json", stdin=b"2\ny\nSECRETQUOTE\n")
    assert "3 of 4 cases have no label yet" in again.err
    assert (again.json["labelled"], again.json["left"], again.json["overall"]["same"]) == (2, 2, 2)


def test_nothing_told_before_the_answer_holds_the_recorded_one(cli, suite):
    told = cli("review", "tickets", stdin=b"?\nm\n1\nn\n")
    assert "SECRET" not in told.err + told.out
    assert "differs" not in told.err
    assert not labels(suite)
    shown = cli("review", "tickets", stdin=b"1\nn\nmine\n")
    assert 'differs: quote: you "mine", the recorded answers "SECRETQUOTE"' in shown.err


def test_piped_answers_that_differ_stand_and_stay_in_step(cli, suite):
    told = cli("review", "tickets", "--limit", "2", stdin=b"1\ny\nSECRETQUOTE\n3\nn\nmine\n")
    assert "revises" not in told.err
    assert [label.expected["queue"] for label in labels(suite).values()] == ["billing", "other"]
    assert "2 of 2 cases labelled, 0 left" in told.out


def test_a_case_keeps_its_number_when_one_goes_back_to_it(cli, suite):
    told = cli("review", "tickets", stdin=b"2\ny\nSECRETQUOTE\n:b\n:q\n").err
    assert [line[3:9] for line in told.splitlines() if line.startswith("──")] == ["1 of 4", "2 of 4", "1 of 4"]


def test_skip_back_and_wrong_answers(cli, suite):
    typed = "s\nzebra\nb\nb\n:b\n2\ny\n:b\nn\n:s\nq\n"
    told = cli("review", "tickets", stdin=typed.encode())
    assert "'zebra': is none of 1 to 3" in told.err
    assert "'b': could be billing or bug" in told.err  # a letter that begins a name is the name's
    assert "1 skipped" in told.out
    assert not [label for label in labels(suite).values() if not label.skipped]


def test_a_wrong_value_is_asked_again(cli, suite):
    suite.write_text(SUITE.replace("quote: {type: string}", "amount: {type: integer}"))
    cli("review", "tickets", "--limit", "1", stdin=b"2\ny\nmuch\n3.5\n12\n\n")
    (label,) = labels(suite).values()
    assert label.expected == {"queue": "bug", "urgent": True, "amount": 12}


def test_escapes_in_inputs_and_answers_reach_no_terminal(cli, suite):
    hostile = "a\x1b[2J\x9b1m\u202eb\r\x07c"
    case = {"id": "c0", "input": {"ticket\x1b[1m": hostile}}
    suite.with_name("tickets.jsonl").write_text(json.dumps(case) + "\n")
    answer = {"case": case["id"], "text": json.dumps({**RECORDED, "quote": hostile})}
    suite.with_name("tickets.today.jsonl").write_text(json.dumps(answer) + "\n")
    told = cli("review", "tickets", stdin=b"1\nn\nx\n\n")
    assert r"a\x1b[2J\x9b1m\u202eb\x0d\x07c" in told.err.replace("\\r", "\\x0d")
    assert not [letter for letter in told.err + told.out if letter in "\x1b\x9b\u202e\x07\r"]


def test_a_long_input_is_shown_in_pages(cli, suite):
    case = {"id": "c0", "input": {"ticket": "\n".join(f"line {n}" for n in range(1000))}}
    suite.with_name("tickets.jsonl").write_text(json.dumps(case) + "\n")
    first = cli("review", "tickets", stdin=b"")
    assert "line 5\n" in first.err
    assert "line 999" not in first.err
    assert "m shows them" in first.err
    assert "line 999" in cli("review", "tickets", stdin=b"m\n" * 80).err


@pytest.mark.parametrize(
    ("typed", "whole", "found"),
    [
        ("2", True, [1]),
        ("1", False, [0, 9, 10]),
        ("1", True, [0]),
        ("10", False, [9]),
        ("bu", False, [1]),
        ("BUG", True, [1]),
        ("b", True, [0, 1]),
        ("x", True, []),
    ],
)
def test_a_number_or_a_beginning_chooses(typed, whole, found):
    options = ["billing", "bug", "bugs", *[f"l{n}" for n in range(8)]]
    if typed in ("bu", "b"):
        options.remove("bugs")
    assert chosen(typed, options, whole=whole) == found


def test_a_name_that_is_a_number_wins_over_the_place(cli):
    assert chosen("2", ["2", "1"], whole=True) == [0]


def test_a_letter_is_a_command_unless_a_name_begins_with_it():
    assert command_in("s", ["billing"]) is Command.SKIP
    assert command_in("s", ["Support"]) is None
    assert command_in(":s", ["Support"]) is Command.SKIP
    assert command_in("sk", []) is None


def test_texts_are_folded_and_made_visible():
    assert visible("a\tb\nc\x00\u2066\ud800") == "a\tb\nc\\x00\\u2066\\ud800"
    assert wrapped("one\n\ntwo", "  ") == ["  one", "  ", "  two"]
    assert all(len(line) <= 80 for line in wrapped("word " * 100, "   "))


class Terminal:
    """The real command at a real terminal."""

    def __init__(self, *args: str) -> None:
        self.main, side = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "LINES": "40"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skillforge", *args],
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.side = side
        self.shown = ""

    def until(self, text: str) -> str:
        """What is shown up to and with ``text``, since the last look."""
        deadline = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < deadline, f"never shown: {text!r} in {self.shown!r}"
            if select.select([self.main], [], [], 0.2)[0]:
                self.shown += os.read(self.main, 65_536).decode("utf-8", "replace")
        head, _, self.shown = self.shown.partition(text)
        return head + text

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.side)[3] & termios.ECHO)

    def waits_for_a_key(self) -> None:
        deadline = time.monotonic() + 10
        while self.echoes():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self.main)
        os.close(self.side)


def test_a_letter_that_begins_a_choice_and_is_a_command_does_neither_alone(suite):
    text = SUITE.replace("billing, bug, other", "question, sale, other").replace(", quote: {type: string}", "")
    suite.write_text(text.replace("metric: /queue", "metric: exact"))
    opened = Terminal("review", "tickets")
    try:
        assert ":? helps, :q quits" in opened.until("3 other")
        opened.waits_for_a_key()
        opened.type("q")
        assert "'q' begins question: :q is the command (quit); Enter or more" in opened.until("letters choose")
        opened.type(":q")
        opened.until("0 of 4 cases labelled, 4 left")
        assert opened.process.wait(20) == 0
    finally:
        opened.close()
    assert not labels(suite)


def test_such_a_letter_from_a_pipe_is_refused_and_more_of_the_name_is_taken(cli, suite):
    suite.write_text(SUITE.replace("billing, bug, other", "question, sale, other"))
    told = cli("review", "tickets", "--limit", "1", stdin=b"q\nqu\nn\nx\n")
    assert "'q' begins question: :q is the command (quit)" in told.err
    assert [label.expected["queue"] for label in labels(suite).values()] == ["question"]


def test_the_header_names_bare_letters_where_they_work(cli, suite):
    text = SUITE.replace("billing, bug, other", "good, poor").replace(", quote: {type: string}", "")
    suite.write_text(text)
    assert "yet; ? helps, q quits" in cli("review", "tickets", stdin=b"q\n").err


def test_at_a_terminal_a_differing_answer_may_be_revised_where_it_differs(terminal, suite):
    for shown, keys in (("3 other", "1"), ("1 yes  2 no", "y")):
        terminal.until(shown)
        terminal.waits_for_a_key()
        terminal.type(keys)
    terminal.until("quote: text")
    terminal.type("SECRETQUOTE\n")
    terminal.until("r revises it")
    terminal.waits_for_a_key()
    terminal.type("r")
    terminal.until("3 other")
    terminal.waits_for_a_key()
    terminal.type("2")
    terminal.until("2 of 4")
    (label,) = labels(suite).values()
    assert (label.expected, label.blind["queue"]) == (RECORDED, "billing")


@pytest.fixture
def terminal(suite):
    opened = Terminal("review", "tickets")
    yield opened
    opened.close()


def test_at_a_terminal_single_keys_answer_and_the_mode_is_restored(terminal, suite):
    before = terminal.until("3 other\r\n")
    terminal.waits_for_a_key()
    terminal.type("\x1b[Abu")  # an arrow key means nothing; two letters are enough
    before += terminal.until("1 yes  2 no")
    terminal.type("y")
    before += terminal.until("quote: text")
    assert "SECRETQUOTE" not in before
    terminal.type("my quote\n")
    terminal.until('differs: quote: you "my quote", the recorded answers "SECRETQUOTE"')
    terminal.type("\n")
    terminal.until("3 other")
    terminal.waits_for_a_key()
    terminal.type("q")
    terminal.until("1 of 4 cases labelled, 3 left")
    assert terminal.process.wait(20) == 0
    assert terminal.echoes()
    (label,) = labels(suite).values()
    assert label.expected == {"queue": "bug", "urgent": True, "quote": "my quote"}


def test_ctrl_c_keeps_what_was_answered_and_names_the_command_that_goes_on(terminal, suite):
    terminal.until("3 other")
    terminal.waits_for_a_key()
    terminal.type("2y")
    terminal.until("quote: text")
    terminal.type("SECRETQUOTE\n")
    terminal.until("the same")
    terminal.until("3 other")
    terminal.waits_for_a_key()
    terminal.type("\x03")
    told = terminal.until("go on with")
    assert "1 label is kept" in told
    assert terminal.process.wait(20) == 130
    assert terminal.echoes()
    assert len(labels(suite)) == 1


def test_a_killed_review_has_lost_nothing_that_was_answered(terminal, suite):
    terminal.until("3 other")
    terminal.type("1")
    terminal.until("1 yes  2 no")
    terminal.type("n")
    terminal.until("quote: text")
    terminal.type("x\n")
    terminal.until("Enter keeps")
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait(20)
    (label,) = labels(suite).values()
    assert label.expected == {"queue": "billing", "urgent": False, "quote": "x"}
