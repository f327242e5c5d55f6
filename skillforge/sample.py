"""A sample: one arm's answer to one eval case, addressed by what was asked."""

from __future__ import annotations

from typing import Literal

from skillforge.messages import Value
from skillforge.run import Run


class Sample(Value):
    """One measured run of an eval.

    ``key`` is the content address of what was asked, so that a resumed eval pays for nothing twice. ``status`` is
    ``error`` where no answer came (infrastructure: asked again on the next try), else ``ok``, right or wrong.
    ``created_at`` is UTC, ISO 8601.
    """

    key: str
    arm: str
    case_id: str
    status: Literal["ok", "error"]
    run: Run
    created_at: str = ""
