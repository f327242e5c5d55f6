"""Reading and judging Agent Skill folders, with the reference validator (PyPI ``skills-ref``) as the oracle."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import skills_ref.validator
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound, SkillFileError, SkillforgeError
from skillforge.formats import folder as folders
from skillforge.formats.agent_skill import header_parts, problems, read_agent_skill, unsafe_text
from skillforge.formats.conversation import Conversation, Turn, conversation_parts
from skillforge.formats.expansions import expansions
from skillforge.formats.frontmatter import frontmatter_parts, read_markdown

GOOD = "name: pdf\ndescription: Reads PDF files.\n"
BODY = "# How\n\n---\n\nRead it.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Writes a folder: ``folder("name: …")``, or ``folder(raw=b"…")``."""

    def write(frontmatter: str = GOOD, *, raw: bytes | None = None, name: str = "pdf", file: str = "SKILL.md") -> Path:
        target = tmp_path / "in" / name
        target.mkdir(parents=True)
        data = f"---\n{frontmatter}---\n{BODY}".encode() if raw is None else raw
        (target / file).write_bytes(data)
        return target

    return write


def reference(target: Path) -> bool:
    """The reference's verdict; it lets exceptions out."""
    return not skills_ref.validator.validate(target)


AGREED = [
    GOOD,
    "name: pdf\n",
    "description: no name\n",
    "name: pdf\ndescription: ''\n",
    "name: pdf\ndescription: '   '\n",
    f"name: pdf\ndescription: {'x' * 1024}\n",
    f"name: pdf\ndescription: {'x' * 1025}\n",
    "name: PDF\ndescription: d\n",
    "name: -pdf\ndescription: d\n",
    "name: p--df\ndescription: d\n",
    "name: p_df\ndescription: d\n",
    "name: other\ndescription: d\n",
    f"{GOOD}version: 1.10\n",
    f"{GOOD}license: Apache-2.0\ncompatibility: Needs git\nallowed-tools: Bash Read\n",
    f"{GOOD}compatibility: {'x' * 501}\n",
    f'{GOOD}metadata:\n  author: acme\n  version: "1.0"\n',
    f"{GOOD}metadata:\n  version: 1.10\n  on: yes\n  1: 010\n",
    f"{GOOD}name: pdf\n",  # twice
    "name: pdf\ndescription: Use when: asked\n",
    "name: pdf\ndescription: !!str x\n",
    "name: &a pdf\ndescription: *a\n",
    "name: pdf\ndescription: >\n  folded\n  text\n",
    "name: pdf\ndescription: |\n  two\n  lines\n",
    "- a\n- b\n",
    "just text\n",
    "{\n",
]


@pytest.mark.parametrize("frontmatter", AGREED)
def test_the_verdict_is_the_references(folder: Any, frontmatter: str) -> None:
    target = folder(frontmatter)
    assert (problems(target) == []) == reference(target)


@pytest.mark.parametrize("raw", [b"", b"# no frontmatter\n", b"---\n", b"---\nname: pdf\n", b"\n---\nname: pdf\n---\n"])
def test_without_frontmatter_neither_passes(folder: Any, raw: bytes) -> None:
    target = folder(raw=raw)
    assert problems(target)
    assert not reference(target)


def test_a_name_may_have_any_letters(folder: Any) -> None:
    target = folder("name: überblick\ndescription: d\n", name="überblick")
    assert problems(target) == []
    assert reference(target)


# Where the verdicts differ, and why ours is the one that the specification or YAML asks for.
STRICTER = {
    "nested metadata: a map from text to text is asked for, the reference makes text of it": (
        f"{GOOD}metadata:\n  a:\n    b: c\n"
    ),
    "metadata that is no map": f"{GOOD}metadata: acme\n",
    "a list of tools: text is asked for, the reference does not look": f"{GOOD}allowed-tools:\n  - Bash\n",
    "empty compatibility: 1 to 500 characters are asked for": f"{GOOD}compatibility: ''\n",
    "a licence that is no text: the reference does not look": f"{GOOD}license:\n  a: b\n",
    "no line --- ends it: the reference takes three hyphens in a word for the end": (
        "name: pdf\ndescription: a\nlicense: b---c"
    ),
}


@pytest.mark.parametrize("frontmatter", STRICTER.values(), ids=STRICTER)
def test_we_are_stricter_where_the_reference_does_not_look(folder: Any, frontmatter: str) -> None:
    raw = f"---\n{frontmatter}" + ("" if frontmatter.endswith("c") else "---\n")
    target = folder(raw=raw.encode())
    assert problems(target)
    assert reference(target)


