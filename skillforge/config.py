"""Settings of one repository: ``skillforge.toml`` and a few environment variables."""

from __future__ import annotations

import os
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Literal, Self, cast, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from skillforge.endpoints import PUBLIC_PREFIXES, RESERVED, Endpoint, ModelOptions
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.messages import Value
from skillforge.suggest import did_you_mean

SETTINGS_FILE = "skillforge.toml"
STATE_FOLDER = ".skillforge"
SKILLS_FOLDER = "skills"
LOCK_FILE = "skillforge.lock"
DATABASE_VARIABLE = "SKILLFORGE_DB"

StoreIO = Literal["none", "redacted", "full"]


class Settings(Value):
    """What ``skillforge.toml`` may say.

    ``student`` and ``teacher`` are the models used when none is named. ``store_io`` is how much of inputs and outputs
    the registry keeps: nothing, with secrets taken out (the default), or everything. ``endpoints`` are servers by the
    name that goes before the colon (``[endpoints.ollama]`` gives ``ollama:qwen3:8b``); ``models`` are options by the
    whole name of a model.
    """

    student: str = ""
    teacher: str = ""
    store_io: StoreIO = "redacted"
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    models: dict[str, ModelOptions] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _network_models(self) -> Self:
        """Options of a model that is not on a server would be ignored in silence."""
        for name in self.models:
            prefix, _, model = name.partition(":")
            if not model or prefix not in {*PUBLIC_PREFIXES, *self.endpoints}:
                raise ValueError(
                    f"[models.{name!r}]: options are for models on a server: anthropic:…, openai:…, or ENDPOINT:…"
                )
        return self

    @field_validator("endpoints")
    @classmethod
    def _free_names(cls, endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
        for name in endpoints:
            if name in RESERVED or not re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*", name):
                raise ValueError(f"{name!r} cannot be an endpoint's name: small letters, digits, no provider of ours")
        return endpoints


_KNOWN_KEYS = defaultdict(
    lambda: list(Settings.model_fields),
    endpoints=list(Endpoint.model_fields),
    models=list(ModelOptions.model_fields),
)


def find_root(start: Path) -> Path | None:
    """The nearest folder at or above ``start`` with ``skillforge.toml``, ``skillforge.lock`` or ``.skillforge``."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / name).exists() for name in (SETTINGS_FILE, LOCK_FILE, STATE_FOLDER)):
            return folder
    return None


def read_settings(root: Path) -> Settings:
    """Settings of the repository at ``root``; defaults where there is no file.

    Raises ``SkillFileError`` for a file that is not TOML or holds unknown keys, ``UsageError`` for an unreadable one.
    """
    file = root / SETTINGS_FILE
    if not file.exists():
        return Settings()
    try:
        return Settings.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as exc:
        raise UsageError(f"{file} cannot be read: {exc.strerror}", hint="it must be a file of yours") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SkillFileError(str(file), [Problem(f"not TOML: {exc}")]) from exc
    except ValidationError as exc:
        problems = [
            _problem(item["type"], item["msg"], tuple(map(str, item["loc"]))) for item in exc.errors(include_url=False)
        ]
        raise SkillFileError(str(file), problems) from None  # a traceback of pydantic's error would quote the values


def database_path(root: Path) -> Path:
    """``SKILLFORGE_DB`` or ``.skillforge/registry.db`` of the repository."""
    named = os.environ.get(DATABASE_VARIABLE)
    return Path(named) if named else root / STATE_FOLDER / "registry.db"


def store_io(settings: Settings) -> StoreIO:
    """``SKILLFORGE_STORE_IO`` or the setting."""
    named = os.environ.get("SKILLFORGE_STORE_IO")
    if named is None:
        return settings.store_io
    if named not in get_args(StoreIO):
        raise UsageError(f"SKILLFORGE_STORE_IO is {named!r}", hint="set it to none, redacted or full")
    return cast(StoreIO, named)


def _problem(kind: str, message: str, place: tuple[str, ...]) -> Problem:
    field = ".".join(place)
    if kind == "extra_forbidden":
        table = place[0] if len(place) > 2 else ""
        hint = did_you_mean(place[-1], _KNOWN_KEYS[table], what="known keys")
        return Problem("unknown key", field=field, hint=hint)
    message = message.removeprefix("Value error, ")
    return Problem(message[:1].lower() + message[1:], field=field)
