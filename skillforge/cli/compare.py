"""``skillforge compare``: the verdict on outputs that were produced elsewhere."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._eval_options import Output
from skillforge.cli._shared import aligned, note, print_json, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from skillforge.evals.recorded.compared import Compared
    from skillforge.evals.recorded.groups import Group
    from skillforge.evals.report import EvalReport
    from skillforge.evals.wording.reading import ArmLine

_MOST_IDS = 5  # named of a list
_MOST_GROUPS = 40
_MOST_FIELDS = 8
_SHOWN = 60  # characters of an id


def compare(
    recorded: Annotated[list[Path], typer.Argument(metavar="FILE...", help="One file, or the teacher's and others.")],
    scorer: Annotated[
        str | None, typer.Option(help="How right an answer is: a type, /FIELD, or module:function (default: exact).")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="How much worse is still accepted (default: .05).")] = None,
    alpha: Annotated[float | None, typer.Option(help="One-sided error of the bound (default: .05).")] = None,
    mode: Annotated[
        str | None, typer.Option(help="fixed, or sequential: a test that is valid at any time (default: fixed).")
    ] = None,
    min_quality: Annotated[float | None, typer.Option(help="The student must be right at least so often.")] = None,
    max_p95_ms: Annotated[float | None, typer.Option(help="Its p95 latency must be at most so much.")] = None,
    max_cost_per_1k: Annotated[float | None, typer.Option(help="1,000 runs of it must cost at most so much.")] = None,
    teacher: Annotated[str, typer.Option(metavar="FIELD", help="The field with the teacher's output.")] = "teacher",
    student: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="The field with a student's output; again for more.")
    ] = None,
    teacher2: Annotated[str, typer.Option(metavar="FIELD", help="The teacher's second answer.")] = "teacher2",
    expected: Annotated[str, typer.Option(metavar="FIELD", help="The field with the label.")] = "expected",
    id_field: Annotated[str, typer.Option("--id", metavar="FIELD", help="The field with the case's id.")] = "id",
    cluster: Annotated[
        str, typer.Option(metavar="FIELD", help="Cases with one value are not independent.")
    ] = "cluster",
    output_field: Annotated[
        str, typer.Option("--output-field", metavar="FIELD", help="The output's field where every model has a file.")
    ] = "output",
    by: Annotated[str, typer.Option(metavar="FIELD", help="The verdict once more for each value of this field.")] = "",
    suite: Annotated[Path | None, typer.Option(help="Labels, scorers and rule from this suite, by its ids.")] = None,
    common: Annotated[bool, typer.Option("--common", help="Judge only what every model has a line of.")] = False,
    parse: Annotated[bool, typer.Option("--parse", help="Take the JSON object out of outputs that are text.")] = False,
    output: Output = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Judge outputs that are recorded, as eval judges fresh ones.

    No model is called, no repository is needed.

    One file: lines {"id", "input", "teacher", "student", "expected", "cluster", "cost", "latency"}, of which all but
    the two outputs may be missing. Or one file a model, the teacher's first, with lines {"id", "output", ...} that are
    joined by id. A null output is an error, not a wrong answer. Without labels the teacher's second answers
    ("teacher2") tell how far it agrees with itself; without these there is agreement and no verdict.

    Examples:

    \b
      skillforge compare recorded.jsonl
      skillforge compare opus.jsonl haiku.jsonl luna.jsonl --scorer numeric
      skillforge compare log.csv --teacher gpt_5 --student mini --expected gold --by language
      skillforge compare recorded.jsonl --margin .03 --json

    Exit code: 0 REPLACE, 1 KEEP, 3 NOT SURE, 2 usage, 4 more than 2% of the answers are errors.
    """
    fields = {"teacher": teacher, "students": student or (), "teacher2": teacher2, "expected": expected}
    fields |= {"id": id_field, "cluster": cluster, "output": output_field, "by": by}
    rule = {"margin": margin, "alpha": alpha, "mode": mode, "min_quality": min_quality}
    rule |= {"max_p95_ms": max_p95_ms, "max_cost_per_1k": max_cost_per_1k}
    wishes: dict[str, Any] = {**fields, **rule, "scorer": scorer, "suite": suite, "common": common, "parse": parse}
    _finish(recorded, wishes, output or (), json_out=json_out)


def _finish(recorded: Sequence[Path], wishes: dict[str, Any], output: Sequence[Path], *, json_out: bool) -> None:
    from skillforge.cli.evaluate import exit_code
    from skillforge.evals.recorded.compare import compare as compared_by

    if output:
        from skillforge.evals.pages.write import require_writable

        require_writable(output)
    with redirect_stdout(sys.stderr):  # what a scorer of one's own prints is no part of the result
        compared = compared_by(*recorded, **wishes)
    for line in compared.notes:
        note(line)
    if output:
        _write(compared, output)
    if json_out:
        print_json(_clean(compared.document()))
    else:
        _render(compared)
    raise typer.Exit(exit_code(compared.report))


def _clean(value: Any) -> Any:
    """Without secrets: reasons and ids quote what stands in the file."""
    from skillforge.redact import Redactor

    return Redactor(os.environ).value(value)