def test_a_mapping_in_braces_is_fine(folder: Any) -> None:
    """It is YAML; the reference reads with strictyaml, which refuses it."""
    target = folder(f"{GOOD}metadata: {{author: acme}}\n")
    assert problems(target) == []
    assert not reference(target)


def test_three_hyphens_inside_a_value_do_not_end_the_frontmatter(folder: Any) -> None:
    """The reference splits at the first three hyphens: it passes with the description "a" and drops the rest."""
    target = folder("name: pdf\ndescription: a --- b\nlicense: MIT\n")
    assert problems(target) == []
    assert reference(target)
    read = read_agent_skill(target)
    assert (read.description, read.license) == ("a --- b", "MIT")


def test_a_byte_order_mark_is_said_and_read(folder: Any) -> None:
    target = folder(raw=b"\xef\xbb\xbf" + f"---\n{GOOD}---\n{BODY}".encode())
    (found,) = problems(target)
    assert "byte order mark" in found.message
    assert read_agent_skill(target).file.body == BODY
    assert not reference(target)


def test_a_file_that_is_not_utf8_is_a_problem_with_its_line(folder: Any) -> None:
    """The reference lets the UnicodeDecodeError out."""
    target = folder(raw=b"---\nname: pdf\ndescription: caf\xe9\n---\n")
    (found,) = problems(target)
    assert (found.line, found.message) == (3, "not UTF-8: byte 0xe9")
    with pytest.raises(UnicodeDecodeError):
        reference(target)


def test_a_lowercase_file_name_is_read_with_a_warning(folder: Any) -> None:
    target = folder(file="skill.md")
    (found,) = problems(target)
    assert (found.level, found.message) == ("warning", "must be called SKILL.md")


def test_problems_carry_field_line_and_level(folder: Any) -> None:
    target = folder("name: Pdf\nversion: 1\ndescription: ''\n")
    told = {(found.field, found.line, found.level) for found in problems(target)}
    assert told == {("name", 2, "warning"), ("version", 3, "warning"), ("description", 4, "error")}


def test_not_every_unknown_field_is_told(folder: Any) -> None:
    found = problems(folder(GOOD + "".join(f"f{number}: x\n" for number in range(50))))
    assert len(found) == 21
    assert found[-1].message == "30 more fields are none of Agent Skills"


def test_a_yaml_error_names_the_line_of_the_file(folder: Any) -> None:
    with pytest.raises(SkillFileError, match=r"SKILL\.md:3:\d+: not YAML"):
        read_agent_skill(folder("name: pdf\ndescription: Use when: asked\n"))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("body", ["", "x", "\n\n x \n\n", "---\nnot frontmatter\n---\n", "a\tb  \n"])
def test_the_body_is_kept_byte_for_byte(folder: Any, body: str, newline: str) -> None:
    text = f"---\n{GOOD}---\n{body}".replace("\n", newline)
    read = read_agent_skill(folder(raw=text.encode()))
    assert read.file.body == body.replace("\n", newline)
    assert read.file.body_line == 5
    assert read.name == "pdf"


def test_scalars_stay_the_text_they_were_written_as(folder: Any) -> None:
    read = read_agent_skill(folder(f"{GOOD}metadata:\n  version: 1.10\n  flag: no\n  zip: 01234\n  deep: {{a: [1]}}\n"))
    assert read.metadata == {"version": "1.10", "flag": "no", "zip": "01234", "deep": '{"a": ["1"]}'}


def test_other_files_are_listed_and_links_are_not_followed(folder: Any, tmp_path: Path) -> None:
    target = folder()
    (target / "scripts").mkdir()
    (target / "scripts" / "run.sh").write_text("rm -rf /")
    (target / "loop").symlink_to(target)
    (target / "secret").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(target / "pipe")
    read = read_agent_skill(target)
    assert read.others == ("loop", "pipe", "scripts/run.sh", "secret")
    assert read.links == ("loop", "pipe", "secret")


def test_a_skill_md_that_is_a_link_or_a_pipe_is_not_opened(folder: Any, tmp_path: Path) -> None:
    target = folder()
    (tmp_path / "real.md").write_text("---\nname: pdf\ndescription: d\n---\n")
    (target / "SKILL.md").unlink()
    (target / "SKILL.md").symlink_to(tmp_path / "real.md")
    assert "link" in problems(target)[0].message
    (target / "SKILL.md").unlink()
    os.mkfifo(target / "SKILL.md")
    assert problems(target)[0].message == "is no plain file"


