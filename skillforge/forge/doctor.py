"""What is installed, which keys are set, what answers, what is missing and the command that mends it."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Literal

from skillforge.config import LOCK_FILE, database_path, find_root
from skillforge.errors import SkillforgeError
from skillforge.forge.workspace import Workspace
from skillforge.keys import find_key
from skillforge.lockfile import read_lock
from skillforge.messages import Message, Request, RequestKey, Usage, Value
from skillforge.providers.budget import Budget
from skillforge.providers.network import PUBLIC
from skillforge.providers.remote import Remote
from skillforge.providers.retirement import retirement
from skillforge.version import __version__

DISTRIBUTION = "skillforge-distiller"
PACKAGES = ("anthropic", "openai", "genai-prices", "pydantic", "jinja2", "sqlite-utils")
EXTRAS = {"local": "xllamacpp", "keyring": "keyring"}
_TOKEN_PRICE = Usage(input_tokens=1, output_tokens=1)
_ASKED = "Answer with the one word: yes"
_CALL_TOKENS = 16
_CALL_SECONDS = 60.0

State = Literal["ok", "absent", "warning", "wrong"]  # absent: not needed by everybody; warning: wrong some day soon


class Finding(Value):
    """One thing looked at. ``mend`` is the command or the line that changes it, where something is to be done."""

    area: str
    name: str
    state: State
    detail: str
    mend: str = ""


class Diagnosis(Value):
    """Everything ``doctor`` looked at. ``ok`` unless something is wrong; what is merely absent may not be needed, and a
    warning is still right today.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.state != "wrong" for finding in self.findings)


async def diagnose(work: Workspace, calls: Sequence[str]) -> Diagnosis:
    """Look at everything; ``calls`` names models that get one short real call each (a few tokens)."""
    findings = [*_packages(), *_repository(work), *_keys(work), *_models(work), *_aliases(work)]
    findings += [await _call(work, model) for model in dict.fromkeys(calls)]
    return Diagnosis(findings=tuple(findings))


def _packages() -> Iterator[Finding]:
    yield Finding(
        area="package", name="skillforge", state="ok", detail=f"{__version__}, Python {platform.python_version()}"
    )
    for name in PACKAGES:
        yield _package(name, "wrong", f"pip install --upgrade {DISTRIBUTION}")
    for extra, name in EXTRAS.items():
        yield _package(name, "absent", f"pip install '{DISTRIBUTION}[{extra}]'")


