"""The flags of ``tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Ref = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The skill.")]
Student = Annotated[
    str | None, typer.Option("--student", metavar="MODEL", help="The model to tune for (default: the settings').")
]
Teacher = Annotated[
    str | None, typer.Option("--teacher", metavar="MODEL", help="Who betters the instructions; recorded: nobody does.")
]
BudgetText = Annotated[
    str | None, typer.Option("--budget", metavar="DOLLARS|CALLS", help="Over student and teacher: 5, or 400calls.")
]
Authors = Annotated[
    str, typer.Option("--authors", metavar="A,B", help="Models that each write instructions of their own.")
]
OptimizerName = Annotated[
    str, typer.Option("--optimizer", help="Who drives the reflection: reflect (built in) or gepa.")
]
Stages = Annotated[
    str, typer.Option("--stages", metavar="A,B", help="Of roots,format,examples,instructions,compression,effort.")
]
Anchors = Annotated[
    list[str] | None, typer.Option("--anchor", metavar="CASE", help="A case that must not get worse (repeatable).")
]
SuiteFile = Annotated[Path | None, typer.Option("--suite", metavar="FILE", help="Another suite than its own.")]
DevCases = Annotated[int | None, typer.Option("--dev", metavar="N", help="Decide on at most so many dev cases.")]
Tolerance = Annotated[
    float | None, typer.Option("--tolerance", help="How much worse a cheaper form may be (default: the margin).")
]
NoTest = Annotated[
    bool, typer.Option("--no-test", help="Search only: the test split is not touched, nothing is written.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what it would ask and cost, and ask nothing.")]
History = Annotated[bool, typer.Option("--history", help="Show what was tuned before; nothing is asked.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the tree of candidates: .html or .json.")
]
JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
