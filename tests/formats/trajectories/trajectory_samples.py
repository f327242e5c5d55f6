"""Small trajectories in the shape of real ones, one a format, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def jsonl(path: Path, rows: Sequence[Row | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def tau_row(task: int = 7, trial: int = 0, reward: float = 1.0, **more: Any) -> Row:
    call = {"id": "call_a", "type": "function", "function": {"name": "get_order", "arguments": '{"order_id": "A1"}'}}
    return {
        "task_id": task,
        "trial": trial,
        "reward": reward,
        "instruction": "You are a customer",
        "gold_actions": [{"name": "cancel_order", "kwargs": {"order_id": "A1"}}],
        "messages": [
            {"role": "user", "content": f"Cancel my order A1, attempt {trial}"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_a", "name": "get_order", "content": '{"status": "open"}'},
            {"role": "assistant", "content": "Done."},
        ],
        **more,
    }


def claude_line(kind: str, number: int, content: Any, parent: int | None, **more: Any) -> Row:
    message: Row = {"role": kind, "content": content}
    for key in ("id", "model", "usage", "stop_reason"):
        if key in more:
            message[key] = more.pop(key)
    return {
        "type": kind,
        "uuid": f"u{number}",
        "parentUuid": None if parent is None else f"u{parent}",
        "isSidechain": False,
        "sessionId": "s1",
        "cwd": "/home/me/app",
        "version": "2.1.0",
        "timestamp": f"2026-03-01T10:00:{number:02d}.000Z",
        "message": message,
        **more,
    }


def usage(sent: int, made: int, read: int = 0, written: int = 0) -> Row:
    return {
        "input_tokens": sent,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": made,
    }


def claude_session() -> list[Row]:
    """Two answers in five lines; two tools that ran at the same time; a summary and a snapshot."""
    first: Row = {"id": "msg_1", "model": "claude-x", "stop_reason": "tool_use"}
    return [
        {"type": "file-history-snapshot", "messageId": "u1", "snapshot": {}},
        claude_line("user", 1, "Rename the module", None),
        claude_line("assistant", 2, [{"type": "text", "text": "I look."}], 1, usage=usage(10, 1, 5), **first),
        claude_line(
            "assistant", 3, [_use("t1", "Bash", {"command": "ls"})], 2, usage=usage(10, 4, 5), requestId="r", **first
        ),
        claude_line("assistant", 4, [_use("t2", "Read", {"file": "a"})], 3, usage=usage(10, 9, 5), **first),
        claude_line("user", 5, [_result("t1", "a b")], 3, toolUseResult={"stdout": "a b"}),
        claude_line("user", 6, [_result("t2", "text", is_error=True)], 4),
        claude_line(
            "assistant", 7, [{"type": "text", "text": "Renamed."}], 6, id="msg_2", model="claude-x",
            stop_reason="end_turn", usage=usage(30, 5, 10, 2),
        ),
        {"type": "summary", "summary": "A rename", "leafUuid": "u7"},
    ]  # fmt: skip


def _use(call_id: str, name: str, given: Row) -> Row:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def _result(call_id: str, content: Any, **more: Any) -> Row:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def pi_session() -> list[Row]:
    def cost(total: float) -> Row:
        return {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": total}

    def answer(content: list[Row], sent: int, made: int, usd: float, stop: str) -> Row:
        told = {"input": sent, "output": made, "cacheRead": 3, "cacheWrite": 2, "cost": cost(usd)}
        message = {"role": "assistant", "content": content, "api": "anthropic-messages", "model": "m-4", "usage": told}
        return {"type": "message", "timestamp": "2026-01-01T00:00:01Z", "message": {**message, "stopReason": stop}}

    call = {"type": "toolCall", "id": "t1", "name": "read", "arguments": {"path": "a.md"}}
    shown = {"role": "toolResult", "toolCallId": "t1", "toolName": "read", "content": [{"type": "text", "text": "hi"}]}
    return [
        {"type": "session", "id": "p1", "timestamp": "2026-01-01T00:00:00Z", "cwd": "/home/me", "modelId": "m-4"},
        {"type": "model_change", "provider": "anthropic", "modelId": "m-4"},
        {"type": "message", "message": {"role": "user", "content": [{"type": "text", "text": "/mode"}]}},
        {"type": "message", "message": {"role": "user", "content": [{"type": "text", "text": "Read a.md"}]}},
        answer([{"type": "thinking", "thinking": "so"}, call], 10, 5, 0.0125, "toolUse"),
        {"type": "message", "message": {**shown, "isError": False}},
        answer([{"type": "text", "text": "It says hi."}], 20, 7, 0.0225, "stop"),
    ]


def swe_row(**more: Any) -> Row:
    def said(text: str, action: str) -> Row:
        content = f"{text}\n```\n{action}\n```"
        return {"role": "assistant", "content": content, "thought": text, "action": f"{action}\n", "agent": "primary"}

    return {
        "id": "demo/one.traj",
        "n_steps": 2,
        "exit_status": "submitted",
        "model_stats": {"instance_cost": 0.5, "tokens_sent": 900, "tokens_received": 80, "api_calls": 2},
        "history": [
            {"role": "system", "content": "You have a shell.", "agent": "primary"},
            {"role": "user", "content": "Fix the bug.", "agent": "primary"},
            said("I look.", "open a.py"),
            {"role": "user", "content": "1: print 1", "agent": "primary"},
            said("I am done.", "submit"),
        ],
        **more,
    }


def mini_messages() -> list[Row]:
    return [
        {"role": "system", "content": "One ```mswea_bash_command block"},
        {"role": "user", "content": "Fix it"},
        {"role": "assistant", "content": "Look.\n\n```mswea_bash_command\ncat a.py\n```"},
        {"role": "user", "content": "<returncode>1</returncode>\n<output>\nno such file\n</output>"},
        {"role": "assistant", "content": "Again.\n\n```mswea_bash_command\nls\n```"},
        {"role": "user", "content": "<returncode>0</returncode>\n<output>\nb.py\n</output>"},
    ]


def anthropic_row(**more: Any) -> Row:
    return {
        "system": "You help.",
        "model": "claude-x",
        "tools": [{"name": "get_order", "description": "An order", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Where is A1?"},
            {"role": "assistant", "content": [_use("t1", "get_order", {"id": "A1"})]},
            {"role": "user", "content": [_result("t1", [{"type": "text", "text": "sent"}])]},
            {"role": "assistant", "content": [{"type": "text", "text": "It was sent."}]},
        ],
        **more,
    }


def tooltalk_row(**more: Any) -> Row:
    call = {"request": {"api_name": "GetReminders", "parameters": {}}, "response": {"reminders": []}}
    failed = {"request": {"api_name": "AddReminder", "parameters": {"text": "x"}}, "response": None}
    return {
        "id": "Reminder-easy",
        "set": "easy",
        "metadata": {"username": "me"},
        "apis": ["GetReminders", "AddReminder"],
        "conversation": [
            {"index": 0, "role": "user", "text": "Which reminders do I have?"},
            {
                "index": 1,
                "role": "assistant",
                "text": "None.",
                "apis": [{**call, "exception": None}, {**failed, "exception": "no session"}],
            },
        ],
        **more,
    }


def exchange_row(**more: Any) -> Row:
    asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    answer = {"finish_reason": "stop", "message": {"role": "assistant", "content": "Done."}}
    return {
        "request": {"model": "gpt-x", "messages": [*asked, {"role": "user", "content": "do it"}]},
        "response": {"object": "chat.completion", "model": "gpt-x-1", "choices": [answer], "usage": usage},
        "cost_usd": 0.25,
        **more,
    }


def codex_session() -> list[Row]:
    def item(**payload: Any) -> Row:
        return {"timestamp": "2026-02-02T00:00:00.000Z", "type": "response_item", "payload": payload}

    def counted(total: int, last: int, made: int) -> Row:
        info = {
            "total_token_usage": {"input_tokens": total, "output_tokens": made},
            "last_token_usage": {"input_tokens": last, "cached_input_tokens": 4, "output_tokens": made},
        }
        return {"type": "event_msg", "payload": {"type": "token_count", "info": info}}

    return [
        {"type": "session_meta", "payload": {"id": "c1", "cwd": "/home/me", "instructions": "Be short."}},
        {"type": "turn_context", "payload": {"model": "gpt-codex", "cwd": "/home/me"}},
        item(type="message", role="user", content=[{"type": "input_text", "text": "<environment_context>x"}]),
        item(type="message", role="user", content=[{"type": "input_text", "text": "List the files"}]),
        item(type="reasoning", summary=[], encrypted_content="x"),
        item(type="function_call", name="shell", arguments='{"command": ["ls"]}', call_id="k1"),
        item(type="function_call_output", call_id="k1", output="a b"),
        {"type": "event_msg", "payload": {"type": "token_count", "info": None}},
        counted(10, 10, 5),
        counted(10, 10, 5),
        {"type": "event_msg", "payload": {"type": "agent_message", "message": "Two files."}},
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "Two files."}]),
        counted(30, 20, 9),
    ]


def span(name: str, number: int, told: Row, trace: str = "aa", parent: str = "") -> Row:
    attributes = [{"key": key, "value": _any(value)} for key, value in told.items()]
    return {
        "traceId": trace,
        "spanId": f"s{number}",
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(1_751_247_517_000_000_000 + number * 10**9),
        "endTimeUnixNano": str(1_751_247_517_500_000_000 + number * 10**9),
        "attributes": attributes,
    }


def _any(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def otlp(*spans: Row) -> Row:
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}]}


def genai_trace() -> Row:
    """Two model calls with a tool between them, in the newer words; out of order, as exporters write them."""
    system = json.dumps([{"type": "text", "content": "You help."}])
    user = {"role": "user", "parts": [{"type": "text", "content": "Where is A1?"}]}
    call = {"type": "tool_call", "id": "t1", "name": "get_order", "arguments": {"id": "A1"}}
    made = {"role": "assistant", "parts": [call]}
    again = {"role": "assistant", "parts": [{**call, "id": "other-name"}]}
    response = {"type": "tool_call_response", "id": "other-name", "response": {"status": "sent"}}
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "gen_ai.system_instructions": system}
    first = {
        "gen_ai.input.messages": json.dumps([user]),
        "gen_ai.output.messages": json.dumps([{**made, "finish_reason": "tool_call"}]),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
    }
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "Sent."}], "finish_reason": "stop"}
    second = {
        "gen_ai.input.messages": json.dumps([user, again, {"role": "tool", "parts": [response]}]),
        "gen_ai.output.messages": json.dumps([answer]),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 3,
    }
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_order",
        "gen_ai.tool.call.id": "t1",
        "gen_ai.tool.call.result": '{"status": "sent"}',
    }
    total = {"gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 5}
    return otlp(
        span("chat m-1", 4, {**told, **second}, parent="s1"),
        span("execute_tool get_order", 3, tool, parent="s1"),
        span("chat m-1", 2, {**told, **first}, parent="s1"),
        span("invoke_agent shop", 1, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop", **total}),
    )


def our_row() -> Row:
    return {
        "case_id": "t1",
        "task": "Sort tickets",
        "input": {"text": "pay"},
        "output": {"team": "billing"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "pay"}]}],
    }


FILES: dict[str, Callable[[], list[Row]]] = {
    "openai-chat": lambda: [tau_row(1), tau_row(1, 1, 0.0), tau_row(2)],
    "claude-code": claude_session,
    "pi": pi_session,
    "codex": codex_session,
    "swe-agent": lambda: [swe_row(), swe_row(id="demo/two.traj")],
    "anthropic-messages": lambda: [anthropic_row(), anthropic_row()],
    "tooltalk": lambda: [tooltalk_row(), tooltalk_row(id="b")],
    "exchange": lambda: [exchange_row(), exchange_row(id="x" * 20)],
    "otel": lambda: [genai_trace(), otlp(span("chat", 9, {"gen_ai.prompt.0.content": "q"}, trace="bb"))],
    "skillforge": lambda: [our_row(), our_row()],
    "mini-swe-agent": mini_messages,
}
