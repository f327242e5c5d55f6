"""Agent Skill folders in and out: what is evaluated is what is exported, and what is foreign stays a draft."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import skills_ref.validator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillforge.engine.frame import build_request, chosen_examples, complete_input
from skillforge.errors import NotFound, SecretFound, SkillFileError, SkillforgeError, UsageError
from skillforge.forge.exchange.skill_markdown import agent_files, conversation, plain_skill
from skillforge.forge.forge import Forge
from skillforge.formats.agent_skill import problems, read_agent_skill
from skillforge.formats.conversation import EXAMPLES_MD
from skillforge.formats.frontmatter import read_markdown
from skillforge.messages import Message
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, write_skill
from skillforge.template import Template

GOOD = "---\nname: release-notes\ndescription: Writes release notes.\nlicense: MIT\nmetadata:\n  author: acme\n---\n"
BODY = "\n# Release notes\n\n- Group by area.\n\n---\n\nKeep it short.\n\n"


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder as others would: ``foreign(text)``."""

    def write(text: str = GOOD + BODY, *, name: str = "release-notes") -> Path:
        folder = tmp_path / "foreign" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_bytes(text.encode())
        return folder

    return write


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def forge(repo: Path, forge_at: Callable[..., Forge], said: list[str]) -> Forge:
    return forge_at(repo, say=said.append)


@pytest.fixture
def other(tmp_path: Path, forge_at: Callable[..., Forge]) -> Forge:
    """A second repository."""
    (tmp_path / "other" / ".skillforge").mkdir(parents=True)
    return forge_at(tmp_path / "other")


# the messages


def blocks(markdown: str) -> list[tuple[str, str]]:
    """(the headings and labels before it, text) of every fenced block, by a CommonMark parser that is not ours."""
    found, label = [], ""
    for token in MarkdownIt().parse(markdown):
        if token.type == "inline":
            label = token.content
        elif token.type == "fence":
            found.append((label, token.content.removesuffix("\n")))
    return found


