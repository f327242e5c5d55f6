"""Secrets planted wherever one can come from; afterwards none is in any output or in any byte of any file.

    python bench/planted_keys.py

Every secret is random and of one kind alone, and is looked for by any 12 characters of it. Allowed is only what was
asked for: a run's own input and answer on the stdout of ``skillforge run``, the 0600 key file, and files that this
script itself wrote with the secret in them, as a person would.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import stat
import string
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _shared import Done, environment, finish, print_table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fakes.llm_server import Answer, Fault, LLMServer, last_text, refuse, request_text  # noqa: E402

SERVING = "PLANTED_KEYS_SERVES"  # set for the process that is the server
WINDOW = 12  # characters: that much of a secret in a row is a leak
TASK = "Repeat the text, as the field said."
SKILL = """\
schema: skillforge/v1
name: say
description: Say it again.
input: {text: {type: string}}
output: {said: {type: string}}
instructions: Repeat.
prompt: "{{ text }}"
"""
PICK = SKILL.replace("name: say", "name: pick").replace("{said: {type: string}}", "{said: {enum: [a, b]}}")
SUITE = "schema: skillforge/suite/v1\nname: say\ndecision: {margin: 0.2}\ncases: file://say.jsonl\n"
DRAFT: Mapping[str, Any] = {
    "name": "said",
    "description": "Say it again.",
    "input": {"text": {"type": "string"}},
    "output": {"said": {"type": "string"}},
    "instructions": "Repeat.",
    "prompt": "{{ text }}",
    "examples": {"ids": "all"},
    "checks": [],
    "limits": {"input_tokens": 2000, "output_tokens": 200},
}
PLACES = ("stdout", "stderr", "traceback", "registry", "recording", "failed", "other files")


@dataclass(frozen=True)
class Kind:
    """One way for a secret to come in. ``answers`` and ``spoils`` are the server's side, by the model's name.

    ``prefix`` is the provider or endpoint that is asked, ``text`` the input of all commands. ``commands`` are more of
    them. ``shown`` says why ``skillforge run`` may show the secret on stdout, empty where it may not.
    """

    name: str
    key: bool = True  # an API key or header's value, else a text's own secret
    prefix: str = "gate"
    env: Callable[[str], dict[str, str]] = lambda secret: {}
    endpoint: Callable[[str], str] = lambda secret: ""  # lines of [endpoints.gate]
    stored: str = ""  # the variable under which the secret is stored with `keys set`
    answer: Callable[[str, dict[str, Any]], str | Answer] | None = None
    fault: Callable[[str], Fault] | None = None
    text: Callable[[str], str] = lambda secret: "hello"
    commands: Callable[[str], list[tuple[str, ...]]] = lambda secret: []
    shown: str = ""
    retried: bool = False  # asked again with pauses: fewer commands

    @property
    def model(self) -> str:
        return self.name.replace(" ", "-").replace(",", "")

    @property
    def secret(self) -> str:
        """A random one. An API key is known as such and needs no shape; a text's own secret is known by its shape."""
        drawn = random.Random(f"planted {self.name}")
        body = "".join(drawn.choices(string.ascii_letters + string.digits, k=44))
        return body if self.key else "sk-" + "ant-api03-" + body


def gate_key(secret: str) -> str:
    return 'api_key_env = "GATE_KEY"'


def quoting(status: int = 401, **more: Any) -> Callable[[str], Fault]:
    """A refusal that repeats the key in all fields of an error."""
    return lambda secret: refuse(
        status,
        body={"error": {"message": f"Incorrect API key provided: {secret}.", "type": secret, "code": secret}},
        **more,
    )


def said(text: str) -> str:
    return json.dumps({"said": text})


def drafting(body: dict[str, Any]) -> bool:
    return "You solved a task on real inputs" in request_text(body)


