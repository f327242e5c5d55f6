"""What it took to make a skill: solved inputs, drafts and measurements, as far as this registry knows."""

from __future__ import annotations

from skillforge.errors import NotFound
from skillforge.forge.workspace import Workspace
from skillforge.store.spending import Spending


def made_usd(work: Workspace, skill: str) -> float | None:
    """US dollars of creating and measuring a skill so far; ``None`` where that is not known.

    It is not for a skill that no teacher wrote here: what writing it took elsewhere stands in no row.
    """
    try:
        versions = work.registry.versions(skill)
    except NotFound:  # every version of it is gone
        return None
    drafts = [
        version.provenance.get("cost_usd") for version in versions if version.provenance.get("author") == "teacher"
    ]
    if not drafts or None in drafts:
        return None
    known, unknown = Spending(work.database).made(skill)
    return None if unknown else known + sum(usd or 0.0 for usd in drafts)
