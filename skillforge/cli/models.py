"""``skillforge models pull | list | test``: weights to run here, and a real look at any model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skillforge.cli._progress import download
from skillforge.cli._shared import as_json, help_when_bare, note, open_forge_at, print_json

app = typer.Typer(
    help="Pull, list and try models.",
    epilog="Example: skillforge models test local:smollm2-135m",
    invoke_without_command=True,
    rich_markup_mode=None,
)
JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.callback()
def group(ctx: typer.Context) -> None:
    help_when_bare(ctx)


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the catalogue: smollm2-135m.")],
) -> None:
    """Fetch a model's weights into the cache.

    They are checked against a pinned hash; nothing happens when they are there.

    Example:

    \b
      skillforge models pull smollm2-135m
    """
    from skillforge.providers.models_cache import pull as fetch

    name = name.removeprefix("local:")  # as ``models list`` and every other command write it
    typer.echo(str(fetch(name, progress=download(name))))


@app.command("list")
def list_models(json_out: JsonOut = False) -> None:
    """List the models that can be pulled, and which are here.

    Example:

    \b
      skillforge models list
    """
    from skillforge.providers.models_cache import list_models as listed

    rows = listed()
    if json_out:
        print_json([asdict(row) for row in rows])
        return
    for row in rows:
        where = row.path or "not pulled: skillforge models pull " + row.name
        typer.echo(f"local:{row.name}  {row.size / 1e6:.0f} MB  {row.licence}  {where}")
    note("any other GGUF works by its path: local:/path/to/model.gguf")


@app.command("test")
def try_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="For example local:smollm2-135m or anthropic:claude-haiku-5-5.")
    ],
    json_out: JsonOut = False,
) -> None:
    """Call a model for real and say what it can do.

    Its reply, seconds, tokens per second, whether it gives JSON of a schema, whether it gives log probabilities.

    Example:

    \b
      skillforge models test local:smollm2-135m
      skillforge models test ollama:qwen3:8b
    """
    with open_forge_at(Path.cwd()) as forge:
        found = forge.probe(model)
    if json_out:
        print_json(as_json(found))
        return
    for name, value in as_json(found).items():
        if value != []:
            typer.echo(f"{name.replace('_', ' '):>13}  {_shown(value)}")


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