def answer_kinds() -> list[Kind]:
    """Secrets that a model says."""

    def in_fields(secret: str, body: dict[str, Any]) -> str:
        return json.dumps({**DRAFT, "instructions": f"Use {secret}."}) if drafting(body) else said(secret)

    def in_prose(secret: str, body: dict[str, Any]) -> str:
        return f"I think {secret} is what you want" + (", no draft" if drafting(body) else "")

    def in_problems(secret: str, body: dict[str, Any]) -> str:
        draft = {**DRAFT, "output": {"said": {"enum": [secret]}}, "limits": {secret: secret}, secret: secret}
        return json.dumps(draft) if drafting(body) else said("hello")

    def in_tool_call(secret: str, body: dict[str, Any]) -> Answer:
        return Answer(said("hello"), tool_calls=[(secret, secret, {"password": secret, "said": secret})])

    def in_model(secret: str, body: dict[str, Any]) -> Answer:
        return Answer(json.dumps(DRAFT) if drafting(body) else said("hello"), model=f"large-{secret}")

    own = "the answer itself"
    return [
        Kind("a model's answer, fields", key=False, answer=in_fields, shown=own),
        Kind("a model's answer, prose", key=False, answer=in_prose, shown=own),
        Kind("a draft's wrong fields", key=False, answer=in_problems),
        Kind("a tool call of a model", key=False, answer=in_tool_call, shown=own),
        Kind(
            "the model's name in an answer",
            env=lambda s: {"GATE_KEY": s},
            endpoint=lambda s: f'kind = "anthropic"\n{gate_key(s)}',
            answer=in_model,
        ),
        Kind(
            "an answer echoing the key", env=lambda s: {"GATE_KEY": s}, endpoint=gate_key, answer=in_fields, shown=own
        ),
    ]


def error_kinds() -> list[Kind]:
    """Secrets that a server's error says."""
    gate = {"env": lambda s: {"GATE_KEY": s}, "endpoint": gate_key}

    def page(secret: str) -> Fault:
        html = f"<!DOCTYPE html><html><head><title>denied {secret}</title></head><body>{secret}</body></html>"
        return refuse(403, body=html)

    def quoted_request(secret: str) -> Fault:
        return refuse(
            400, body={"detail": [{"loc": ["body"], "input": {"text": f"my key {secret}", "api_key": secret}}]}
        )

    def headers(secret: str) -> Fault:
        return refuse(401, message="no", headers={"x-request-id": secret, "request-id": secret, "x-key": secret})

    return [
        Kind("401 with the endpoint's key", fault=quoting(), **gate),
        Kind("headers of a 401, its request id", fault=headers, **gate),
        Kind("an HTML page", fault=page, **gate),
        Kind(
            "400 quoting the request", key=False, fault=quoted_request, text=lambda s: f"my key {s}", shown="its input"
        ),
        Kind(
            "an error in a stream",
            fault=lambda s: Fault("stream_error", at=0.3, message=f"bad key {s}"),
            retried=True,
            **gate,
        ),
        Kind(
            "a cut stream",
            key=False,
            answer=lambda s, body: said(s),
            fault=lambda s: Fault("cut", at=0.8),
            retried=True,
        ),
    ]


def key_kinds() -> list[Kind]:
    """Secrets where they belong, or nearly."""

    def from_file(secret: str) -> str:
        return 'api_key_env = "GATE_KEY"\nheader_env = {x-gate = "GATE_HEADER"}'

    return [
        Kind("ANTHROPIC_API_KEY", prefix="anthropic", env=lambda s: {"ANTHROPIC_API_KEY": s}, fault=quoting()),
        Kind("OPENAI_API_KEY", prefix="openai", env=lambda s: {"OPENAI_API_KEY": s}, fault=quoting()),
        Kind("a key of the key file", stored="GATE_KEY", endpoint=gate_key, fault=quoting()),
        Kind(
            "header_env",
            stored="GATE_HEADER",
            env=lambda s: {"GATE_KEY": "some-other-key"},
            endpoint=from_file,
            fault=quoting(400),
        ),
        Kind(
            "headers of skillforge.toml",
            endpoint=lambda s: f'headers = {{authorization = "Bearer {s}"}}',
            fault=quoting(),
        ),
        Kind("a key that no header holds", env=lambda s: {"GATE_KEY": f"{s}\u00e9"}, endpoint=gate_key),
        Kind("a key in place of its variable", endpoint=lambda s: f'api_key_env = "{s}-1"'),
        Kind("api_key in skillforge.toml", endpoint=lambda s: f'api_key = "{s}"'),
        Kind("a URL's login", endpoint=lambda s: f'base_url = "http://user:{s}@127.0.0.1:9/v1"'),
        Kind(
            "a login in OPENAI_BASE_URL",
            prefix="openai",
            env=lambda s: {"OPENAI_BASE_URL": f"http://user:{s}@127.0.0.1:9/v1", "OPENAI_API_KEY": "some-other-key"},
        ),
        Kind(
            "a key on the command line",
            key=False,
            commands=lambda s: [
                ("keys", "set", "anthropic", s),
                ("keys", "set", s),
                ("keys", s),
                ("run", "say", f"--{s}"),
                ("run", "say", "--student", f"{s}:x", "-i", "a=b"),
                ("create", TASK, "--teacher", f"gate:{s}", "-i", f"{s}=x", "--name", s),
                ("show", s),
                (s,),
            ],
        ),
        Kind("an input", key=False, text=lambda s: f"my key is {s}", shown="its input"),
    ]


