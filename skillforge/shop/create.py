"""``python -m skillforge.shop.create FILE``: a new shop."""

from __future__ import annotations

import sys
from pathlib import Path

from skillforge.errors import SkillforgeError
from skillforge.shop.database import DEFAULT_FILE, create


def main(arguments: list[str]) -> int:
    """Make the shop that is named, else ``shop.db``; the exit code."""
    try:
        made = create(Path(arguments[0] if arguments else DEFAULT_FILE))
    except SkillforgeError as exc:
        sys.stderr.write(f"error: {exc}\n  -> {exc.hint}\n")
        return 2
    sys.stdout.write(f"{made}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
