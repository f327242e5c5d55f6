"""``skillforge models pull | list | test``: the local models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from skillforge.cli._progress import download
from skillforge.cli._shared import as_json, note, open_forge, print_json

app = typer.Typer(help="Pull, list and try models.", no_args_is_help=True, rich_markup_mode=None)
JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="A name of the catalogue: smollm2-135m.")],
) -> None:
    """Fetch a model's weights into the cache, checked against a pinned hash. Does nothing when they are there.

    Example:

      skillforge models pull smollm2-135m
    """
    from skillforge.providers.models_cache import pull as fetch

    typer.echo(str(fetch(name, progress=download(name))))


@app.command("list")
def list_models(json_out: JsonOut = False) -> None:
    """List the models of the catalogue and whether their weights are here."""
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
    model: Annotated[str, typer.Argument(help="For example local:smollm2-135m or local:/path/to/model.gguf.")],
    json_out: JsonOut = False,
) -> None:
    """Call a model for real: its reply, tokens per second, JSON ability, log probabilities.

    Example:

      skillforge models test local:smollm2-135m
    """
    with open_forge() as forge:
        found = forge.probe(model)
    if json_out:
        print_json(as_json(found))
        return
    for name, value in as_json(found).items():
        typer.echo(f"{name.replace('_', ' '):>18}  {value}")
