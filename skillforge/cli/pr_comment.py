"""``skillforge pr-comment``: what a pull request does to the skills, as Markdown."""

from __future__ import annotations

from typing import Annotated

import typer

from skillforge.cli._shared import open_forge


def pr_comment(
    base: Annotated[str, typer.Option(help="The git revision that the pull request goes into.")] = "origin/main",
) -> None:
    """Print what a pull request does to the skills, as Markdown.

    Changes of skills, verdicts, cases lost and won, cost, deployments. Reads files only, those here and those of the
    base revision: CI needs no registry, no key and no model. The first line is a mark by which a former comment can be
    found and replaced.

    Examples:

    \b
      skillforge pr-comment --base origin/main
      skillforge pr-comment --base HEAD~1 > comment.md
    """
    with open_forge() as forge:
        typer.echo(forge.repository.pr_comment(base), nl=False)