def parsed_messages(files: Mapping[str, str], skill: Skill, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """The conversation for one input, from nothing but the exported Markdown (and which examples were chosen)."""
    body = read_markdown(files["SKILL.md"].encode(), path="SKILL.md").body
    own = blocks(body)
    turns = [text for label, text in own + blocks(files.get(EXAMPLES_MD, "")) if label in ("Request:", "Answer:")]
    pairs = dict(
        zip([item.id for item in skill.examples.items], zip(turns[::2], turns[1::2], strict=True), strict=False)
    )
    messages = [Message.of("system", own[0][1])]
    for example in chosen_examples(skill, values):
        asked, answered = pairs[example.id]
        messages += [Message.of("user", asked), Message.of("assistant", answered)]
    (prompt,) = [text for label, text in own if label.startswith("A template with")]
    messages.append(Message.of("user", Template(prompt, list(skill.input)).render(values).strip()))
    return tuple(messages)


def examples(count: int, text: str = "charged twice") -> list[dict[str, Any]]:
    return [
        {"id": f"e{n}", "input": {"ticket": f"{text} {n}"}, "output": {"queue": "bug", "quote": f"`{text}`"}}
        for n in range(count)
    ]


SHAPES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no examples": {"examples": {}},
    "the first two of four": {"examples": {"select": "first", "k": 2, "items": examples(4)}},
    "the nearest of many": {"examples": {"select": "nearest", "k": 3, "items": examples(20)}},
    "the nearest of few": {"examples": {"select": "nearest", "k": 6, "items": examples(2)}},
    "fences in every text": {
        "instructions": "\n\n```json\n{}\n```\n~~~~~~~~\n# Request\n",
        "prompt": "````\n{{ ticket }}\n````\n\n",
        "examples": {"items": examples(2, "```\nx")},
    },
    "text out": {
        "output": "text",
        "examples": {"items": [{"id": "a", "input": {"ticket": "x"}, "output": "\n two\n\nlines \n"}]},
    },
    "loops": {
        "input": {"ticket": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "prompt": "{% for tag in tags %}- {{ tag }}\n{% endfor %}{{ ticket }}",
        "examples": {},
    },
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_exported_messages_are_those_that_are_evaluated(triage: Any, shape: dict[str, Any]) -> None:
    skill: Skill = triage(**shape)
    files = agent_files(skill, "it")
    for ticket in ("charged twice 7", "  spaces  ", "```\nfence\n```", "{{ ticket }}"):
        given = {"ticket": ticket, "tags": ["a", "b"]} if "tags" in skill.input else {"ticket": ticket}
        values = complete_input(skill, given)
        request = build_request(skill, values, role="run")
        assert parsed_messages(files, skill, values) == request.messages
        schemas = [
            json.loads(text) for label, text in blocks(files["SKILL.md"]) if label.startswith(("The fields", "One"))
        ]
        assert schemas == [skill.input_schema(), *([request.output_schema] if request.output_schema else [])]


@given(
    st.text(
        st.characters(codec="ascii", exclude_characters="\x00\r\x0b\x0c$!", exclude_categories=("Cc",)) | st.just("\n")
    )
)
def test_any_instructions_reach_the_agent_word_for_word(text: str) -> None:
    skill = plain_skill(name="n", description="d", instructions=text)
    shown = skill.model_copy(update={"prompt": "{{ request }}!"})
    values = {"request": "x"}
    assert parsed_messages(agent_files(shown, "it"), shown, values) == build_request(shown, values, role="run").messages
    assert read_markdown(agent_files(skill, "it")["SKILL.md"].encode(), path="x").body == text


def test_the_shipped_skill_can_be_exported() -> None:
    skill = read_skill(Path(__file__).parents[2] / "skills" / "ticket-triage").skill
    values = {"ticket": "My lock does not open and I am outside."}
    messages = parsed_messages(agent_files(skill, "it"), skill, values)
    assert messages == build_request(skill, values, role="run").messages


# import


def test_a_foreign_skill_becomes_an_untrusted_draft(forge: Forge, foreign: Any, repo: Path) -> None:
    path = forge.repository.import_agent_skill(foreign())
    assert path == repo / "skills" / "release-notes" / "skill.yaml"
    version = forge.show("release-notes")
    assert version.status == "draft"
    assert version.provenance == {"author": "import", "source": "untrusted"}
    assert version.source_path == "skills/release-notes/skill.yaml"
    skill = version.skill
    assert (skill.instructions, skill.prompt, skill.output) == (BODY, "{{ request }}", "text")
    assert skill.input == {"request": {"type": "string"}}
    assert (skill.license, skill.metadata) == ("MIT", {"author": "acme"})
    assert sorted(file.name for file in (repo / "skills").iterdir()) == ["release-notes"]


def test_import_export_import_is_the_same(forge: Forge, other: Forge, foreign: Any, tmp_path: Path) -> None:
    first = read_skill(forge.repository.import_agent_skill(foreign())).skill
    folder = forge.repository.export_agent_skill("release-notes", tmp_path / "out")
    assert read_agent_skill(folder).file.body == BODY
    second = read_skill(other.repository.import_agent_skill(folder)).skill
    assert second == first
    again = other.repository.export_agent_skill("release-notes", tmp_path / "again")
    assert (again / "SKILL.md").read_bytes() == (folder / "SKILL.md").read_bytes()


def test_what_is_left_out_is_said(forge: Forge, foreign: Any, said: list[str]) -> None:
    folder = foreign(f"---\nname: release-notes\ndescription: d\nallowed-tools: Bash\nversion: 2\n---\n{BODY}")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "evil.sh").write_text("touch never")
    (folder / "link").symlink_to("/etc/passwd")
    forge.repository.import_agent_skill(folder)
    told = "\n".join(said)
    assert "not imported: allowed-tools, version" in told
    assert "not imported: link, scripts/evil.sh" in told
    assert "not followed: link" in told
    assert "SKILL.md:5:1: version: is not a field of Agent Skills" in told
    assert forge.show("release-notes").skill.metadata == {}


def test_windows_line_ends_and_a_byte_order_mark_are_said(forge: Forge, foreign: Any, said: list[str]) -> None:
    folder = foreign("\ufeff" + (GOOD + BODY).replace("\n", "\r\n"))
    forge.repository.import_agent_skill(folder)
    assert forge.show("release-notes").skill.instructions == BODY
    assert any("Windows line ends" in line for line in said)
    assert any("byte order mark" in line for line in said)


@pytest.mark.parametrize(
    ("own", "folder", "name"),
    [("release-notes", "other-name", "release-notes"), ("Release Notes", "release-notes", "release-notes")],
)
def test_its_own_name_wins_where_it_is_one(
    forge: Forge, foreign: Any, said: list[str], own: str, folder: str, name: str
) -> None:
    path = forge.repository.import_agent_skill(foreign(f"---\nname: {own}\ndescription: d\n---\nx\n", name=folder))
    assert path.parent.name == name
    assert any("but its folder is" in line for line in said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no frontmatter", r"SKILL\.md:1:1: must start with YAML frontmatter"),
        ("---\nname: ../up\ndescription: d\n---\n", r"SKILL\.md:2:1: name: neither '\.\./up' nor"),
        ("---\nname: x\n---\n", r"description: is required"),
        (f"---\nname: x\ndescription: {'d' * 1025}\n---\n", r"SKILL\.md:3:1: description: is longer than 1,024"),
        ("---\nname: x\ndescription: a <b>\n---\n", r"SKILL\.md:3:1: description: holds < or >"),
        ("---\nname: x\ndescription: d\n---\nab\u200bc", r"SKILL\.md:5: hidden character: U\+200B"),
        ("---\nname: x\ndescription: d\n---\n" + "AKIA" + "IOSFODNN7EXAMPLQ", r"SKILL\.md:5: looks like a secret"),
        (
            "---\nname: x\ndescription: d\nmetadata:\n  api_key: Zq8xW3xT9vK2mN5b\n---\n",
            r"SKILL\.md:5: looks like a secret",
        ),
        ("---\nname: x\ndescription: d\n---\n" + "x" * 65_537, r"SKILL\.md:5:1: instructions: longer than 65,536"),
    ],
)
def test_what_cannot_be_a_skill_is_refused_and_nothing_is_written(
    forge: Forge, foreign: Any, repo: Path, text: str, message: str
) -> None:
    with pytest.raises(SkillFileError, match=message):
        forge.repository.import_agent_skill(foreign(text, name="Not A Name"))
    assert not (repo / "skills").exists()
    assert forge.skills() == []


