"""A coding session cut into requests: which one is meant, where it ends, what of it only looked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from skillforge.engine.compiling.propose import mechanical_draft
from skillforge.engine.compiling.requests import chosen, request_of, requests
from skillforge.engine.compiling.routine import routine
from skillforge.engine.compiling.shell import command_of, learns, only_looks
from skillforge.errors import UsageError
from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.trace import Trace
from tests.fakes.coding_sessions import Did, Request, bump, write_session

ReadSession = Callable[..., Trace]
LEARN = Did("Bash", {"command": "cd app && skillforge learn --author-request"}, "Answer with one JSON object")


@pytest.fixture
def session(tmp_path: Path) -> ReadSession:
    def read(*asked: Request) -> Trace:
        (found,) = read_trajectories(write_session(tmp_path, tmp_path, asked))
        assert isinstance(found, Trace)
        return found

    return read


@pytest.mark.parametrize(
    "command",
    [
        "ls -la && git status",
        "grep -rn 'a > b' src | head -20",
        "cd app && cat setup.cfg 2>/dev/null",
        "LC_ALL=C cat names | wc -l",
        "git log --oneline -5",
        "find . -name '*.py' | wc -l",
        "sed -n 1,40p a.py",
        "rg todo 2>&1 | cut -c1-80; pwd",
    ],
)
def test_commands_that_only_look(command: str) -> None:
    assert only_looks(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "make test",
        "cat a > b",
        "cat a >> b",
        "ls; rm -rf build",
        "echo $(rm a)",
        "echo `rm a`",
        "ls\nrm a",
        "find . -delete",
        "find . -name x -exec rm {} +",
        "sed -i s/a/b/ f",
        "sed -n w/tmp/x f",
        "git commit -am x",
        "git diff --output=x",
        "git branch -D x",
        "cat 'open quote",
        "ls & rm a",
        "cat <(rm a)",
        "cat a#b; rm c",
        "cat a>b",
        "(rm a)",
        "X=1",
        "sudo cat a",
    ],
)
def test_commands_that_may_change_something_are_never_left_out(command: str) -> None:
    assert not only_looks(command)


def test_the_command_of_a_call_is_found_in_every_agents_words() -> None:
    assert command_of("Bash", {"command": "ls"}) == "ls"
    assert command_of("shell", {"command": ["bash", "-lc", "make test"]}) == "make test"
    assert command_of("shell", {"command": ["git", "commit", "-m", "a b"]}) == "git commit -m 'a b'"
    assert command_of("exec_command", {"cmd": "ls"}) == "ls"
    assert command_of("mcp__box__bash", {"command": "ls"}) == "ls"
    assert command_of("get_order", {"command": "ls"}) == ""
    assert command_of("Bash", {"command": 3}) == ""


@pytest.mark.parametrize(
    "command", ["skillforge learn", "cd a && .venv/bin/skillforge learn --turn 2", "uvx skillforge learn"]
)
def test_its_own_command_is_known(command: str) -> None:
    assert learns(command)
    assert not learns(command.replace("learn", "lint"))
    assert not learns(f"echo '{command}'")


def test_the_last_finished_request_that_did_something_is_meant(session: ReadSession) -> None:
    trace = session(
        bump(),
        Request("What is the weather?", [], "I cannot know."),
        Request("Where is it set?", [Did("Bash", {"command": "grep -n version setup.cfg"}, "2")], "In setup.cfg."),
        Request("Now the next", [Did("Bash", {"command": "make release"}, None)], ""),
    )
    assert [(asked.calls, asked.acts, asked.open) for asked in requests(trace)] == [
        (5, 3, False), (0, 0, False), (1, 0, False), (1, 1, True),
    ]  # fmt: skip
    assert chosen(trace).number == 1
    assert chosen(trace, 1).trace.usage.output_tokens == 6 * 50


def test_what_comes_after_the_agent_began_to_learn_is_no_part_of_the_task(session: ReadSession) -> None:
    work = bump()
    written = Did("Write", {"file_path": "answer.json", "content": "{}"}, "written")
    again = Did("Bash", {"command": "skillforge learn --draft answer.json"}, None)
    trace = session(Request(work.said, [*work.did, LEARN, written, again], ""))
    assert (chosen(trace).calls, chosen(trace).open) == (5, False)
    asked_for = session(work, Request("Learn that.", [LEARN, written, again], ""))
    assert chosen(asked_for).number == 1


def test_a_request_that_cannot_be_compiled_says_which_could_be(session: ReadSession) -> None:
    many = [Did("Bash", {"command": f"make part{n}"}) for n in range(41)]
    trace = session(
        bump(), Request("All \x1b[31mparts", many), Request("Stop", [Did("Bash", {"command": "x"}, None)], "")
    )
    for number, told in ((2, "request 2 took 41 tool calls"), (3, "request 3 is not finished"), (9, "no request 9")):
        with pytest.raises(UsageError, match=told) as refused:
            chosen(trace, number)
        assert "--turn" in refused.value.hint
    with pytest.raises(UsageError, match="--turn 1: 5 tool calls: Release") as refused:
        chosen(trace)  # 41 calls: the newest is meant, and it is too long
    assert "\x1b" not in str(refused.value)
    with pytest.raises(UsageError, match="no request of this session"):
        chosen(session(Request("Hello", [], "Hello.")))
    assert request_of(trace, 1).number == 1


def test_the_routine_is_what_was_done_call_by_call(session: ReadSession) -> None:
    asked = chosen(session(bump()))
    drafted = asyncio.run(mechanical_draft("Release", [asked.done], None, routine))
    assert drafted.problems == ()
    assert drafted.verified is not None
    assert drafted.verified.reproduced
    assert drafted.skill is not None
    assert [(step.id, step.tool) for step in drafted.skill.steps] == [
        ("edit", "Edit"), ("bash", "Bash"), ("bash_2", "Bash"), ("reply", None),
    ]  # fmt: skip
    assert drafted.skill.steps[1].args == {"command": "make test"}
    assert drafted.skill.steps[0].args["new_string"] == "version = 1.4.0"


def test_what_the_request_says_and_what_a_result_gave_is_no_constant(session: ReadSession) -> None:
    order = '{"order_id": "A-100", "charge_id": "ch_77123", "items": []}'
    calls = [
        Did("mcp__shop__get_order", {"order_id": "A-100"}, order),
        Did("mcp__shop__refund", {"charge_id": "ch_77123", "note": "broken cup"}, "refunded"),
    ]
    asked = chosen(session(Request("Refund order A-100", calls, "Refunded.")))
    drafted = asyncio.run(mechanical_draft("", [asked.done], None, routine))
    assert drafted.problems == ()
    assert drafted.skill is not None
    steps = {step.tool: step.args for step in drafted.skill.steps if step.tool}
    assert steps["mcp__shop__get_order"] == {"order_id": {"from": "steps.understand.order_id"}}
    assert steps["mcp__shop__refund"]["charge_id"] == {"from": "steps.get_order.charge_id"}
    assert steps["mcp__shop__refund"]["note"] == "broken cup"


def test_a_routine_is_of_one_trace(session: ReadSession) -> None:
    done = chosen(session(bump())).done
    with pytest.raises(UsageError, match="2 traces are given"):
        routine("", [done, done])
    with pytest.raises(UsageError, match="none of its tool calls mattered"):
        routine("", [chosen(session(bump())).trace.model_copy(update={"messages": done.messages[:1]})])
