"""``skillforge keys set | list | remove``: API keys, which are never given or shown on the command line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from skillforge.cli._shared import aligned, help_when_bare, note, print_json
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from skillforge.config import Settings
    from skillforge.keys import Store

MAX_LINE = 16_384


class _Group(TyperGroup):
    """Says that there is no such command without repeating it: it may be a key."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        raise UsageError("keys has no such command", hint=f"there are: {', '.join(self.commands)}")


app = typer.Typer(
    cls=_Group,
    help="Store, list and remove API keys.",
    epilog="Example: skillforge keys set anthropic",
    invoke_without_command=True,
    rich_markup_mode=None,
)
# the parser repeats what it does not know, which may be a key: so it takes everything, and _no_more refuses it
UNSAID = {"allow_extra_args": True, "ignore_unknown_options": True}
Name = Annotated[str, typer.Argument(metavar="NAME", help="anthropic, openai, an endpoint, or a variable: MY_API_KEY.")]


@app.callback()
def group(ctx: typer.Context) -> None:
    help_when_bare(ctx)


@app.command("set", context_settings=UNSAID)
def set_key(
    ctx: typer.Context,
    name: Name,
    in_file: Annotated[bool, typer.Option("--file", help="Store it in a file that only you can read.")] = False,
    in_keyring: Annotated[bool, typer.Option("--keyring", help="Store it in the system's keyring.")] = False,
) -> None:
    """Store an API key, read from a hidden prompt or from stdin.

    It goes to the system's keyring where there is one, else to a file.
    An environment variable of the same name wins over it.

    Example:

    \b
      skillforge keys set anthropic
      skillforge keys set OPENAI_API_KEY --file < key.txt
    """
    from skillforge.keyfile import key_file
    from skillforge.keys import store_key

    _no_more(ctx)
    if in_file and in_keyring:
        raise UsageError("--file and --keyring exclude each other", hint="give one of them, or none")
    where: Store | None = "file" if in_file else "keyring" if in_keyring else None
    variable = _variable(name)
    stored = store_key(variable, _read_key(variable), where=where)
    place = "the system's keyring" if stored == "keyring" else str(key_file(os.environ))
    typer.echo(f"{variable} is stored in {place}")
    if os.environ.get(variable, "").strip():
        note(f"the environment variable {variable} is set too, and wins: unset it to use what you stored")


@app.command("list", context_settings=UNSAID)
def list_keys(
    ctx: typer.Context, json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False
) -> None:
    """List which keys there are and where they come from, never the keys.

    Example:

    \b
      skillforge keys list
    """
    from skillforge.keys import KEY_VARIABLES, stored_keys

    _no_more(ctx)
    endpoints = _settings().endpoints.values()
    known = {*KEY_VARIABLES.values(), *(point.api_key_env for point in endpoints if point.api_key_env)}
    known |= {variable for point in endpoints for variable in point.header_env.values()}
    stored = stored_keys(also=known)
    known |= {variable for variable, _ in stored}
    found = [(variable, "environment") for variable in sorted(known) if os.environ.get(variable, "").strip()]
    rows = sorted([*found, *stored], key=lambda row: row[0])  # stable: of one variable, the first is what is used
    used = dict(reversed(rows))
    if json_out:
        print_json([{"variable": name, "source": source, "used": used[name] == source} for name, source in rows])
        return
    shown = [(name, source, "" if used[name] == source else f"the {used[name]} wins") for name, source in rows]
    for line in aligned(shown, left={0, 1, 2}) if shown else []:
        typer.echo(line)
    if not shown:
        note("no keys: store one with skillforge keys set NAME, or export ANTHROPIC_API_KEY=…")


@app.command("remove", context_settings=UNSAID)
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a stored key, from the keyring and from the file.

    Example:

    \b
      skillforge keys remove anthropic
    """
    from skillforge.keys import remove_key

    _no_more(ctx)
    variable = _variable(name)
    places = remove_key(variable)
    in_environment = bool(os.environ.get(variable, "").strip())
    if not places:
        hint = "it is set in the environment: unset it there" if in_environment else "see skillforge keys list"
        raise NotFound(f"no key {variable} is stored", hint=hint)
    typer.echo(f"{variable} is removed from {' and '.join(f'the {place}' for place in places)}")
    if in_environment:
        note(f"the environment variable {variable} is still set")


def _no_more(ctx: typer.Context) -> None:
    if not ctx.args:
        return
    if ctx.command.name == "set":
        raise UsageError(
            "only a NAME is given on the command line, with --file or --keyring; a key never is: others can see it",
            hint="paste it at the prompt, or pipe it in: skillforge keys set NAME < FILE; replace a key that was seen",
        )
    raise UsageError("that is too much on the command line", hint=f"see {ctx.command_path} --help")


def _variable(name: str) -> str:
    """The variable behind a NAME. The NAME itself is in no message before it is known: it may be a key."""
    from skillforge.endpoints import RESERVED
    from skillforge.keys import KEY_VARIABLES
    from skillforge.redact import find_secrets
    from skillforge.suggest import did_you_mean

    if variable := KEY_VARIABLES.get(name):
        return variable
    if re.fullmatch(r"[A-Z][A-Z0-9_]{0,127}", name) and not find_secrets(name):
        return name
    endpoints = _settings().endpoints
    if name in endpoints:
        if variable := endpoints[name].api_key_env:
            return variable
        example = re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_API_KEY"
        raise UsageError(
            f"the endpoint {name!r} uses no key",
            hint=f'if it needs one, add to [endpoints.{name}] in skillforge.toml: api_key_env = "{example}"',
        )
    if name in RESERVED:
        raise UsageError(f"{name} models need no key", hint="keys are for anthropic, openai and endpoints")
    raise UsageError(
        "NAME is neither a provider nor an endpoint of skillforge.toml nor a variable in capitals",
        hint=did_you_mean(name, [*KEY_VARIABLES, *endpoints]) or "for example: skillforge keys set anthropic",
    )


def _settings() -> Settings:
    from skillforge.config import Settings, find_root, read_settings

    root = find_root(Path.cwd())
    return Settings() if root is None else read_settings(root)


def _read_key(variable: str) -> str:
    """The key: the first line of stdin, or what is typed unseen at a terminal."""
    try:
        if sys.stdin.isatty():
            return _prompted(variable)
        line = sys.stdin.buffer.readline(MAX_LINE)
    except KeyboardInterrupt:
        note("\ninterrupted: nothing was stored")
        raise typer.Exit(130) from None
    return line.decode("utf-8", "replace")


def _prompted(variable: str) -> str:
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would go on, and show what is typed
        try:
            return getpass.getpass(f"key for {variable} (not shown): ")
        except getpass.GetPassWarning:
            raise UsageError(
                "this terminal cannot hide what is typed", hint=f"pipe it: skillforge keys set {variable} < FILE"
            ) from None
        except EOFError:
            return ""