def _write(compared: Compared, output: Sequence[Path]) -> None:
    from skillforge.evals.pages.besides import Besides
    from skillforge.evals.pages.write import write_pages

    groups = [(_clean(_printed(group.name)), group.report(compared.report)) for group in compared.groups]
    besides = Besides("compare", _clean(compared.document()), _clean(groups), _clean(compared.notes))
    write_pages(list(output), compared.report, compared.rows, _clean, besides)
    for path in output:
        note(f"written: {path}")


def _render(compared: Compared) -> None:
    """The verdict first, one line a student; then the figures, then what to do. As ``eval`` says it."""
    from skillforge.evals.wording import remarks
    from skillforge.evals.wording.reading import arm_lines, headline

    report = compared.report
    show(headline(report), "bold")
    _verdicts(arm_lines(report))
    for number, line in enumerate(aligned(_figures(compared), left=range(1))):
        show(f" {line}", "dim" if number == 0 else "")
    for line in aligned(_fields(report), left=range(1)) if report.teacher.fields else ():
        show(f" {line}")
    for group in compared.groups[:_MOST_GROUPS]:
        _group(report, group)
    if (more := len(compared.groups) - _MOST_GROUPS) > 0:
        show(f" and {more} more groups: see --json")
    for said in (*_changed(compared), *remarks.measured(report), *remarks.teachers_noise(report)):
        show(f" {said}")
    for said in (*_left_out(compared), *remarks.errors(report)):
        show(f" {said}")


def _verdicts(lines: Sequence[ArmLine]) -> None:
    from skillforge.cli._report import STYLES

    rows = [[line.word, line.label, line.quality, f"· {line.cost} · {line.p95}", line.says] for line in lines]
    for line, shown in zip(lines, aligned(rows, left=range(5)), strict=True):
        show(f" {shown}", STYLES[line.versus.verdict], len(line.word))


def _figures(compared: Compared) -> list[list[str]]:
    from skillforge.evals.wording.reading import dollars, label, measured_in, percent, seconds

    report = compared.report
    rows = [
        ["arm", measured_in(report), "95% interval", "n", "as the teacher", "kappa", "$/1000", "p50", "p95", "errors"]
    ]
    for arm in (report.teacher, *report.arms):
        told = compared.agreements[arm.name]
        alike = "–" if told.teacher is None else percent(told.teacher.share)
        kappa = told.labels.kappa if told.labels is not None else told.teacher.kappa if told.teacher else None
        measured = arm.quality is not None and not (arm == report.teacher and compared.agreement_only)
        interval = f"{100 * arm.bounds.low:.1f}–{100 * arm.bounds.high:.1f}" if measured else "–"
        rows.append(
            [
                label(report, arm),
                percent(arm.quality if measured else None),
                interval,
                str(arm.n),
                alike,
                "–" if kappa is None or kappa.value is None else f"{kappa.value:.2f}",
                dollars(arm.usd_per_1000).removeprefix("$ "),
                seconds(arm.p50_s),
                seconds(arm.p95_s),
                str(arm.errors),
            ]
        )
    return rows


def _fields(report: EvalReport) -> list[list[str]]:
    """How often each field of the label is right, a few of them."""
    from skillforge.evals.wording.reading import label, percent

    names = list(report.teacher.fields)[:_MOST_FIELDS]
    arms = (report.teacher, *report.arms)
    rows = [[label(report, arm), *(percent(arm.fields.get(name)) for name in names)] for arm in arms]
    return [["by field", *map(_printed, names)], *rows]


def _group(report: EvalReport, group: Group) -> None:
    """A group's own headline, then its verdicts."""
    from skillforge.evals.wording.reading import arm_lines, quality

    part = group.report(report)
    show(f" {_printed(group.name)} · {_cases(group.cases)} · teacher {quality(part, part.teacher)}", "bold")
    _verdicts(arm_lines(part))


def _changed(compared: Compared) -> Iterator[str]:
    """Which cases got worse and better, a few by their ids."""
    for arm in compared.report.arms:
        versus = arm.versus_teacher
        if versus is not None and (versus.lost or versus.gained):
            worse = f": {_named(versus.lost)}" if versus.lost else ""
            if compared.agreement_only:
                yield f"{_printed(arm.name)} says something else in {_cases(len(versus.lost))}{worse}"
                continue
            yield f"{_printed(arm.name)}: {_cases(len(versus.gained))} got better, {len(versus.lost)} worse{worse}"


def _left_out(compared: Compared) -> Iterator[str]:
    if compared.unlabelled:
        yield f"not scored: {_cases(compared.unlabelled)} without a label, where others have one"
    for name, ids in compared.missing.items():
        yield f"{_printed(name)} has no line of {_cases(len(ids))}: {_named(ids)} (errors; --common leaves them out)"


def _cases(count: int) -> str:
    return f"{count:,} case{'' if count == 1 else 's'}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    return ", ".join(map(_printed, ids[:_MOST_IDS])) + more


def _printed(text: str) -> str:
    """A name or an id from a file, so that no terminal obeys it, and no longer than a line."""
    from skillforge.evals.wording.reading import one_line

    return one_line(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def show(line: str, style: str = "", length: int | None = None) -> None:
    """One line on stdout; ``style`` is that of the whole, or of the first ``length`` characters after the margin."""
    from rich.console import Console
    from rich.text import Text

    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would still write bold and dim
    console = Console(highlight=False, soft_wrap=True, color_system=None if plain else "auto")
    text = Text(without_secrets(line))
    text.stylize(style, *((1, 1 + length) if length is not None else (0, None)))
    console.print(text)
