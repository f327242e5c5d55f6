"""The files of a suite that a teacher's roles made: written once, in one order, never over anybody's work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.case import Case
from skillforge.errors import UsageError
from skillforge.labels import SUFFIX
from skillforge.remotefile import FILE_SCHEME
from skillforge.suitefile import SCHEMA_COMMENT, SUITE_SCHEMA
from skillforge.yamlwriter import dump_yaml


def freeze(folder: Path, name: str, settings: Mapping[str, Any], cases: Iterable[Case]) -> Path:
    """Write ``<name>.jsonl`` and then ``<name>.yaml``, so that a suite that can be read is whole. What an interrupted
    start left there is the same and may stay. Raises ``UsageError`` where something else stands there.
    """
    body = {
        "schema": SUITE_SCHEMA,
        "name": name,
        **settings,
        "cases": f"{FILE_SCHEME}{name}.jsonl",
        "labels": f"{FILE_SCHEME}{name}{SUFFIX}",
    }
    lines = (json.dumps(case.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n" for case in cases)
    files = {
        folder / f"{name}.jsonl": "".join(lines).encode("utf-8", "backslashreplace"),
        folder / f"{name}.yaml": dump_yaml(body, header=SCHEMA_COMMENT).encode(),
    }
    for path, data in files.items():
        if path.exists() and path.read_bytes() != data:
            raise UsageError(
                f"{path} exists and holds something else: a suite is frozen, what was measured on it would change",
                hint="give the new one another name with --name, or move that file away",
            )
    for path, data in files.items():
        replace_file(path, data)
    return folder / f"{name}.yaml"