PIECES = [
    "---\n",
    "name: n\n",
    "description: d\n",
    "license: ",
    "metadata:\n",
    "  a: b\n",
    "skillforge-digest: ",
    "sha256:" + "0" * 64,
]
PIECES += [
    '"\\e[31m"',
    '"\\ud800"',
    "{a: [1, {b: c}]}\n",
    "\n",
    "x: y\n",
    "- a\n",
    "!!set\n",
    "? a\n",
    "|\n",
    " ",
    "<b>",
    "\r\n",
    "é",
]


@given(source=st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_folders_are_imported_or_refused_with_our_errors(
    forge: Forge, tmp_path: Path, said: list[str], source: str
) -> None:
    folder = tmp_path / "hostile" / "n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_bytes(f"---\nname: n\ndescription: d\n{source}\n---\n{source}".encode())
    try:
        path = forge.repository.import_agent_skill(folder)
    except SkillforgeError as exc:
        said.append(str(exc))
    else:
        read_skill(path)
        path.unlink()
        path.parent.rmdir()
    assert not any("\x1b" in line for line in said)


def test_escapes_in_names_of_fields_never_reach_a_terminal(forge: Forge, foreign: Any, said: list[str]) -> None:
    forge.repository.import_agent_skill(foreign('---\nname: x\ndescription: d\n"\\e[31m": x\n---\nx\n', name="x"))
    assert any("is not a field of Agent Skills" in line for line in said)
    assert not any("\x1b" in line for line in said)


def test_a_long_text_is_told_with_the_limit_it_meets(forge: Forge, foreign: Any, said: list[str]) -> None:
    forge.repository.import_agent_skill(foreign(GOOD + "word " * 8000))
    assert any("about 10,000 tokens, and a whole request may have 8,000" in line for line in said)


def test_a_secret_of_the_environment_never_reaches_the_disk(
    forge: Forge, foreign: Any, repo: Path, monkeypatch: pytest.MonkeyPatch, stored_bytes: Any
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "quite-ordinary-words-42")
    with pytest.raises(SecretFound):
        forge.repository.import_agent_skill(foreign(f"{GOOD}use quite-ordinary-words-42\n"))
    assert b"quite-ordinary" not in stored_bytes(repo)


def test_an_existing_skill_is_never_replaced(forge: Forge, foreign: Any, repo: Path, triage: Any) -> None:
    write_skill(triage(name="release-notes"), repo / "skills" / "release-notes")
    before = (repo / "skills" / "release-notes" / "skill.yaml").read_bytes()
    with pytest.raises(UsageError, match="is there already") as caught:
        forge.repository.import_agent_skill(foreign())
    assert "another name" in caught.value.hint
    assert (repo / "skills" / "release-notes" / "skill.yaml").read_bytes() == before


def test_a_name_that_only_the_registry_knows_is_taken_too(forge: Forge, foreign: Any, repo: Path, triage: Any) -> None:
    home = repo / "skills" / "release-notes"
    write_skill(triage(name="release-notes"), home)
    forge.save(home)
    (home / "skill.yaml").unlink()
    with pytest.raises(UsageError, match="another skill release-notes in the registry"):
        forge.repository.import_agent_skill(foreign())


def test_the_same_skill_is_imported_again_after_its_file_went(forge: Forge, foreign: Any) -> None:
    folder = foreign()
    forge.repository.import_agent_skill(folder).unlink()
    assert forge.repository.import_agent_skill(folder).exists()
    assert len(forge.versions("release-notes")) == 1


def test_a_skill_md_in_the_skills_folder_gets_its_skill_yaml(forge: Forge, repo: Path) -> None:
    home = repo / "skills" / "release-notes"
    home.mkdir(parents=True)
    (home / "SKILL.md").write_text(GOOD + BODY)
    forge.repository.import_agent_skill(home)
    assert forge.show("release-notes").skill.instructions == BODY


def test_no_folder_is_not_found(forge: Forge, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        forge.repository.import_agent_skill(tmp_path / "nothing")


# our own exports


@pytest.fixture
def exported(forge: Forge, repo: Path, skill_in: Any, tmp_path: Path) -> Path:
    skill_in(repo, license="MIT", metadata={"team": "ops"}, examples=SHAPES["the nearest of many"]["examples"])
    return forge.repository.export_agent_skill("ticket-triage", tmp_path / "out")


def test_an_export_becomes_the_skill_it_was_made_from(exported: Path, forge: Forge, other: Forge) -> None:
    files = sorted(str(file.relative_to(exported)) for file in exported.rglob("*") if file.is_file())
    assert files == ["SKILL.md", "examples.jsonl", "references/examples.md", "skill.yaml"]
    path = other.repository.import_agent_skill(exported)
    assert read_skill(path).skill.digest() == forge.show("ticket-triage").digest
    assert other.show("ticket-triage").skill.metadata == {"team": "ops"}
    assert other.show("ticket-triage").provenance == {"author": "import", "source": "untrusted"}


def test_an_export_conforms(exported: Path) -> None:
    assert problems(exported) == []
    assert skills_ref.validator.validate(exported) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("SKILL.md", "Choose the queue", "Choose no queue", r"SKILL\.md:\d+: was changed"),
        ("SKILL.md", "Route one", "Route any", r"SKILL\.md:3: was changed"),
        ("references/examples.md", "charged twice 3", "charged once 3", r"examples\.md:\d+: was changed"),
        ("skill.yaml", "Choose the queue", "Choose no queue", r"skill\.yaml: was changed: it is sha256"),
        ("examples.jsonl", "charged twice 3", "charged once 3", r"skill\.yaml: was changed: it is sha256"),
    ],
)
def test_a_change_names_the_file_that_was_changed(
    exported: Path, other: Forge, name: str, old: str, new: str, message: str
) -> None:
    file = exported / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(SkillFileError, match=message):
        other.repository.import_agent_skill(exported)
    assert other.skills() == []


