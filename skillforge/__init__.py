"""skillforge: a strong model writes down how, cheap models do it, and a harness proves whether they match.

Everything public is listed in ``__all__`` and loaded on first use: ``import skillforge`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skillforge.version import __version__

if TYPE_CHECKING:
    from skillforge.call import Call as Call
    from skillforge.capture.context import tagged as tagged
    from skillforge.case import Case as Case
    from skillforge.case import Decision as Decision
    from skillforge.case import Suite as Suite
    from skillforge.errors import BudgetReached as BudgetReached
    from skillforge.errors import Halt as Halt
    from skillforge.errors import InvalidInput as InvalidInput
    from skillforge.errors import NotFound as NotFound
    from skillforge.errors import NotPromoted as NotPromoted
    from skillforge.errors import PromotionRefused as PromotionRefused
    from skillforge.errors import ProviderError as ProviderError
    from skillforge.errors import SkillFileError as SkillFileError
    from skillforge.errors import SkillforgeError as SkillforgeError
    from skillforge.errors import TeacherError as TeacherError
    from skillforge.errors import UsageError as UsageError
    from skillforge.evals.recorded.compare import compare as compare
    from skillforge.evals.recorded.compared import Compared as Compared
    from skillforge.evals.report import EvalReport as EvalReport
    from skillforge.forge.doctor import Diagnosis as Diagnosis
    from skillforge.forge.forge import BoundSkill as BoundSkill
    from skillforge.forge.forge import Forge as Forge
    from skillforge.forge.making.create import Created as Created
    from skillforge.forge.making.estimate import Estimate as Estimate
    from skillforge.forge.session import Terms as Terms
    from skillforge.providers.replay import Replay as Replay
    from skillforge.providers.scripted import Scripted as Scripted
    from skillforge.run import Attempt as Attempt
    from skillforge.run import CheckResult as CheckResult
    from skillforge.run import Run as Run
    from skillforge.skill import Check as Check
    from skillforge.skill import Example as Example
    from skillforge.skill import Skill as Skill
    from skillforge.tools.mark import tool as tool
    from skillforge.trace import Trace as Trace

_WHERE = {
    "Attempt": "run",
    "BoundSkill": "forge.forge",
    "BudgetReached": "errors",
    "Call": "call",
    "Case": "case",
    "Check": "skill",
    "CheckResult": "run",
    "Compared": "evals.recorded.compared",
    "Created": "forge.making.create",
    "Decision": "case",
    "Diagnosis": "forge.doctor",
    "Estimate": "forge.making.estimate",
    "EvalReport": "evals.report",
    "Example": "skill",
    "Forge": "forge.forge",
    "Halt": "errors",
    "InvalidInput": "errors",
    "NotFound": "errors",
    "NotPromoted": "errors",
    "PromotionRefused": "errors",
    "ProviderError": "errors",
    "Replay": "providers.replay",
    "Run": "run",
    "Scripted": "providers.scripted",
    "Skill": "skill",
    "SkillFileError": "errors",
    "SkillforgeError": "errors",
    "Suite": "case",
    "TeacherError": "errors",
    "Terms": "forge.session",
    "Trace": "trace",
    "UsageError": "errors",
    "compare": "evals.recorded.compare",
    "tagged": "capture.context",
    "tool": "tools.mark",
}

__all__ = [*_WHERE, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"skillforge.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'skillforge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
