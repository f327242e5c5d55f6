"""``skillforge demo``: the whole story on a real small model, without a key."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._created import created_with_progress, render_created
from skillforge.cli._eval_options import wishes_of
from skillforge.cli._progress import download
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import aligned, command_name, note, open_forge_at
from skillforge.cli._terms import terms_of
from skillforge.cli.evaluate import measured

if TYPE_CHECKING:
    from skillforge.evals.report import EvalReport
    from skillforge.evals.wording.reading import ArmLine
    from skillforge.forge.forge import Forge

STUDENT = "local:smollm2-135m"
SKILL = "ticket-queue"
ENCODER = f"encoder:{SKILL}"
LADDER = f"{ENCODER} > teacher"
CASES = 60

NAMES = {
    "bare": "135M model alone",
    "skill": "135M model + skill",
    "no-model": "no model: a vote of the nearest examples",
    "encoder": "classifier",
    "ladder": "classifier, the teacher where it is unsure",
}

CLOSING = """
A 135M-parameter model stands here because it runs on your machine without a key: compare its two lines to see what the
skill did. For plain labels a classifier of two megabytes, fitted on what the teacher answered, does better than both,
and where it is not sure the teacher answers: that is the line to read. The verdicts are measured on messages nobody
trained on; the same command on your own task tells you yours.

  {command} init .
  {command} create "what to do, in a sentence" --teacher MODEL --cases inputs.jsonl
  {command} train NAME                                  # where all outputs are labels
  {command} eval NAME --students "local:smollm2-135m,encoder:NAME > teacher" --teacher MODEL --suite evals/NAME.yaml
"""


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo repository is made.")] = Path("skillforge-demo"),
    cases: Annotated[
        int, typer.Option(min=10, help="How many unseen cases the 135M model answers; the others answer all.")
    ] = CASES,
) -> None:
    """The whole loop on a real 135M model, without a key.

    A recorded teacher's answers become a skill and a classifier. Measured are the model alone, the model with the
    skill, the classifier, and the classifier with the teacher behind it. Only the model's weights are fetched, once
    (downloads 93 MB, 98 MB on disk). Interrupt it when you like: it goes on where it stopped.

    Examples:

    \b
      skillforge demo
      skillforge demo --folder /tmp/demo --cases 20

    Exit code: 0 whatever the verdicts.
    """
    from skillforge.demo_data import copy_demo
    from skillforge.providers.models_cache import pull

    note("1/4  the student: SmolLM2-135M-Instruct, in this process, on your CPU")
    pull("smollm2-135m", progress=download("smollm2-135m"))
    make_repository(folder)
    suite = copy_demo(folder)
    with open_forge_at(folder) as forge:
        _create(forge, suite)
        reports = [] if not _fitted(forge) else [_measured(forge, f"{ENCODER},{LADDER}", "no-model", None)]
        note(f"4/4  the 135M model, alone and with the skill, on {cases} of these messages: some minutes")
        reports.insert(0, _measured(forge, STUDENT, "bare,skill" if reports else "no-model,bare,skill", cases))
    typer.echo("")
    _render(reports)
    typer.echo(CLOSING.format(command=command_name()))


def _create(forge: Forge, suite: Path) -> None:
    from skillforge.demo_data import demo_task
    from skillforge.evals.sampling import training_cases
    from skillforge.suitefile import read_suite

    read = read_suite(suite)
    train, _ = training_cases(read.cases)
    note(f"2/4  the teacher (recorded) solves {len(train)} support messages and writes down how")
    created = created_with_progress(
        forge,
        demo_task(),
        train,
        teacher=f"replay:{read.recorded}",
        name=SKILL,
        suite=f"evals/{suite.name}",
    )
    render_created(created)


def _fitted(forge: Forge) -> bool:
    """Whether there is a classifier now: it needs packages that not everybody wants."""
    missing = [name for name in ("sklearn", "skops") if importlib.util.find_spec(name) is None]
    if missing:
        note('3/4  left out: the classifier needs pip install "skillforge-distiller[encoder]"')
        return False
    note("3/4  a classifier learns the teacher's answers: seconds, on one core")
    done = forge.students.train(SKILL)
    note(f"     {done.path}: {done.card.size / 1e6:.1f} MB, fitted in {done.card.seconds:.1f} s")
    return True


def _measured(forge: Forge, students: str, arms: str, limit: int | None) -> EvalReport:
    wishes = {"students": students, "teacher": "recorded", "limit": limit, "arms": arms}
    return measured(forge, SKILL, wishes_of(wishes, terms_of(None, None, None))).report


def _render(reports: list[EvalReport]) -> None:
    """One screen: what was measured, one line a student, each with its verdict and interval."""
    from skillforge.cli._report import STYLES
    from skillforge.cli.compare import show
    from skillforge.evals.wording.reading import arm_lines, headline

    lines = [line for report in reports for line in arm_lines(report)]
    order = list(NAMES)
    lines.sort(key=lambda line: order.index(line.arm.kind))
    show(headline(reports[-1]), "bold")
    for line, shown in zip(lines, aligned([_row(line) for line in lines], left={0, 1, 2, 4, 5}), strict=True):
        show(f" {shown}", STYLES[line.versus.verdict], len(line.word))
    for arm in reports[-1].arms:
        for rung in arm.rungs[:1]:
            kept = f"{rung.answered:,} of {rung.asked:,} messages stay with the classifier"
            show(f" {kept}; below a probability of {rung.threshold:g} the teacher answers (chosen on dev)")


def _row(line: ArmLine) -> list[str]:
    return [line.word, NAMES[line.arm.kind], line.quality, f"of {line.versus.n:,}", line.cost, line.says]
