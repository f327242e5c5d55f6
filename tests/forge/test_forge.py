from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from skillforge.capture.context import tagged
from skillforge.errors import InvalidInput, NotFound, ProviderError, SkillFileError, UsageError
from skillforge.forge.forge import Forge
from skillforge.forge.portal import Portal
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

GOOD = {"queue": "billing", "quote": "charged"}
ASK = {"ticket": "I was charged twice"}


def scripted(default: Any = GOOD) -> dict[str, Any]:
    return {"scripted:s": Scripted(default=default, name="scripted:s")}


# calling


def test_a_skill_is_called_like_a_function_and_its_run_is_stored(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())
    triage = forge.skill("ticket-triage@latest", student="scripted:s")
    run = triage(ticket="I was charged twice")
    assert (run.ok, run.output, run.version, run.student) == (True, GOOD, 1, "scripted:s")
    assert run.id
    assert repr(triage) == "<skill ticket-triage@1 on scripted:s>"
    assert forge.run("ticket-triage@latest", ASK, student="scripted:s", tags={"by": "test"}).tags == {"by": "test"}


def test_runs_carry_the_labels_that_wrapped_clients_carry(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())
    triage = forge.skill("ticket-triage@latest", student="scripted:s")
    labels = {"conversation": "c-1", "subject": "ada", "team": "north"}

    async def main() -> None:
        with tagged(conversation="c-2"):
            assert (await triage.acall(**ASK)).tags == {"conversation": "c-2"}

    with tagged(conversation="c-1", subject="ada", team="north"):
        assert triage(**ASK).tags == labels
        run = forge.run("ticket-triage@latest", ASK, student="scripted:s", tags={"team": "south"})
    assert run.tags == {**labels, "team": "south"}
    assert triage(**ASK).tags == {}
    asyncio.run(main())
    assert [line.key for line in forge.repository.cost(by="tag").lines] == ["team=north", "team=south"]
    assert len(forge.repository.cost(by="tag", tag="conversation").lines) == 2


def test_async_twins_do_the_same(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())

    async def main() -> None:
        bound = await forge.askill("ticket-triage@latest", student="scripted:s")
        assert (await bound.acall(**ASK)).output == GOOD
        assert (await forge.arun("ticket-triage@latest", ASK, student="scripted:s")).output == GOOD
        assert [item.name for item in await forge.askills()] == ["ticket-triage"]
        version = await forge.ashow("ticket-triage")
        assert version == (await forge.aversions("ticket-triage"))[0]
        assert await forge.aevidence(version) == []
        assert (await forge.asave(repo / "skills" / "ticket-triage")).created is False
        assert (await forge.aprobe("scripted:s")) is not None

    asyncio.run(main())


def test_sync_calls_work_inside_a_running_loop(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())

    async def notebook() -> Any:
        return forge.skill("ticket-triage@latest", student="scripted:s")(**ASK).output

    assert asyncio.run(notebook()) == GOOD


def test_an_async_call_does_not_block_the_callers_loop(repo, skill_in, forge_at):
    skill_in(repo)
    slow = {"scripted:s": Scripted(default=GOOD, name="scripted:s", latency_ms=100)}
    forge = forge_at(repo, providers=slow)

    async def main() -> int:
        ticks = 0
        call = asyncio.create_task(forge.arun("ticket-triage@latest", ASK, student="scripted:s"))
        while not call.done():
            await asyncio.sleep(0.005)
            ticks += 1
        await call
        return ticks

    assert asyncio.run(main()) >= 5


def test_cancelling_an_async_call_stops_the_work(repo, skill_in, forge_at):
    skill_in(repo)
    slow = Scripted(default=GOOD, name="scripted:s", latency_ms=60_000)
    forge = forge_at(repo, providers={"scripted:s": slow})

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forge.arun("ticket-triage@latest", ASK, student="scripted:s"), 0.3)

    asyncio.run(main())
    assert len(slow.seen) == 1
    forge.close()  # returns at once: nothing is left running


def test_concurrent_calls_of_many_threads_share_one_portal(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(forge.run("ticket-triage@latest", ASK, student="scripted:s")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run.id for run in found}) == 8
    assert sum(thread.name == "skillforge" for thread in threading.enumerate()) == 1


