from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import UsageError
from skillforge.ref import SkillRef, check_alias


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ticket-triage", SkillRef(name="ticket-triage")),
        ("ticket-triage@3", SkillRef(name="ticket-triage", selector="3")),
        ("a@latest", SkillRef(name="a", selector="latest")),
        ("a@sha256:ab12cd34", SkillRef(name="a", selector="sha256:ab12cd34")),
        ("a@production", SkillRef(name="a", selector="production")),
        ("a@v3-hotfix_2", SkillRef(name="a", selector="v3-hotfix_2")),
        ("skills/a@staging", SkillRef(path=Path("skills/a"), selector="staging")),
        ("skills/a/skill.yaml", SkillRef(path=Path("skills/a/skill.yaml"))),
        ("skills/a", SkillRef(path=Path("skills/a"))),
        ("a.yml", SkillRef(path=Path("a.yml"))),
        ("./a", SkillRef(path=Path("a"))),
        ("skills/a@3", SkillRef(path=Path("skills/a"), selector="3")),
        ("a.yaml@sha256:ab12cd34", SkillRef(path=Path("a.yaml"), selector="sha256:ab12cd34")),
        ("skills/@team/a", SkillRef(path=Path("skills/@team/a"))),
        ("skills/a@b.yaml", SkillRef(path=Path("skills/a@b.yaml"))),
    ],
)
def test_names_paths_and_selectors_are_told_apart(
    text: str, expected: SkillRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert SkillRef.parse(text) == expected


def test_a_folder_that_holds_no_skill_is_not_taken_for_the_skill_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    assert SkillRef.parse("notes") == SkillRef(name="notes")
    assert SkillRef.parse("notes@2") == SkillRef(name="notes", selector="2")


def test_an_existing_file_or_skill_folder_is_a_path_even_without_a_separator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("triage", "triage@3"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "skill.yaml").touch()
    (tmp_path / "plain").write_text("")
    assert SkillRef.parse("triage") == SkillRef(path=Path("triage"))
    assert SkillRef.parse("triage@2") == SkillRef(path=Path("triage"), selector="2")
    assert SkillRef.parse("triage@3") == SkillRef(path=Path("triage@3"))
    assert SkillRef.parse("plain") == SkillRef(path=Path("plain"))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name@v3", "write @3"),
        ("skills/a@v3", "write @3"),
        ("name@", "NAME@3"),
        ("name@0", "NAME@3"),
        ("name@03", "NAME@3"),
        ("name@-1", "NAME@3"),
        ("name@Production", "NAME@production"),
        ("name@sha256", "NAME@latest"),
        ("name@sha256:ab12cd3", "8 to 64"),
        ("name@sha256:AB12CD34", "lowercase"),
        ("name@sha256:" + "a" * 65, "8 to 64"),
        ("name@٣", "NAME@3"),
        ("name@3@4", "NAME@3"),
        ("Name", "lowercase"),
        ("a--b", "hyphens"),
        ("-a", "hyphens"),
        ("name\n", "lowercase"),
        ("n" * 65, "64"),
        ("", "NAME@3"),
        ("  ", "NAME@3"),
        ("a\0b", "NAME@3"),
    ],
)
def test_what_names_nothing_is_refused_with_the_mending_step(
    text: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        SkillRef.parse(text)
    assert hint in caught.value.hint


@given(
    st.text(max_size=200) | st.from_regex(r"[a-z-]{1,9}@?(v?[0-9]{0,3}|latest|sha256:[0-9a-f]{6,70})", fullmatch=True)
)
def test_any_text_parses_to_exactly_one_of_name_and_path_or_is_a_usage_error(text: str) -> None:
    try:
        ref = SkillRef.parse(text)
    except UsageError:
        return
    assert bool(ref.name) != (ref.path is not None)
    assert SkillRef.parse(str(ref)) == ref


@pytest.mark.parametrize("alias", ["production", "a", "blue-green_2", "l" + "o" * 63, "latest-eu", "sha2", "vv1"])
def test_an_alias_is_told_from_a_version(alias: str) -> None:
    assert check_alias(alias) == alias
    assert SkillRef.parse(f"name@{alias}").alias == alias


@pytest.mark.parametrize(
    "text", ["latest", "v3", "3", "sha256", "", "A", "a.b", "a b", "1a", "-a", "a" * 65, "a\n", "é"]
)
def test_what_means_a_version_or_nothing_is_no_alias(text: str) -> None:
    with pytest.raises(UsageError, match="cannot name an alias"):
        check_alias(text)


def test_a_name_can_be_read_as_one_whatever_files_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "triage").mkdir()
    (tmp_path / "triage" / "skill.yaml").touch()
    assert SkillRef.parse("triage@staging") == SkillRef(path=Path("triage"), selector="staging")
    assert SkillRef.parse_name("triage@staging") == SkillRef(name="triage", selector="staging")
    assert SkillRef.parse_name("./triage") is None
