"""``provider:model`` as a user writes it -> a provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from skillforge.errors import UsageError
from skillforge.providers.base import Provider
from skillforge.providers.network import Network
from skillforge.suggest import did_you_mean


def resolve_provider(model: str, network: Network, *, base_dir: Path | None = None) -> Provider:
    """The provider behind ``provider:model``, split at the first colon: one of ours, or a server ``network`` knows.

    Paths are taken relative to ``base_dir`` (default: the working directory). Nothing is loaded yet beyond small files,
    no key is looked up, no connection made. Raises ``UsageError`` for an unknown provider, ``NotFound`` for a missing
    model or file, ``SkillFileError``.
    """
    if any(character.isspace() for character in model) and not Path(model.partition(":")[2]).suffix:
        raise UsageError(f"{model!r} is no model's name: it holds a space", hint="several are separated by commas")
    prefix, colon, rest = model.partition(":")
    if colon and rest and network.knows(prefix):
        return network.provider(model)
    make = _PROVIDERS.get(prefix)
    if make is None or not colon or not rest:
        raise _unknown(model, prefix, network, complete=bool(colon and rest))
    return make(model, rest, base_dir or Path())


def _local(model: str, rest: str, base_dir: Path) -> Provider:
    from skillforge.providers.local import Local
    from skillforge.providers.models_cache import resolve_model_file

    is_path = rest.endswith(".gguf") or "/" in rest or "\\" in rest
    return Local(rest, resolve_model_file(_anchored(rest, base_dir) if is_path else rest))


def _scripted(model: str, rest: str, base_dir: Path) -> Provider:
    from skillforge.providers.scripted import Scripted

    return Scripted.from_file(Path(_anchored(rest, base_dir)), name=model)


def _replay(model: str, rest: str, base_dir: Path) -> Provider:
    from skillforge.providers.replay import Replay
    from skillforge.remotefile import RemoteFile, is_remote

    place = RemoteFile.of(rest) if is_remote(rest) else Path(_anchored(rest, base_dir))
    return Replay(place, name=model)


_PROVIDERS: dict[str, Callable[[str, str, Path], Provider]] = {
    "local": _local,
    "scripted": _scripted,
    "replay": _replay,
}
_EXAMPLES = {
    "anthropic": "anthropic:claude-haiku-5-5",
    "openai": "openai:gpt-6-luna",
    "local": "local:smollm2-135m or local:path/to/model.gguf",
    "scripted": "scripted:answers.yaml",
    "replay": "replay:recorded.jsonl",
}


def _anchored(path: str, base_dir: Path) -> str:
    return str(base_dir / Path(path).expanduser())


def _unknown(model: str, prefix: str, network: Network, *, complete: bool) -> UsageError:
    endpoints = list(network.settings.endpoints)
    if not complete and (prefix in _EXAMPLES or prefix in endpoints):
        return UsageError(f"{model!r} names no model", hint=f"write {_EXAMPLES.get(prefix, f'{prefix}:MODEL')}")
    if complete:
        near = did_you_mean(prefix, [*_EXAMPLES, *endpoints], what="there are")
        near += "" if near.endswith(("?", ".")) else "."
        return UsageError(
            f"no provider {prefix!r} in {model!r}",
            hint=f"{near} A server of your own is named by [endpoints.NAME] in skillforge.toml.",
        )
    examples = "; ".join([*_EXAMPLES.values(), *(f"{name}:MODEL" for name in endpoints)])
    return UsageError(f"{model!r} is not a model: it must be provider:model", hint=f"for example {examples}")
