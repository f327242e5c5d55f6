"""``skillforge train``: a tiny classifier that answers in the place of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json

if TYPE_CHECKING:
    from skillforge.forge.fitting import Outlook, Trained

_SHOWN = 5  # labels in a list


def train(
    ref: Annotated[str, typer.Argument(metavar="NAME", help="The skill.")],
    kind: Annotated[str, typer.Option(help="What to train: encoder.")] = "encoder",
    name: Annotated[str | None, typer.Option("--as", help="The classifier's name (default: the skill's).")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Whose answers to learn: teacher or expected (default: the teacher's where recorded)."),
    ] = None,
    teacher: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Learn the answers this model gave in earlier evals of the split train."),
    ] = "",
    backend: Annotated[
        str, typer.Option(help="tfidf, or with a sentence embedding: model2vec, sentence-transformers[:ORG/MODEL].")
    ] = "tfidf",
    suite: Annotated[Path | None, typer.Option(help="A suite file (default: the skill's own).")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Fit a tiny classifier that answers in a model's place.

    For a skill whose outputs are all labels (an enum or a boolean). It learns the cases of the split train only, tells
    calibrated probabilities, runs on the CPU in this process, thousands of rows a second, for nothing. It is a student
    like any other: encoder:NAME in run, eval, promote, and on the lowest rung of a ladder. No model is asked.

    Examples:

    \b
      skillforge train ticket-triage --kind encoder
      skillforge train ticket-triage --as triage-2 --labels expected
      skillforge train ticket-triage --backend model2vec --json

    Exit code: 0, also where it is no match for a model: an eval says that.
    """
    with open_forge() as forge:
        done = forge.students.train(
            ref,
            kind=kind,
            name=name,
            labels=cast("Literal['teacher', 'expected'] | None", labels),
            teacher=teacher,
            backend=backend,
            suite=suite,
            on_fold=lambda fold, total: note(f"cross-validation: {fold} of {total}"),
        )
    if json_out:
        print_json(as_json(done))
    else:
        _render(done)
    note(f"the verdict is an eval's: {done.next_step}")


def _render(done: Trained) -> None:
    from skillforge.evals.wording.reading import one_line, percent
    from skillforge.evals.wording.words import many

    card = done.card
    whose = f"the answers of {one_line(card.teacher)}" if card.labels == "teacher" else "the suite's labels"
    soft = f", {card.soft} with probabilities" if card.soft else ""
    typer.echo(f"{done.student}  {done.path}  {card.size / 1e6:.1f} MB, fitted in {card.seconds:.1f} s")
    typer.echo(f"  learned: {many(card.rows, 'train case')} of {card.suite}, {whose}{soft}")
    for why, count in card.left_out.items():
        typer.echo(f"  left out: {count}, {why}")
    rows = [["field", "labels", "accuracy", "95% interval", "calibration error", "uncalibrated"]]
    for field, told in card.fields.items():
        measure = told.accuracy
        if measure is None or told.error_after is None or told.error_before is None:
            rows.append([one_line(field), str(len(told.seen)), "-", "-", "-", "-"])
            continue
        interval = f"{percent(measure.low)} to {percent(measure.high)}"
        errors = [f"{told.error_after:.3f}", f"{told.error_before:.3f}"]
        rows.append([one_line(field), str(len(told.seen)), percent(measure.share), interval, *errors])
    for line in aligned(rows, left={0}):
        typer.echo(f"  {line}")
    for field, told in card.fields.items():
        for what, found in (
            ("never seen, so never answered", list(told.never_seen)),
            ("seen once", [label for label, count in told.seen.items() if count == 1]),
        ):
            if found:
                more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
                typer.echo(f"  {one_line(field)}: {what}: {one_line(', '.join(found[:_SHOWN]))}{more}")
    typer.echo(f"  {outlook_words(done.outlook)}")


def outlook_words(outlook: Outlook | None) -> str:
    """Whether an LLM is needed at all, in one sentence, as far as training cases can say."""
    from skillforge.evals.wording.reading import one_line, percent

    if outlook is None:
        return "too few different texts to say how good it is: an eval will"
    told = (
        f"by cross-validation {percent(outlook.right / outlook.n)} right of {outlook.n} train cases"
        f" against {percent(outlook.ceiling)} of {one_line(outlook.compared_with)}"
        f" (difference {100 * outlook.low:+.1f} to {100 * outlook.high:+.1f} points, margin {100 * outlook.margin:g})"
    )
    if outlook.verdict == "pass":
        return f"no LLM seems to be needed here: {told}"
    if outlook.verdict == "fail":
        return f"alone it is no match: {told}; with a model above it, on a ladder, it may save most calls"
    return f"not sure yet whether an LLM is needed: {told}; more train cases, of every label, would tell"