def test_there_are_limits(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder(raw=f"---\n{GOOD}---\n".encode() + b"x" * 1_048_576)
    assert "longer than 1,048,576 bytes" in problems(target)[0].message
    monkeypatch.setattr(folders, "MAX_TOTAL_BYTES", 1000)
    assert "holds more than 1,000 bytes" in problems(target)[0].message
    for number in range(512):
        (target / f"f{number}").touch()
    monkeypatch.setattr(folders, "MAX_TOTAL_BYTES", 10_000_000)
    assert "more than 512 files" in problems(target)[0].message


def test_no_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_agent_skill(tmp_path / "nothing")
    assert problems(tmp_path)[0].message.endswith("no SKILL.md there")


def test_hidden_characters_and_secrets_are_told_with_their_line(folder: Any) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLQ"
    text = f"---\n{GOOD}---\nab\u200bc\n{key}\nfine\r\n\u202eevil"
    told = [(found.line, found.message) for found in unsafe_text(read_agent_skill(folder(raw=text.encode())))]
    assert told[0] == (5, "hidden character: U+200B ZERO WIDTH SPACE at character 3 of the line")
    assert [line for line, _ in told] == [5, 6, 8]
    assert "secret" in told[1][1]
    assert "RIGHT-TO-LEFT OVERRIDE" in told[2][1]


# hostile text

PIECES = [
    "---",
    "\n",
    "\r\n",
    "name",
    "description",
    ": ",
    "- ",
    "&a",
    "*a",
    "!!python/object:os.system",
    "{",
    "[",
    "]",
]
PIECES += ["|", ">", "%YAML 1.1", "\t", "'", '"', "\\", "\0", "\ufeff", "\u2028", "é", "😀", "#", "<<", "? ", "x", "  "]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
def test_hostile_frontmatter_is_read_or_refused_with_our_errors(source: str) -> None:
    for text in (source, f"---\n{source}\n---\nbody"):
        try:
            read = read_markdown(text.encode("utf-8", "surrogatepass"), path="SKILL.md")
        except SkillforgeError:
            continue
        assert text.lstrip("\ufeff").endswith(read.body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_our_errors(data: bytes) -> None:
    with suppress(SkillFileError):
        read_markdown(data, path="SKILL.md")


visible = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp")), max_size=60
)


@given(visible, visible, st.dictionaries(visible.filter(str.strip), visible, max_size=4), visible)
def test_what_is_written_is_read_back_by_us_and_by_the_reference(
    description: str, license: str, metadata: dict[str, str], body: str
) -> None:
    from skills_ref.parser import parse_frontmatter

    fields = {"name": "pdf", "description": f"x{description}", "license": license, "metadata": {**metadata, "k": "v"}}
    text = "".join(piece for _, piece in frontmatter_parts(fields)) + body
    read = read_markdown(text.encode(), path="SKILL.md")
    assert (dict(read.fields), read.body) == (fields, body)
    theirs, rest = parse_frontmatter(text)
    assert (theirs, rest) == (fields, body.strip())


def test_a_written_header_holds_only_portable_fields() -> None:
    parts = header_parts(name="pdf", description="a --- b", license="", metadata={"hooks": "x"}, digest="sha256:ab")
    text = "".join(piece for _, piece in parts)
    assert text == (
        '---\nname: pdf\ndescription: "a \\x2D-- b"\nmetadata:\n  hooks: x\n  skillforge-digest: sha256:ab\n---\n'
    )


def test_fences_are_longer_than_what_they_hold() -> None:
    talk = Conversation("n", "a\n````\nb", [Turn("examples.items[0]", "`````x", "y")], 0, "{{ x }}", {}, None)
    text = "".join(piece for _, piece in conversation_parts(talk))
    assert "\n`````text\na\n````\nb\n`````\n" in text
    assert "\n``````text\n`````x\n``````\n" in text


EXPANDED = [
    "!`rm -rf /`",
    "x!`ls`",
    "`!`ls``",
    "```!\nls\n```",
    "> ~~~ !\n",
    "$ARGUMENTS",
    "$ARGUMENTS[0]",
    "$1",
    "${1}",
]
EXPANDED += ["USD or $5.00", "${CLAUDE_SKILL_DIR}/x", "a !` b\nc`"]


@pytest.mark.parametrize("text", EXPANDED)
def test_what_clients_run_or_replace_is_found_with_field_and_line(text: str) -> None:
    (found,) = expansions(
        [("", "# head\n\n"), ("instructions", f"one\ntwo {text}" if text[0] in "$!" else f"\n{text}")]
    )
    assert (found.field, found.line) == ("instructions", 2)


@pytest.mark.parametrize(
    "text", ["Wow! `ls`", "!", "a != b", "$HOME", "cost: 5 $", "$ 5", "```bash\nls\n```", "{{ x }}"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert list(expansions([("instructions", text)])) == []


def test_a_command_that_two_texts_make_together_is_found() -> None:
    assert [found.field for found in expansions([("a", "x !"), ("b", "`ls`")])] == ["a"]