@dataclass
class Found:
    """Where one kind's secret was seen."""

    seen: dict[str, list[str]] = field(default_factory=dict)
    shown: int = 0
    codes: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Trial:
    """One kind: its repository, its commands, and the search afterwards."""

    def __init__(self, base: Path, url: str, kind: Kind) -> None:
        self.kind, self.secret = kind, kind.secret
        self.home = base / "".join(char if char.isalnum() else "-" for char in kind.name)
        self.root = self.home / "repository"
        for folder in (self.root / "skills" / "say", self.root / "skills" / "pick", self.root / "evals"):
            folder.mkdir(parents=True)
        (self.home / "tmp").mkdir()
        self.model = f"{kind.prefix}:{kind.model}"
        places = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "XDG_CACHE_HOME": str(self.home / "cache")}
        addresses = {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}
        config = {
            "SKILLFORGE_CONFIG_DIR": str(self.home / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        self.env = {**environment(**places, **addresses, **config), **kind.env(self.secret)}
        self.written = self._write(url)
        self.result = Found()

    def _write(self, url: str) -> dict[Path, bytes]:
        own = self.kind.endpoint(self.secret)
        lines = ["[endpoints.gate]", "price = {input = 1, output = 1}", own]
        if "kind = " not in own:
            lines.append('kind = "openai-chat"')
        if "base_url" not in own:
            lines.append(f'base_url = "{url}/v1"')
        text = self.kind.text(self.secret)
        cases = [{"id": f"c{n}", "input": {"text": f"{text} {n}"}, "expected": {"said": "hello"}} for n in range(2)]
        files = {
            "skillforge.toml": "\n".join(lines) + "\n",
            "skills/say/skill.yaml": SKILL,
            "skills/pick/skill.yaml": PICK,
            "evals/say.yaml": SUITE,
            "evals/say.jsonl": "".join(json.dumps(case) + "\n" for case in cases),
        }
        for name, content in files.items():
            (self.root / name).write_text(content)
        return {self.root / name: content.encode() for name, content in files.items()}

    def commands(self) -> list[tuple[str, ...]]:
        if found := self.kind.commands(self.secret):
            return found
        text = f"text={self.kind.text(self.secret)}"
        record = ("--record", "recording")
        run = ("run", "say", "--student", self.model, "-i", text)
        create = ("create", TASK, "--teacher", self.model, "-i", text, *record)
        if self.kind.retried:
            return [create]
        return [
            (*run, *record),
            (*run, "--json"),
            ("run", "pick", *run[2:]),
            create,
            ("eval", "say", "--teacher", self.model, "--students", self.model, "--split", "all", *record),
            ("doctor", "--call", self.model),
            ("models", "test", self.model),
            ("keys", "list"),
        ]

    def run(self) -> Found:
        if self.kind.stored:
            self._search(self._call(("keys", "set", self.kind.stored, "--file"), stdin=self.secret), "keys set")
        for args in self.commands():
            done = self._call(args)
            self._search(done, args[0] if args[0].isalpha() else "no command")
            self.result.codes.append(done.code)
            stopped = done.code > 1 if args[0] == "run" else done.code
            if args[0] in ("run", "create", "doctor", "keys") and stopped and "--json" not in args:
                self._search(self._call(args, SKILLFORGE_DEBUG="1"), args[0], debug=True)
        self._search_files()
        return self.result

    def _call(self, args: Sequence[str], *, stdin: str = "", **more: str) -> Done:
        (self.home / "stdin").write_bytes(stdin.encode())
        code = in_a_process(args, self.root, {**self.env, **more}, self.home)
        out, err = ((self.home / name).read_bytes().decode("utf-8", "replace") for name in ("stdout", "stderr"))
        for name in ("stdin", "stdout", "stderr"):
            (self.home / name).unlink()
        return Done(code, out, err, 0)

    def _holds(self, data: bytes) -> bool:
        body = self.secret.encode()[-44:]
        return any(body[at : at + WINDOW] in data for at in range(len(body) - WINDOW + 1))

    def _search(self, done: Done, what: str, *, debug: bool = False) -> None:
        if self._holds(done.out.encode()):
            if what == "run" and self.kind.shown:
                self.result.shown += 1
            else:
                self._saw("stdout", what)
        if self._holds(done.err.encode()):
            self._saw("traceback" if debug else "stderr", what)
        if not debug and "Traceback" in done.err:
            self.result.wrong.append(f"{what} ends with a traceback: {done.err.splitlines()[-1][:200]}")

    def _search_files(self) -> None:
        for file in sorted(path for path in self.home.rglob("*") if path.is_file()):
            data = file.read_bytes()
            if self._holds(str(file.relative_to(self.home)).encode()):
                self._saw("other files", f"the name of {file.name[:20]}")
            if not self._holds(data) or self.written.get(file) == data:
                continue
            if file == self.home / "config" / "keys.toml":
                if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) != 0o600:
                    self.result.wrong.append("the key file is open to others")
                continue
            self._saw(self._place(file), file.name)

    def _saw(self, place: str, what: str) -> None:
        self.result.seen.setdefault(place, []).append(what)

    def _place(self, file: Path) -> str:
        if file.parent.name == "failed":
            return "failed"
        return {"recording": "recording", ".skillforge": "registry"}.get(file.parent.name, "other files")


def in_a_process(args: Sequence[str], root: Path, env: Mapping[str, str], home: Path) -> int:
    """The command in a process of its own, forked from this one, which has imported it: a start costs a second."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        os.chdir(root)
        os.environ.clear()
        os.environ.update(env)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(home / name, flags, 0o600), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        sys.argv = ["skillforge", *args]
        code = as_the_interpreter()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def as_the_interpreter() -> int:
    from skillforge.cli.app import main as skillforge

    try:
        skillforge()
    except SystemExit as exc:
        return int(exc.code or 0)
    except BaseException as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
        return 1
    return 0


def all_kinds() -> list[Kind]:
    listed = [*key_kinds(), *error_kinds(), *answer_kinds()]
    return [kind for kind in listed if len(sys.argv) < 2 or any(word in kind.name for word in sys.argv[1:])]


def serve(pipe: int) -> None:
    """The model server, in a process of its own, until its parent ends."""
    by_model = {kind.model: kind for kind in all_kinds()}

    def answered(body: dict[str, Any]) -> str | Answer:
        kind = by_model.get(str(body.get("model")))
        if kind is not None and kind.answer is not None:
            return kind.answer(kind.secret, body)
        return json.dumps(DRAFT) if drafting(body) else said(last_text(body))

    def spoiled(number: int, body: Mapping[str, Any]) -> Fault | None:
        kind = by_model.get(str(body.get("model")))
        if kind is None or kind.fault is None or (kind.retried and not body.get("stream")):
            return None
        return kind.fault(kind.secret)

    with LLMServer(answered, spoiled) as server:
        os.write(pipe, f"{server.url}\n".encode())
        os.read(0, 1)  # the parent's end of it closes when it ends


def trial(number: int, base: Path, url: str) -> Found:
    return Trial(base, url, all_kinds()[number]).run()


def main() -> None:
    started = time.monotonic()
    with (
        subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:]], env={**os.environ, SERVING: "1"}, stdin=-1, stdout=-1
        ) as server,
        tempfile.TemporaryDirectory() as name,
    ):
        assert server.stdout is not None
        url, base = server.stdout.readline().decode().strip(), Path(name).resolve()
        preload()
        kinds = all_kinds()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.starmap(trial, [(number, base, url) for number in range(len(kinds))], chunksize=1)
        server.terminate()
    rows: list[list[object]] = [["planted in", *PLACES, "shown by run", "exit codes"]]
    broken: list[str] = []
    for kind, found in zip(kinds, results, strict=True):
        seen = found.seen
        cells = [", ".join(sorted(set(seen[place]))) if seen.get(place) else "-" for place in PLACES]
        allowed = f"{found.shown}x, {kind.shown}" if found.shown else "-"
        rows.append([kind.name, *cells, allowed, " ".join(map(str, found.codes))])
        broken += [f"{kind.name}: in {place}: {', '.join(what)}" for place, what in seen.items() if what]
        broken += [f"{kind.name}: {what}" for what in found.wrong]
    print_table(rows)
    count = sum(len(found.codes) for found in results)
    print(f"\n{len(kinds)} kinds, {count} commands, {time.monotonic() - started:.0f} s")
    finish(broken)


def preload() -> None:
    """What the commands import, without any thread or connection."""
    import anthropic  # noqa: F401
    import openai.resources.chat
    import openai.resources.responses  # noqa: F401

    import skillforge.cli.app
    import skillforge.forge.forge
    import skillforge.providers.wires.anthropic_wire
    import skillforge.providers.wires.openai_wire  # noqa: F401

    warnings.simplefilter("error")


if __name__ == "__main__":
    serve(1) if os.environ.get(SERVING) else main()