def test_an_export_without_its_skill_yaml_is_refused(exported: Path, other: Forge) -> None:
    (exported / "skill.yaml").unlink()
    with pytest.raises(SkillFileError, match=r"there is no skill\.yaml beside it"):
        other.repository.import_agent_skill(exported)


def test_a_foreign_skill_yaml_is_not_trusted(forge: Forge, foreign: Any, triage: Any, said: list[str]) -> None:
    folder = foreign()
    write_skill(triage(name="release-notes"), folder)
    forge.repository.import_agent_skill(folder)
    assert forge.show("release-notes").skill.instructions == BODY
    assert any("not imported: skill.yaml" in line for line in said)


def test_line_ends_that_git_changed_are_no_change(exported: Path, other: Forge) -> None:
    for file in exported.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    other.repository.import_agent_skill(exported)
    assert len(other.skills()) == 1


def test_an_export_in_a_renamed_folder_keeps_its_name(exported: Path, other: Forge) -> None:
    path = other.repository.import_agent_skill(exported.rename(exported.with_name("copy")))
    assert path.parent.name == "ticket-triage"


def test_what_is_no_digest_is_said(forge: Forge, foreign: Any) -> None:
    text = '---\nname: x\ndescription: d\nmetadata:\n  skillforge-digest: "\\e[31m"\n---\nx\n'
    with pytest.raises(SkillFileError, match="its skillforge-digest is no digest"):
        forge.repository.import_agent_skill(foreign(text, name="x"))


@pytest.mark.parametrize("name", ["../../up", "/etc", "a\\0b", "x" * 300])
def test_a_hostile_name_beside_a_digest_writes_nothing_outside(
    forge: Forge, foreign: Any, tmp_path: Path, name: str
) -> None:
    text = f'---\nname: "{name}"\ndescription: d\nmetadata:\n  skillforge-digest: sha256:{"0" * 64}\n---\nx\n'
    folder = foreign(text)
    (folder / "skill.yaml").write_text("name: x\n")
    with pytest.raises(SkillforgeError):
        forge.repository.import_agent_skill(folder)
    assert not (tmp_path / "up").exists()


