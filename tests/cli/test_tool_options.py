"""The flags about tools: what they name, and the question before a write."""

from __future__ import annotations

import os
import sys

import pytest

from skillforge.cli._tool_options import asker, tools_given
from skillforge.errors import NotFound, UsageError
from skillforge.messages import Tool
from skillforge.tools.recorded import RecordedTools

REFUND = Tool(name="refund", effect="write")


def test_flags_name_tools_and_servers():
    assert tools_given(None, None, None) is None
    assert tools_given([], [], None) is None
    given = tools_given(["shop:tools"], ["python -m mcp_server_time", "http://127.0.0.1:1/mcp"], None)
    assert given == ["shop:tools", "mcp:python -m mcp_server_time", "mcp:http://127.0.0.1:1/mcp"]


def test_a_recording_answers_instead(tmp_path):
    path = tmp_path / "calls.jsonl"
    with pytest.raises(NotFound):
        tools_given(None, None, path)
    path.write_text('{"tool": "get", "content": 1}\n')
    assert isinstance(tools_given(None, None, path), RecordedTools)
    with pytest.raises(UsageError, match="answers instead"):
        tools_given(["shop:tools"], None, path)


def test_yes_asks_nobody():
    assert asker(True)(REFUND, {"order": "a"})


def test_without_a_terminal_yes_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    with sys.stdin, pytest.raises(UsageError, match="the tool refund writes") as error:
        asker(False)(REFUND, {"order": "a"})
    assert "--yes" in error.value.hint


@pytest.mark.skipif(os.name != "posix", reason="a terminal of our own needs a pty")
@pytest.mark.parametrize(
    ("typed", "allowed"), [("y\n", True), ("n\n", False), ("\n", False), ("\x04", False), ("what\nYES\n", True)]
)
def test_a_person_is_asked_on_stderr(monkeypatch, capsys, typed, allowed):
    import pty

    master, slave = pty.openpty()
    monkeypatch.setenv("SHOP_TOKEN", "hunter2hunter2")
    with os.fdopen(slave, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(master, typed.encode())
        assert asker(False)(REFUND, {"order": "a\x1b[31m", "token": "hunter2hunter2"}) is allowed
    os.close(master)
    out, err = capsys.readouterr()
    assert out == ""
    assert 'refund {"order": "a\\u001b[31m", "token": "[redacted:env]"}' in err
    assert "refund writes. Allow it, now and from then on? [y/N]" in err
    assert "hunter2" not in err
    assert "\x1b" not in err
