from __future__ import annotations

import json

from synced import NAME, deploy

from skillforge.lockfile import lock_path


def test_verify_without_a_database_looks_at_the_files_alone_and_makes_none(repo, skill_in, forge_at):
    said: list[str] = []
    assert forge_at(repo, say=said.append).repository.verify() == []
    assert said == ["there is no registry yet: the files alone are verified"]
    assert not (repo / ".skillforge" / "registry.db").exists()


def test_verify_lists_all_that_is_wrong(repo, skill_in, forge_at, triage):
    skill_in(repo)
    forge = forge_at(repo)
    forge.show(NAME)
    deploy(forge, repo)
    forge._portal.run(lambda: forge._work.database.conn.execute("DROP TRIGGER versions_no_update"))
    forge._portal.run(lambda: forge._work.database.conn.execute("UPDATE versions SET body = replace(body, 'C', 'D')"))
    body = json.loads(lock_path(repo).read_text())
    entry = body["skills"][NAME]
    entry |= {"head": "sha256:" + "0" * 64, "deleted": [1, 5]}
    entry["moves"].append({**entry["moves"][0], "id": "other", "version": 3})
    lock_path(repo).write_text(json.dumps(body))
    (repo / "skills" / NAME / "evidence").mkdir()
    (repo / "skills" / NAME / "evidence" / "a.json").write_text("{}")
    told = "\n".join(forge.repository.verify())
    for part in (
        "trigger versions_no_update is missing",
        f"{NAME}@1: its content is",
        "head of ticket-triage",
        "goes to @3, which is none",
        "@5 is deleted, but none",
        "skills/ticket-triage/deployed/3.json",
        "skills/ticket-triage/evidence/a.json",
    ):
        assert part in told
    assert str(repo) not in told