def test_links_in_an_export_are_not_followed(exported: Path, other: Forge, tmp_path: Path) -> None:
    (exported / "examples.jsonl").rename(tmp_path / "moved.jsonl")
    os.symlink(tmp_path / "moved.jsonl", exported / "examples.jsonl")
    with pytest.raises(SkillFileError, match="is a link"):
        other.repository.import_agent_skill(exported)


# export


def test_a_new_version_replaces_the_export_of_an_old_one(
    exported: Path, forge: Forge, repo: Path, skill_in: Any
) -> None:
    (exported / "notes.txt").write_text("mine")
    (repo / "skills" / "ticket-triage" / "examples.jsonl").unlink()
    skill_in(repo, instructions="New words.")
    forge.repository.export_agent_skill("ticket-triage", exported.parent)
    assert "New words." in (exported / "SKILL.md").read_text()
    assert sorted(file.name for file in exported.iterdir() if file.is_file()) == ["SKILL.md", "notes.txt", "skill.yaml"]
    assert problems(exported) == []


def test_a_changed_or_foreign_folder_is_kept_unless_forced(exported: Path, forge: Forge) -> None:
    (exported / "SKILL.md").write_text((exported / "SKILL.md").read_text() + "my own words\n")
    with pytest.raises(UsageError, match="no unchanged export") as caught:
        forge.repository.export_agent_skill("ticket-triage", exported.parent)
    assert "--force" in caught.value.hint
    assert "my own words" in (exported / "SKILL.md").read_text()
    forge.repository.export_agent_skill("ticket-triage", exported.parent, force=True)
    assert "my own words" not in (exported / "SKILL.md").read_text()


def test_the_skills_own_folder_and_links_are_refused(exported: Path, forge: Forge, repo: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own folder"):
        forge.repository.export_agent_skill("ticket-triage", repo / "skills", force=True)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ticket-triage").symlink_to(exported)
    with pytest.raises(UsageError, match="is a link"):
        forge.repository.export_agent_skill("ticket-triage", tmp_path / "linked", force=True)
    (exported / "references").rename(tmp_path / "references")
    (exported / "references").symlink_to(tmp_path / "references")
    with pytest.raises(UsageError, match="references is a link"):
        forge.repository.export_agent_skill("ticket-triage", exported.parent, force=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instructions": "One.\nRun !`date` first."}, "instructions: line 2: !`date`: some agents run this"),
        ({"instructions": "```!\nls\n```"}, "instructions: line 1: ```!: some agents run such a block"),
        ({"prompt": "{{ ticket }}\n$ARGUMENTS"}, "prompt: line 2: $ARGUMENTS"),
        ({"examples": {"items": examples(1, "$5 off")}}, "examples.items[0].input: line 2: $5"),
        ({"output": {"queue": {"enum": ["bug", "!`x`"]}}, "examples": {}}, "output: line 7: !`x`"),
    ],
)
def test_text_that_agents_would_run_is_refused(
    forge: Forge, repo: Path, skill_in: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    skill_in(repo, **changes)
    with pytest.raises(SkillFileError) as caught:
        forge.repository.export_agent_skill("ticket-triage", tmp_path / "out")
    assert f"ticket-triage@1: {message}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_command_that_the_template_makes_is_found(triage: Any) -> None:
    skill = triage(prompt="!{{ ticket }}", examples={"items": examples(1, "`ls`")})
    with pytest.raises(SkillFileError, match=r"examples\.items\[0\]\.input: line 1: !`ls`"):
        agent_files(skill, "it")


def test_a_name_that_an_upload_refuses_is_a_warning(
    forge: Forge, repo: Path, triage: Any, said: list[str], tmp_path: Path
) -> None:
    write_skill(triage(name="claude-helper"), repo / "skills" / "claude-helper")
    forge.repository.export_agent_skill("claude-helper", tmp_path / "out")
    assert any("refuses names that hold anthropic or claude" in line for line in said)


def test_settings_of_agents_are_never_written(exported: Path) -> None:
    fields = read_agent_skill(exported).file.fields
    assert list(fields) == ["name", "description", "license", "metadata"]


def test_examples_that_are_chosen_for_each_input_stand_apart(triage: Any) -> None:
    apart = triage(**SHAPES["the nearest of many"])
    assert conversation(apart).nearest == 3
    assert "charged" not in agent_files(apart, "it")["SKILL.md"]
    assert set(agent_files(triage(), "it")) == {"SKILL.md"}
