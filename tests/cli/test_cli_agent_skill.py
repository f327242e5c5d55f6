"""``skillforge export`` and ``skillforge import``."""

from __future__ import annotations

from pathlib import Path

from moods import Cli


def test_a_skill_goes_out_and_comes_in_elsewhere(cli: Cli, repo: Path, monkeypatch: object) -> None:
    done = cli("export", "mood", "--format", "agent-skill", "out")
    assert done.code == 0
    assert done.out.strip() == str(Path("out") / "mood")
    assert (repo / "out" / "mood" / "SKILL.md").is_file()
    assert cli("export", "mood", "out").code == 0  # an export of ours is replaced
    (repo / "skills" / "mood" / "skill.yaml").rename(repo / "elsewhere.yaml")
    done = cli("import", "out/mood", "--json")
    assert done.code == 0
    assert done.json["name"] == "mood"
    assert done.json["status"] == "draft"
    assert Path(done.json["path"]) == repo / "skills" / "mood" / "skill.yaml"


def test_a_foreign_skill_comes_in_with_what_to_do_next(cli: Cli, repo: Path) -> None:
    folder = repo / "foreign" / "notes"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: notes\ndescription: Writes notes.\nmodel: big\n---\nShort.\n")
    done = cli("import", "foreign/notes")
    assert done.code == 0
    assert done.out.startswith("notes@1  sha256:")
    assert "not imported: model" in done.err
    assert "skillforge eval notes" in done.err


def test_an_unknown_format_lists_what_there_is(cli: Cli, repo: Path) -> None:
    done = cli("export", "mood", "--format", "zip", "out")
    assert done.code == 2
    assert "formats: agent-skill" in done.err


def test_a_foreign_folder_is_replaced_with_force_only(cli: Cli, repo: Path) -> None:
    (repo / "out" / "mood").mkdir(parents=True)
    (repo / "out" / "mood" / "SKILL.md").write_text("mine")
    done = cli("export", "mood", "out")
    assert done.code == 2
    assert "--force" in done.err
    assert cli("export", "mood", "out", "--force").code == 0


def test_a_folder_without_skill_md_is_a_usage_error(cli: Cli, repo: Path) -> None:
    done = cli("import", "evals")
    assert done.code == 2
    assert "no SKILL.md there" in done.err