def _package(name: str, without: State, mend: str) -> Finding:
    try:
        return Finding(area="package", name=name, state="ok", detail=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(area="package", name=name, state=without, detail="not installed", mend=mend)


def _repository(work: Workspace) -> Iterator[Finding]:
    if find_root(work.root) is None:
        yield Finding(
            area="repository", name=str(work.root), state="absent", detail="no repository", mend="skillforge init"
        )
        return
    yield Finding(area="repository", name=str(work.root), state="ok", detail="skillforge repository")
    path = database_path(work.root)
    if not path.exists():
        yield Finding(area="registry", name=str(path), state="ok", detail="not there yet: made when it is needed")
        return
    try:
        problems = work.registry.verify()
        count = len(work.registry.skills())
    except SkillforgeError as exc:
        yield Finding(area="registry", name=str(path), state="wrong", detail=str(exc), mend=exc.hint)
        return
    if problems:
        yield Finding(area="registry", name=str(path), state="wrong", detail="; ".join(problems))
    else:
        yield Finding(
            area="registry", name=str(path), state="ok", detail=f"{count} skill{'' if count == 1 else 's'}, whole"
        )


def _keys(work: Workspace) -> Iterator[Finding]:
    """Which servers have their key, and where from; never the key."""
    for prefix in [*PUBLIC, *work.settings.endpoints]:
        try:
            endpoint = work.network.endpoint(prefix)
            found = find_key(endpoint.api_key_env, work.network.env) if endpoint.api_key_env else None
            missing = [name for name in endpoint.header_env.values() if find_key(name, work.network.env) is None]
        except SkillforgeError as exc:
            yield Finding(area="key", name=prefix, state="wrong", detail=str(exc), mend=exc.hint)
            continue
        where = f"{endpoint.kind} at {endpoint.base_url}"
        for name in missing:
            detail = f"{name} is not set, a header needs it"
            yield Finding(area="key", name=prefix, state="absent", detail=detail, mend=f"skillforge keys set {name}")
        if not endpoint.api_key_env:
            yield Finding(area="key", name=prefix, state="ok", detail=f"needs none; {where}")
        elif found is None:
            detail = f"{endpoint.api_key_env} is not set; {where}"
            yield Finding(area="key", name=prefix, state="absent", detail=detail, mend=f"skillforge keys set {prefix}")
        else:
            yield Finding(area="key", name=prefix, state="ok", detail=f"set in the {found.source}; {where}")


def _models(work: Workspace) -> Iterator[Finding]:
    """The repository's default models: do their names resolve, is their price known."""
    for role, model in (("teacher", work.settings.teacher), ("student", work.settings.student)):
        if not model:
            detail, mend = "none set", f'{role} = "provider:model" in skillforge.toml'
            yield Finding(area="model", name=role, state="absent", detail=detail, mend=mend)
            continue
        try:
            price = work.provider(model).price(_TOKEN_PRICE)
        except SkillforgeError as exc:
            yield Finding(area="model", name=f"{role} {model}", state="wrong", detail=str(exc), mend=exc.hint)
            continue
        if price.usd is None:
            mend = f'price = {{input = …, output = …}} under [models."{model}"] in skillforge.toml'
            yield Finding(area="model", name=f"{role} {model}", state="absent", detail="price unknown", mend=mend)
        else:
            yield Finding(area="model", name=f"{role} {model}", state="ok", detail=f"price: {price.basis}")


def _aliases(work: Workspace) -> Iterator[Finding]:
    """The models that deployments use: do their names resolve, and are they about to be taken off the market."""
    try:
        lock = read_lock(work.root)
    except SkillforgeError as exc:
        yield Finding(area="alias", name=LOCK_FILE, state="wrong", detail=str(exc), mend=exc.hint)
        return
    for name, entry in sorted(lock.skills.items()):
        for alias, move in entry.aliases.items():
            promote = f"skillforge promote {name}@{move.version} --student MODEL --as {alias}"
            for role, model in (("student", move.student), ("fallback", move.fallback)):
                if model:
                    yield _deployed(work, f"{name}@{alias} {role} {model}", model, promote)


def _deployed(work: Workspace, name: str, model: str, promote: str) -> Finding:
    try:
        work.provider(model)
        ends = retirement(work.network.address(model)) if work.network.knows(model.partition(":")[0]) else None
    except SkillforgeError as exc:
        return Finding(area="alias", name=name, state="wrong", detail=str(exc), mend=exc.hint)
    if ends is None:
        return Finding(area="alias", name=name, state="ok", detail="no end is announced")
    today = datetime.now(UTC).date()
    state: State = "wrong" if ends.day is not None and ends.day <= today else "warning"
    return Finding(area="alias", name=name, state=state, detail=f"the model {ends.told(today)}", mend=promote)


async def _call(work: Workspace, model: str) -> Finding:
    request = Request(
        messages=(Message.of("user", _ASKED),),
        key=RequestKey(role="doctor", task=_ASKED, input={}),
        max_output_tokens=_CALL_TOKENS,
        timeout_s=_CALL_SECONDS,
    )
    try:
        provider = work.provider(model)
        if isinstance(provider, Remote):
            provider = provider.under(Budget(None))  # a new chance for one that was stopped
            provider.open()
        completion = await provider.complete(request)
    except SkillforgeError as exc:
        return Finding(area="call", name=model, state="wrong", detail=str(exc), mend=exc.hint)
    latency = "" if completion.latency_s is None else f" in {completion.latency_s:.2f} s"
    cost = "cost unknown" if completion.cost.usd is None else f"${completion.cost.usd:.6f}"
    return Finding(area="call", name=model, state="ok", detail=f"{completion.model} answered{latency}, {cost}")
