"""llama.cpp's own HTTP server as the student: what each of its three APIs does, then ``create`` and ``eval`` on it.

    python bench/real_servers.py [--limit 24] [--students chat,cold,responses,messages]

The server runs SmolLM2-135M on loopback. The skill is made from the recorded teacher, the commands are what a user
types, and each eval measures the same cases. ``cold`` is ``chat`` at temperature 0: unasked, this server samples at
0.8.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from _apis import KEY_VARIABLE, QUESTIONS, Target, look
from _shared import environment, finish, print_table, skillforge

from skillforge.demo_data import copy_demo
from skillforge.endpoints import Kind
from skillforge.errors import NotFound

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.llama_server import LlamaServer

KINDS: dict[str, Kind] = {"chat": "openai-chat", "responses": "openai-responses", "messages": "anthropic"}
SLOTS, N_CTX = 2, 16384
COLD = "temperature = 0.0\n"
EVAL_S = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=24, help="cases of the eval")
    parser.add_argument("--students", default="chat,cold", help="the APIs that are measured, comma separated")
    args = parser.parse_args()
    try:
        server = LlamaServer(slots=SLOTS, n_ctx=N_CTX)
    except NotFound as exc:
        print(f"skipped: {exc}: {exc.hint}")
        return 0
    with server, tempfile.TemporaryDirectory() as folder:
        compare(server)
        broken = measure(server, Path(folder), args.students.split(","), args.limit)
    finish(broken)
    return 0


def compare(server: LlamaServer) -> None:
    """The table: what each API of this server does."""
    columns = {}
    for name, kind in KINDS.items():
        started = time.perf_counter()
        columns[name] = look(Target(name, kind, server.url, server.key, "smollm2"))
        columns[name]["seconds for all of it"] = f"{time.perf_counter() - started:.1f}"
    questions = [*QUESTIONS, "seconds for all of it"]
    print_table([["", *KINDS.values()], *[[what, *(columns[name][what] for name in KINDS)] for what in questions]])


def measure(server: LlamaServer, root: Path, apis: list[str], limit: int) -> list[str]:
    """``create`` once, ``eval`` for each API; what broke."""
    env = environment(**{KEY_VARIABLE: server.key})
    copy_demo(root, "ticket-triage")
    (root / "skillforge.toml").write_text(
        "".join(
            f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{server.url}"\napi_key_env = "{KEY_VARIABLE}"\n'
            f"concurrency = {SLOTS}\n{options}"
            for name, kind, options in [*((*item, "") for item in KINDS.items()), ("cold", KINDS["chat"], COLD)]
        )
    )
    created = skillforge(
        *("create", "@evals/ticket-triage.task.txt", "--teacher", "replay:evals/ticket-triage.teacher.jsonl"),
        *("--cases", "evals/ticket-triage.jsonl", "--suite", "evals/ticket-triage.yaml"),
        cwd=root,
        env=env,
    )
    out = created.out.replace(f"{root}/", "")
    print(f"\n{out}exit code {created.code}, {created.seconds:.1f} s")
    if created.code != 0:
        return [f"create: {created.err}"]
    return [problem for api in apis for problem in evaluated(root, env, api, limit)]


def evaluated(root: Path, env: dict[str, str], api: str, limit: int) -> list[str]:
    command = ("eval", "ticket-triage", "--students", f"{api}:smollm2", "--teacher", "recorded", "--limit", str(limit))
    done = skillforge(*command, cwd=root, env=env, timeout_s=EVAL_S)
    print(f"\n$ skillforge {' '.join(command)}\n{done.out}exit code {done.code}, {done.seconds:.0f} s")
    if done.code not in (0, 1, 3):
        return [f"{api}: exit code {done.code}: {done.err[-500:]}"]
    again = skillforge(*command, "--json", cwd=root, env=env)
    report = json.loads(again.out)
    arms = [arm for arm in report["arms"] if arm["kind"] != "no-model"]
    for arm in arms:
        speed = "" if arm["p50_s"] is None else f", median {arm['p50_s']:.2f} s"
        print(f"{arm['name']}: {arm['quality']:.3f} right, {arm['errors']} errors, {arm['repaired']} repaired{speed}")
    promises = {
        "no call failed": not any(arm["errors"] for arm in arms),
        "every answer says its tokens": all(arm["input_tokens"] and arm["output_tokens"] for arm in arms),
        "the second run asks nothing": report["reused"] == report["samples"],
    }
    return [f"{api}: {promise}" for promise, kept in promises.items() if not kept]


if __name__ == "__main__":
    sys.exit(main())
