"""A row of a promptfoo CSV as a test: ``__expected``, ``__metric``, ``__threshold``, ``__metadata:KEY`` and vars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from skillforge.formats.promptfoo_assertions import Refused, assertion_of_cell
from skillforge.suggest import did_you_mean

_EXPECTED = re.compile(r"__expected(\d*)")
_CONFIG = re.compile(r"__config:__expected(\d*):threshold")
_METADATA = "__metadata:"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"(?<!\\),")
_OPTIONS = ("prefix", "suffix")
_KNOWN = ("__expected", "__metric", "__threshold", "__description", "__prefix", "__suffix", "__providerOutput")


def is_row(test: Any) -> bool:
    """Whether a mapping is a row of cells, as JSON files may hold them too."""
    return isinstance(test, Mapping) and any(isinstance(key, str) and _EXPECTED.fullmatch(key) for key in test)


def test_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The test a row describes. Raises ``Refused`` for a column that means nothing and a number that is none."""
    cells = {key.strip(): _cell(value) for key, value in row.items()}
    test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}, "options": {}}
    thresholds: dict[int, float] = {}
    for key, cell in cells.items():
        if _EXPECTED.fullmatch(key):
            if cell.strip():
                test["assert"].append(assertion_of_cell(cell.strip()))
        elif (found := _CONFIG.fullmatch(key)) is not None:
            thresholds[int(found[1] or 1) - 1] = _number(cell, key)
        elif key.startswith(_METADATA):
            _put_metadata(test["metadata"], key.removeprefix(_METADATA), cell)
        elif not key.startswith("__"):
            test["vars"][key] = cell
        elif key == "__threshold":
            test |= {"threshold": _number(cell, key)} if cell.strip() else {}
        elif key in ("__description", "__providerOutput"):
            test |= {key[2:]: cell} if cell else {}
        elif key[2:] in _OPTIONS:
            test["options"] |= {key[2:]: cell} if cell else {}
        elif key != "__metric":
            raise Refused(f"unknown column {key[:60]!r}", hint=did_you_mean(key, _KNOWN))
    for index, assertion in enumerate(test["assert"]):
        assertion |= {"metric": cells["__metric"]} if cells.get("__metric") else {}
        assertion |= {"threshold": thresholds[index]} if index in thresholds else {}
    return test


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(cell: str, column: str) -> float:
    if not _NUMBER.fullmatch(cell.strip()):
        raise Refused(f"{column}: {cell[:60]!r} is no number", hint="")
    return float(cell)


def _put_metadata(metadata: dict[str, Any], key: str, cell: str) -> None:
    if not cell.strip():
        return
    if key.endswith("[]"):
        metadata[key[:-2]] = [part.strip().replace("\\,", ",") for part in _COMMA.split(cell)]
    else:
        metadata[key] = cell