def test_a_portal_is_one_thread_however_many_come_first():
    async def here() -> int:
        return threading.get_ident()

    for _ in range(20):
        portal, idents, barrier = Portal(), set(), threading.Barrier(4)

        def first(portal: Portal = portal, idents: set[int] = idents, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            idents.add(portal.call(here))

        threads = [threading.Thread(target=first) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        portal.close()
        assert len(idents) == 1


def test_what_is_wrong_with_the_call_is_said(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())
    with pytest.raises(InvalidInput, match="ticket: missing"):
        forge.run("ticket-triage@latest", {}, student="scripted:s")
    with pytest.raises(UsageError, match="no student named"):
        forge.skill("ticket-triage@latest")
    with pytest.raises(UsageError, match="not a model"):
        forge.run("ticket-triage@latest", ASK, student="gpt")
    with pytest.raises(UsageError, match="no teacher named"):
        forge.create("x", cases=[{"input": {"a": 1}}])
    (repo / "skillforge.toml").write_text('student = "scripted:s"\n')
    assert forge_at(repo, providers=scripted()).skill("ticket-triage@latest")(**ASK).ok


def test_a_run_without_an_answer_raises_and_keeps_the_row(repo, skill_in, forge_at):
    def broken(request: Request) -> Any:
        raise ProviderError("no route", hint="check the cable")

    skill_in(repo)
    forge = forge_at(repo, providers=scripted(broken))
    with pytest.raises(ProviderError, match=r"ticket-triage@1 on scripted:s: no route") as caught:
        forge.run("ticket-triage@latest", ASK, student="scripted:s")
    assert caught.value.hint == "check the cable"


def test_custom_checks_and_mask_are_the_callers(repo, skill_in, forge_at, stored_bytes):
    skill_in(repo, checks=[{"type": "custom", "name": "polite", "on_fail": "warn"}])
    forge = forge_at(
        repo,
        providers=scripted(),
        custom_checks={"polite": lambda output, given: False},
        mask=lambda text: text.replace("Jane", "[name]"),
    )
    run = forge.run("ticket-triage@latest", {"ticket": "Jane was charged"}, student="scripted:s")
    assert (run.status, run.checks[0].passed) == ("ok", False)
    assert run.input["ticket"] == "Jane was charged"
    forge.close()
    kept = stored_bytes(repo / ".skillforge")
    assert b"[name] was charged" in kept
    assert b"Jane" not in kept


# closing


def test_after_close_it_opens_again_with_the_same_models(repo, skill_in, forge_at):
    skill_in(repo)
    with forge_at(repo, providers=scripted()) as forge:
        first = forge.run("ticket-triage@latest", ASK, student="scripted:s")
    forge.close()
    assert not any(thread.name == "skillforge" for thread in threading.enumerate())
    second = forge.run("ticket-triage@latest", ASK, student="scripted:s")
    assert (first.output, first.version) == (second.output, second.version)


@pytest.mark.parametrize("keep", ["forge = ", "keep = [].append; keep(", "def run(forge): pass\nrun("])
def test_a_forge_that_is_never_closed_does_not_hang_the_interpreter(repo, skill_in, keep):
    skill_in(repo)
    close = ")" if keep.endswith("(") else ""
    code = f"from skillforge import Forge\n{keep}Forge({str(repo)!r}){close}\n"
    if not close:
        code += "print(forge.show('ticket-triage').version)\n"
    else:
        code += f"print(Forge({str(repo)!r}).show('ticket-triage').version)\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_forge_with_work_under_way_does_not_hang_the_interpreter(repo, skill_in):
    skill_in(repo)
    (repo / "s.yaml").write_text("latency_ms: 60000\ndefault: x\n")
    code = f"""
        import threading, time
        from skillforge import Forge
        forge = Forge({str(repo)!r})
        def call():
            try:
                forge.run("ticket-triage@latest", {{"ticket": "x"}}, student="scripted:{repo}/s.yaml")
            except BaseException:
                pass
        threading.Thread(target=call, daemon=True).start()
        time.sleep(1)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


def test_looking_around_makes_no_folder(tmp_path, forge_at):
    empty = tmp_path / "empty"
    empty.mkdir()
    forge = forge_at(empty)
    assert forge.root == empty
    with pytest.raises(NotFound):
        forge.save(empty / "nothing")
    assert list(empty.iterdir()) == []


# redaction


@pytest.mark.parametrize("store_io", ["redacted", "none"])
def test_a_secret_in_an_input_is_nowhere_on_disk(repo, skill_in, forge_at, canary, store_io, stored_bytes):
    def echo(request: Request) -> Any:
        return {"queue": "bug", "quote": request.key.input["ticket"]}

    (repo / "skillforge.toml").write_text(f'store_io = "{store_io}"\n')
    skill_in(repo, checks=[{"type": "not-contains", "value": "sk-ant", "on_fail": "warn"}])
    forge = forge_at(repo, providers=scripted(echo))
    run = forge.run(
        "ticket-triage@latest", {"ticket": f"my key is {canary}"}, student="scripted:s", tags={"key": canary}
    )
    assert canary in run.output["quote"]  # the caller gets what the model said
    open_files = stored_bytes(repo / ".skillforge")  # the WAL is there
    forge.close()
    for kept in (open_files, stored_bytes(repo / ".skillforge")):
        assert len(kept) > 1000
        assert canary.encode() not in kept
        assert canary[20:60].encode() not in kept


def test_full_storage_is_a_choice(repo, skill_in, forge_at, canary, stored_bytes, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "full")
    skill_in(repo)
    forge = forge_at(repo, providers=scripted())
    forge.run("ticket-triage@latest", {"ticket": canary}, student="scripted:s")
    forge.close()
    assert canary.encode() in stored_bytes(repo / ".skillforge")


# resolving


def test_a_name_is_its_file_and_a_changed_file_becomes_a_draft_and_is_said(repo, skill_in, forge_at):
    said: list[str] = []
    path = skill_in(repo)
    forge = forge_at(repo, say=said.append)
    assert forge.show("ticket-triage").version == 1
    assert said == [f"{path}: saved as draft ticket-triage@1"]
    assert forge.show("ticket-triage").version == 1
    assert len(said) == 1
    skill_in(repo, instructions="Changed.")
    found = forge.show("ticket-triage")
    assert (found.version, found.skill.instructions) == (2, "Changed.")
    assert said[1:] == [f"{path}: saved as draft ticket-triage@2"]
    skill_in(repo)
    assert forge.show("ticket-triage").version == 1  # what is written, not what is newest
    assert forge.show("ticket-triage@latest").version == 2


def test_versions_digests_and_paths_resolve(repo, skill_in, forge_at, monkeypatch):
    path = skill_in(repo)
    forge = forge_at(repo)
    first = forge.show("ticket-triage")
    skill_in(repo, instructions="Changed.")
    second = forge.show(str(path))
    assert forge.show("ticket-triage@1") == first
    assert forge.show(f"ticket-triage@{first.digest[:19]}") == first
    assert forge.show(str(path.parent)) == second
    assert forge.show(f"{path.parent}@1") == first
    monkeypatch.chdir(repo / "skills")
    assert forge.show("./ticket-triage") == second
    assert [version.version for version in forge.versions("ticket-triage")] == [1, 2]
    assert [version.version for version in forge.skills()] == [2]
    for version in (first, second):
        assert version.source_path == "skills/ticket-triage/skill.yaml"


def test_a_name_without_a_file_is_the_newest_stored_version(repo, skill_in, forge_at):
    path = skill_in(repo)
    forge = forge_at(repo)
    stored = forge.show("ticket-triage")
    path.unlink()
    assert forge.show("ticket-triage") == stored


@pytest.mark.parametrize("selector", ["", "@latest", "@1"])
def test_a_fresh_clone_has_files_and_no_database(repo, skill_in, forge_at, selector):
    skill_in(repo)
    assert forge_at(repo).show(f"ticket-triage{selector}").version == 1


def test_a_fresh_clone_resolves_a_digest(repo, skill_in, forge_at, triage):
    skill_in(repo)
    digest = triage().digest()
    assert forge_at(repo).show(f"ticket-triage@{digest}").digest == digest


@pytest.mark.parametrize(
    ("ref", "error"),
    [
        ("nothing", NotFound),
        ("ticket-triage@7", NotFound),
        ("ticket-triage@sha256:00000000", NotFound),
        ("ticket-triage@v1", UsageError),
        ("Not A Name", UsageError),
        ("", UsageError),
        ("nowhere/skill.yaml", NotFound),
    ],
)
def test_what_does_not_exist_is_said(repo, skill_in, forge_at, ref, error):
    skill_in(repo)
    with pytest.raises(error):
        forge_at(repo).show(ref)


def test_a_wrong_file_is_not_passed_over_for_a_stored_version(repo, skill_in, forge_at):
    path = skill_in(repo)
    forge = forge_at(repo)
    forge.show("ticket-triage")
    path.write_text(path.read_text("utf-8") + "exmples: 1\n", "utf-8")
    with pytest.raises(SkillFileError, match="exmples"):
        forge.show("ticket-triage")
    assert forge.show("ticket-triage@1").version == 1


def test_the_repository_is_found_from_a_folder_inside(repo, skill_in, monkeypatch):
    skill_in(repo)
    monkeypatch.chdir(repo / "skills" / "ticket-triage")
    with Forge() as forge:
        assert forge.root == repo
        assert forge.show("ticket-triage").version == 1


def test_saving_twice_is_a_no_op(repo, skill_in, forge_at):
    path = skill_in(repo)
    forge = forge_at(repo)
    assert [forge.save(path).created for _ in range(2)] == [True, False]
    assert forge.save(Path(path.parent)).version == 1


def test_the_skill_of_the_repository_is_not_shadowed_by_a_folder_of_its_name(repo, forge_at, skill_in, monkeypatch):
    skill_in(repo, instructions="The repository's.")
    shutil.copytree(repo / "skills" / "ticket-triage", repo / "ticket-triage")
    elsewhere = repo / "ticket-triage" / "skill.yaml"
    elsewhere.write_text(elsewhere.read_text().replace("The repository's.", "An export's."))
    monkeypatch.chdir(repo)
    forge = forge_at(repo)
    assert forge.show("ticket-triage").skill.instructions == "The repository's."
    assert "An export's." in forge.show("./ticket-triage").skill.instructions


def test_a_deployed_models_file_is_found_from_any_folder(repo, forge_at, skill_in, monkeypatch):
    skill_in(repo)
    (repo / "answers.yaml").write_text("default: {queue: bug, quote: a}\n")
    monkeypatch.chdir(repo)
    forge_at(repo).deployments.promote("ticket-triage", student="scripted:answers.yaml", accept_risk="a test")
    (repo / "below").mkdir()
    monkeypatch.chdir(repo / "below")
    assert forge_at(repo).skill("ticket-triage")(ticket="a bug").output["queue"] == "bug"
