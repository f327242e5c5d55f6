"""Where the suites of a repository keep their lines: in it, elsewhere on this machine, or in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skillforge.errors import SkillforgeError
from skillforge.remotefile import RemoteFile, locate
from skillforge.yamlfile import load_yaml

_KEYS = ("cases", "today", "recorded", "labels")


@dataclass(frozen=True, slots=True)
class SuitePlaces:
    """``files`` maps a local file to the name of the suite that names it, ``stores`` lists URLs in object stores."""

    files: dict[Path, str]
    stores: tuple[str, ...]


def suite_places(folder: Path) -> SuitePlaces:
    """The places that the suites in ``folder`` name. A suite that cannot be read names none."""
    files: dict[Path, str] = {}
    stores: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            body = load_yaml(path.read_bytes(), path=str(path)).value
        except (SkillforgeError, OSError):
            continue
        named = [body.get(key) for key in _KEYS] if isinstance(body, dict) else []
        for url in named:
            try:
                place = locate(url, path.parent) if isinstance(url, str) else None
            except SkillforgeError:
                continue
            if isinstance(place, RemoteFile):
                stores.append(place.url)
            elif place is not None:
                files[place] = path.stem
    return SuitePlaces(files, tuple(dict.fromkeys(stores)))
