"""The documentation is true: what it shows is run, what it names exists, what it links to is there.

A fenced block says in its first line what it is: ``yaml file=PATH`` is written there, ``python run`` is executed, and
so is every ``$ skillforge …`` line of a ``console`` block that needs no local model, with ``NAME=VALUE`` before it and
``< FILE`` behind it. ``$ python FILE`` and ``$ git …`` are executed too; keys that a page exports are set.
``# exit code N`` behind a command says how it ends; the lines below it must be among what it prints, where ``…`` stands
for anything and several spaces for any number of them. Every page starts where the quickstart ends, or in an empty
folder where it makes its own repository.

Models behind a network are played by a server on loopback: providers known by name and every ``base_url`` of a
``skillforge.toml`` lead there, at the prices of ``page_models``. A key that a page stores is read from stdin.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from runpy import run_path
from typing import Any, get_args

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from typer.main import get_command

from skillforge import Case, Check, Decision, Suite
from skillforge.case import CaseCheck, ScorerSpec
from skillforge.checks import CHECK_TYPES, check_problems
from skillforge.cli.app import app, main
from skillforge.config import SETTINGS_FILE, Settings
from skillforge.endpoints import Endpoint, Price
from skillforge.errors import UsageError
from skillforge.evals.pages.write import require_writable
from skillforge.evals.recorded.compare import compare
from skillforge.evals.running.arms import ArmKind
from skillforge.evals.scorers.resolve import SCORER_TYPES, scorer_of
from skillforge.messages import Value
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.yamlfile import load_yaml
from tests.fakes.llm_server import LLMServer
from tests.fakes.page_models import PRICES, page_model

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = {page: page.read_text("utf-8") for page in [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]}
QUICKSTART = DOCS / "quickstart.md"

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_A_MODEL = re.compile(r"local:|\bmodels pull\b|\bdemo\b|--lost|\b(NAME|MODEL)\b")
OWN_REPOSITORY = "\n$ skillforge init ."
PLAYED = ("skillforge", "python", "git", "export")
ASSIGNED = re.compile(r"[A-Z_]+=.*")
KEY = b"key-of-a-page-0123456789"
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, what stands behind it, and its lines."""

    language: str
    note: str
    body: str


@dataclass(frozen=True)
class Command:
    """One ``$ …`` line, with the output that the page shows below it. ``words`` are those behind the program's name."""

    program: str
    words: tuple[str, ...]
    exit_code: int
    shown: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    source: str = ""  # the file that it reads from

    @property
    def line(self) -> str:
        return shlex.join(self.words)


def blocks(text: str) -> list[Block]:
    return [Block(match[1], match[2].strip(), match[3]) for match in FENCE.finditer(text)]


def prose(text: str) -> str:
    return FENCE.sub("", text)


def played(block: Block) -> Iterator[Command]:
    """The commands of a ``console`` block that can be run here."""
    if block.language != "console":
        return
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        asked, *shown = part.splitlines()
        code = EXIT_CODE.search(asked)
        words = shlex.split(EXIT_CODE.sub("", asked), comments=True)
        variables = list(takewhile(ASSIGNED.fullmatch, words))
        program, *words = [*words[len(variables) :], ""] if len(variables) == len(words) else words[len(variables) :]
        source = words.pop() if words[-2:-1] == ["<"] else ""
        if program in PLAYED:
            yield Command(
                program,
                tuple(word for word in words if word != "<"),
                int(code[1]) if code else 0,
                tuple(filter(None, map(str.strip, shown))),
                tuple((name, value) for name, _, value in (word.partition("=") for word in variables)),
                source,
            )


def commands(block: Block) -> Iterator[Command]:
    return (command for command in played(block) if command.program == "skillforge")


def skillforge(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, typed: bytes = KEY) -> tuple[int, str]:
    """Exit code and everything printed."""
    monkeypatch.setattr(sys, "argv", ["skillforge", *words])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), said.getvalue()


