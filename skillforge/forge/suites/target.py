"""The files of a suite that is being made: where they go, and that nothing is replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.case import Case, Suite
from skillforge.errors import UsageError
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.labels import SUFFIX
from skillforge.remotefile import FILE_SCHEME, RemoteFile, locate
from skillforge.suitefile import SCHEMA_COMMENT
from skillforge.today import TodayAnswer, today_lines
from skillforge.yamlwriter import dump_yaml

TODAY_SUFFIX = ".today.jsonl"


class SuiteTarget:
    """The files of a new suite. Nothing that is there already is replaced: a suite is frozen."""

    def __init__(self, name: str, folder: Path, cases: Path | RemoteFile, today: Path | RemoteFile) -> None:
        self.name = name
        self.suite = folder / f"{name}.yaml"
        self.cases = cases
        self.today = today
        # beside the cases where a local file can be: an answer may quote them
        self._labels = cases.with_name(name + SUFFIX) if isinstance(cases, Path) else folder / (name + SUFFIX)

    @classmethod
    def of(cls, folder: Path, name: str, cases: str | None) -> SuiteTarget:
        """Raises ``UsageError`` where the suite exists or the URL is none that can be written to."""
        try:
            Suite(name=name, cases=())
        except ValueError as exc:
            raise UsageError(f"{name!r} is no suite's name", hint="small letters, digits, dashes: --name NAME") from exc
        if (folder / f"{name}.yaml").exists():
            raise UsageError(
                f"{EVALS_FOLDER}/{name}.yaml exists, and a suite is frozen: what was measured on it would change",
                hint="give the new one another name: --name NAME",
            )
        url = cases or f"{FILE_SCHEME}{name}.jsonl"
        if not url.endswith(".jsonl"):
            raise UsageError(f"--cases {url}: must end in .jsonl", hint=f"for example {url.rstrip('/')}/{name}.jsonl")
        return cls(name, folder, locate(url, folder), locate(url.removesuffix(".jsonl") + TODAY_SUFFIX, folder))

    @property
    def keys(self) -> dict[str, str]:
        """How the suite names its files."""
        return {"cases": self._url(self.cases), "today": self._url(self.today), "labels": self._url(self._labels)}

    def write(self, body: Mapping[str, Any], cases: Iterable[Case], answers: Iterable[TodayAnswer]) -> None:
        """The files first and the suite last: a suite that can be read is whole, whenever the process died."""
        text = dump_yaml(dict(body), header=SCHEMA_COMMENT).encode()
        lines = (case.model_dump(exclude_defaults=True) for case in cases)
        rows = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        files = [(self.cases, rows), (self.today, "".join(today_lines(answers)).encode())]
        for place, data in files:
            _refuse_other(place, data)
        for place, data in files:
            if isinstance(place, RemoteFile):
                place.write(data)
            else:
                replace_file(place, data)
        replace_file(self.suite, text)

    def _url(self, place: Path | RemoteFile) -> str:
        if isinstance(place, RemoteFile):
            return place.url
        folder = self.suite.parent.resolve()
        return FILE_SCHEME + (place.name if place.parent == folder else str(place))


def _refuse_other(place: Path | RemoteFile, data: bytes) -> None:
    """What an interrupted start left is the same and may stay; anything else is somebody's."""
    if not place.exists():
        return
    with place.open("rb") as handle:
        if handle.read(len(data) + 1) != data:
            raise UsageError(f"{place} exists already", hint="give another name with --name, or move it away")
