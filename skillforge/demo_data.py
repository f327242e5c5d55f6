"""The demos' data: the suite of ``ticket-queue`` and its recorded teacher, the workflows and theirs, as they stand in
``skills/`` and ``evals/``.

The wheel carries those files (``skillforge/_demo``); in a checkout they are read where they are: no second copy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from skillforge.errors import NotFound

DEMO = "ticket-queue"
ENDINGS = (".yaml", ".jsonl", ".teacher.jsonl", ".task.txt")

WORKFLOWS = ("refund-request", "order-status-reply", "invoice-to-ledger")


def demo_source(name: str = DEMO) -> Path:
    """The folder that holds the files of a suite. Raises ``NotFound`` for a broken installation."""
    package = Path(__file__).parent
    for folder in (package / "_demo", package.parent / "evals"):
        if all((folder / f"{name}{ending}").is_file() for ending in ENDINGS):
            return folder
    raise NotFound("the demo's data is missing from this installation", hint="pip install --force-reinstall it")


def copy_demo(folder: Path, name: str = DEMO) -> Path:
    """Make ``folder`` a small repository with a suite of the demo's in ``evals/``; returns the suite's path."""
    evals = folder / "evals"
    evals.mkdir(parents=True, exist_ok=True)
    (folder / ".skillforge").mkdir(exist_ok=True)
    for ending in ENDINGS:
        shutil.copyfile(demo_source(name) / f"{name}{ending}", evals / f"{name}{ending}")
    return evals / f"{name}.yaml"


def copy_workflow_demo(folder: Path) -> None:
    """Put the shipped workflows and their suites into ``folder``: those of the wheel, or of the checkout.

    Raises ``NotFound`` for a broken installation.
    """
    package = Path(__file__).parent
    for base in (package / "_demo", package.parent):
        if all((base / "skills" / name).is_dir() for name in WORKFLOWS):
            break
    else:
        raise NotFound(
            "the demo's workflows are missing from this installation", hint="pip install --force-reinstall it"
        )
    (folder / "evals").mkdir(parents=True, exist_ok=True)
    for name in WORKFLOWS:
        shutil.copytree(base / "skills" / name, folder / "skills" / name, dirs_exist_ok=True)
        for ending in (".yaml", ".jsonl", ".teacher.jsonl"):
            shutil.copyfile(base / "evals" / f"{name}{ending}", folder / "evals" / f"{name}{ending}")


def demo_task(name: str = DEMO) -> str:
    """The task sentence the recorded teacher was given."""
    return (demo_source(name) / f"{name}.task.txt").read_text("utf-8").strip()