def python(file: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """A script of the current folder, which may import its neighbours."""
    monkeypatch.syspath_prepend(os.getcwd())
    said, before = io.StringIO(), set(sys.modules)
    with redirect_stdout(said), redirect_stderr(said):
        run_path(file, run_name="__main__")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the end of a process closes what its client holds open
        gc.collect()
    for name in {path.stem for path in Path.cwd().glob("*.py")} - before:
        sys.modules.pop(name, None)
    return 0, said.getvalue()


def git(words: tuple[str, ...]) -> tuple[int, str]:
    who = {f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], env=env, capture_output=True, text=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


def outcome(command: Command, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and output of a command."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in command.variables:
            patch.setenv(name, value)
        if command.program == "skillforge":
            return skillforge(command.words, patch, Path(command.source).read_bytes() if command.source else KEY)
        if command.program == "python":
            return python(command.words[0], patch)
    if command.program == "git":
        return git(command.words)
    for name, _, _ in (word.partition("=") for word in command.words):
        if name.endswith("_API_KEY"):
            monkeypatch.setenv(name, KEY.decode())
    return 0, ""


def shows(line: str, said: str) -> bool:
    """Whether a line of a page is among what was printed."""
    pattern = ".*".join(re.sub(r"(\\ ){2,}", r"\\ +", re.escape(part)) for part in line.split("…"))
    return re.search(f"^ *{pattern} *$", said, re.MULTILINE) is not None


def play(page: Path, monkeypatch: pytest.MonkeyPatch, server: str = "") -> int:
    """Do in the current folder what ``page`` shows, from top to bottom; how many things were done.

    ``server`` is the address that takes the place of every other one.
    """
    done = 0
    for block in blocks(TEXTS[page]):
        if block.note.startswith("file="):
            target = Path(block.note.removeprefix("file="))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(on_loopback(block.body, server) if target.name == SETTINGS_FILE else block.body, "utf-8")
            done += 1
        elif (block.language, block.note) == ("python", "run"):
            exec(compile(block.body, str(page), "exec"), {"__name__": "__main__"})
            done += 1
        for command in played(block):
            if not NEEDS_A_MODEL.search(command.line):
                code, said = outcome(command, monkeypatch)
                assert code == command.exit_code, f"{command.line}\n{said}"
                for line in command.shown:
                    assert shows(line, said), f"{command.line}: {line!r}\n{said}"
                done += 1
    return done


def on_loopback(settings: str, server: str) -> str:
    return re.sub(r'(base_url = ")https?://[^/"]+', rf"\1{server}", settings) + PRICES


@pytest.fixture(scope="session")
def models() -> Iterator[LLMServer]:
    with LLMServer(answer=page_model) as server:
        yield server


@pytest.fixture
def server(models: LLMServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the models. No key is set, and those that a page stores go to a file of its own."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKILLFORGE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))  # where a page may leave a session
    monkeypatch.setenv("ANTHROPIC_BASE_URL", models.url)
    monkeypatch.setenv("OPENAI_BASE_URL", models.url)
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield models.url
    keyring.set_keyring(before)


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    here = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert play(QUICKSTART, patch) == 6  # three files; init, create, lint
    assert Path.cwd() == here
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_shows_is_what_happens(
    page: Path, quickstart: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page == QUICKSTART:  # played by the fixture
        return
    repo = tmp_path / "repo"
    if OWN_REPOSITORY in TEXTS[page]:
        repo.mkdir()
    else:
        shutil.copytree(quickstart, repo)
    with (repo / SETTINGS_FILE).open("a", encoding="utf-8") as settings:
        settings.write(PRICES)
    monkeypatch.chdir(repo)
    play(page, monkeypatch, server)


@pytest.mark.model
def test_the_quickstarts_student_answers(quickstart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(quickstart, tmp_path / "repo")
    monkeypatch.chdir(tmp_path / "repo")
    shown = [command for block in blocks(TEXTS[QUICKSTART]) for command in commands(block)]
    run = next(command for command in shown if command.words[0] == "run")
    code, said = skillforge(run.words, monkeypatch)
    assert code == 0, said
    assert '"kind": ' in said  # which one may differ from machine to machine


def test_the_readmes_skill_is_sound(tmp_path: Path) -> None:
    skills = [block.body for block in blocks(TEXTS[ROOT / "README.md"]) if block.body.startswith("schema: skillforge/")]
    for body in skills:
        folder = tmp_path / re.search(r"^name: (.*)$", body, re.MULTILINE)[1]  # type: ignore[index]
        folder.mkdir()
        (folder / SKILL_FILE).write_text(body, "utf-8")
        assert read_skill(folder).warnings == ()


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_and_json_blocks_parse(page: Path) -> None:
    for block in blocks(TEXTS[page]):
        if block.language == "python":
            compile(block.body, str(page), "exec")
        elif block.language == "json":
            for line in block.body.splitlines():
                json.loads(line)


def test_the_agreement_that_the_data_page_states_is_the_one_its_script_finds() -> None:
    script = next(block.body for block in blocks(TEXTS[DOCS / "data.md"]) if block.note == "file=agreement.py")
    told = re.search(r"print\(.*\)  # (.*)$", script, re.MULTILINE)
    env = {**os.environ, "PYTHONUTF8": "1"}
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert told is not None
    assert found.stdout.strip() == told[1]


def test_every_type_of_check_has_an_example_that_lints() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| `(\{type: .*?\})` \|", TEXTS[DOCS / "checks.md"], re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(CHECK_TYPES)
    for name, example in rows:
        check = Check.model_validate(load_yaml(example, path=name).value)
        assert check.type == name
        assert check_problems(check, input_fields=["ticket"]) == []


def test_every_key_of_a_skill_is_explained() -> None:
    from skillforge.skill import Skill

    table = TEXTS[DOCS / "skill-format.md"].split("## Keys")[1].split("## Contract")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))))
    assert named == {field.alias or name for name, field in Skill.model_fields.items()} | {"steps"}


def test_every_setting_is_explained() -> None:
    named = set(re.findall(r"^\| `([a-z_]+)` \|", TEXTS[DOCS / "models.md"], re.MULTILINE))
    assert set(Endpoint.model_fields) | set(Price.model_fields) <= named
    assert all(f"`{name}`" in TEXTS[DOCS / "registry.md"] for name in Settings.model_fields)


def named_in(page: str, heading: str) -> set[str]:
    """What stands as code in the first column of the tables of a section."""
    section = TEXTS[DOCS / page].split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`([a-z_0-9]+)`", "".join(re.findall(r"^\|([^|]*)\|", section, re.MULTILINE))))


def test_every_key_of_a_suite_is_explained() -> None:
    fields: dict[str, type[Value]] = {"Keys": Suite, "Cases": Case, "The decision": Decision}
    for heading, model in fields.items():
        assert named_in("suites.md", heading) - {"schema"} == set(model.model_fields)
    assert named_in("suites.md", "Checks of a case") == set(CaseCheck.model_fields)


def test_every_scorer_and_every_setting_has_its_line() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| `(\{type: .*?\})` \|", TEXTS[DOCS / "suites.md"], re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(SCORER_TYPES)
    for name, example in rows:
        assert scorer_of(name, ScorerSpec.model_validate(load_yaml(example, path=name).value)).name == name
    assert set(ScorerSpec.model_fields) - {"type"} <= named_in("suites.md", "Scorers")


def test_every_figure_of_a_comparison_is_explained() -> None:
    line = {"id": "1", "teacher": "a", "student": "a", "expected": "a"}
    document = compare([line]).document()
    section = TEXTS[DOCS / "compare.md"].split("## For programs")[1]
    assert set(document) <= set(re.findall(r"`([a-z0-9_]+)`", section))


def test_every_kind_of_arm_and_every_file_of_a_report_is_explained() -> None:
    arms = TEXTS[DOCS / "verdicts.md"].split("## The arms")[1].split("### ")[0]
    assert set(get_args(ArmKind)) == set(re.findall(r"^\| ([a-z-]+) \| (?!what)", arms, re.MULTILINE))
    with pytest.raises(UsageError) as refused:
        require_writable([Path("report.pdf")])
    told = re.findall(r"^\| `(\.[a-z]+)` \|", TEXTS[DOCS / "reports.md"], re.MULTILINE)
    assert sorted(told) == sorted(re.findall(r"\.[a-z]+", refused.value.hint))


def known_commands() -> dict[tuple[str, ...], set[str]]:
    """Every command by its words, with its options."""
    found: dict[tuple[str, ...], set[str]] = {}

    def visit(words: tuple[str, ...], command: Any) -> None:
        found[words] = {option for item in command.params for option in item.opts if option.startswith("-")}
        found[words] |= {"-h", "--help"}
        for name, inner in getattr(command, "commands", {}).items():
            visit((*words, name), inner)

    visit((), get_command(app))
    return found


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_and_options_that_are_named_exist(page: Path) -> None:
    known = known_commands()
    every_option = set().union(*known.values())
    text = TEXTS[page]
    shown = [command.words for block in blocks(text) for command in commands(block)]
    shown += [tuple(line.split()[1:]) for line in re.findall(r"`(skillforge [^`]*)`", prose(text))]
    for words in shown:
        at = max(size for size in range(3) if words[:size] in known)
        assert at or not words or words[0] in every_option, f"no command {' '.join(words)}"
        options = {word.partition("=")[0] for word in words[at:] if re.match(r"--?[a-z]", word)}
        assert options <= known[words[:at]], f"skillforge {' '.join(words)}"
    for code in re.findall(r"`([^`\n]+)`", prose(text)):
        if code.startswith("--"):
            assert code.split()[0] in every_option, code


def test_every_command_and_every_option_is_documented() -> None:
    text = "\n".join(TEXTS.values())
    for words, options in known_commands().items():
        assert f"skillforge {' '.join(words)}".strip() in text
        for option in options:
            assert len(option) == 2 or option.endswith("-completion") or re.search(rf"{option}(?![\w-])", text), option


def test_every_environment_variable_is_documented_and_every_documented_one_is_read() -> None:
    code = [
        *(ROOT / "skillforge").rglob("*.py"),
        *(ROOT / "bench").glob("*.py"),
        *(ROOT / "tests/browser").glob("*.py"),
    ]
    read = {name for file in code for name in re.findall(r"SKILLFORGE_[A-Z_]+\b", file.read_text("utf-8"))}
    table = "\n".join(line for line in TEXTS[DOCS / "registry.md"].splitlines() if line.startswith("| `"))
    assert set(re.findall(r"SKILLFORGE_[A-Z_]+\b", table)) == read


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXTS[DOCS / "security.md"])
    assert len(named) > 20
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), f"{file}::{test}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(TEXTS[page])):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)}


def slug(title: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_index_links_every_page() -> None:
    index = TEXTS[DOCS / "index.md"]
    for page in DOCS.glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index
    assert all(re.match(r"\d{4}-[a-z0-9-]+\.md$", page.name) for page in (DOCS / "decisions").iterdir())
