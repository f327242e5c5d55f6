"""The options of ``skillforge dataset build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TARGETS = "openai, anthropic, bedrock, trl, dpo, openai-dpo, csv"

Formats = Annotated[
    list[str] | None, typer.Option("--format", metavar="F", help=f"{TARGETS} (default: all that fit); repeatable.")
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="The folder (default: datasets/NAME).")]
SuiteFile = Annotated[Path | None, typer.Option("--suite", help="The suite (default: the skill's own).")]
WithExamples = Annotated[
    bool, typer.Option("--with-examples", help="Prompts show the skill's examples, as it runs today.")
]
Personal = Annotated[
    str, typer.Option("--personal", help="Mail addresses, phone numbers, IBANs, IP addresses: mask, drop or keep.")
]
Critic = Annotated[str, typer.Option("--critic", metavar="MODEL", help="Have every answer graded by a model.")]
Least = Annotated[float, typer.Option("--least", help="The critic's grade that an answer needs, 1 to 5.")]
RequireLabel = Annotated[
    bool, typer.Option("--require-label", help="Leave out answers that differ from the suite's labels.")
]
Without = Annotated[list[str] | None, typer.Option("--without", metavar="ID", help="Leave a row out; repeatable.")]
Teacher = Annotated[
    list[str] | None, typer.Option("--teacher", metavar="MODEL", help="Whose runs are a teacher's; repeatable.")
]
Student = Annotated[
    list[str] | None,
    typer.Option("--student", metavar="MODEL", help="Whose wrong answers make pairs (default: all known); repeatable."),
]
Ask = Annotated[
    str, typer.Option("--ask-student", metavar="MODEL", help="Ask this student every row, for its wrong answers.")
]
Validation = Annotated[float, typer.Option("--validation", help="Share of the rows that is kept to validate on.")]
Seed = Annotated[int, typer.Option("--seed", help="Another split.")]
Override = Annotated[str, typer.Option("--override-policy", metavar="REASON", help="Build although terms disallow it.")]
Budget = Annotated[float | None, typer.Option("--budget", metavar="USD", help="At most so much for models asked.")]
