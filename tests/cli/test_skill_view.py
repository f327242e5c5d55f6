"""What a person is shown of a workflow and of where it came from."""

from __future__ import annotations

from pathlib import Path

from skillforge.cli._skill_view import origin_lines, skill_lines
from skillforge.skillfile import read_skill

SKILLS = Path(__file__).parents[2] / "skills"


def test_every_step_of_a_workflow_is_shown_with_its_tool_or_its_words():
    skill = read_skill(SKILLS / "refund-request").skill
    shown = "\n".join(skill_lines(skill))
    for step in skill.steps:
        assert f". {step.id}: " in shown
        assert all(line.strip() in shown for line in step.instructions.strip().splitlines())
    assert "tool: refund_order (writes, idempotency key idempotency_key)" in shown
    assert "prompt:" not in shown


def test_a_prompt_skill_shows_its_instructions_prompt_and_examples():
    skill = read_skill(SKILLS / "ticket-triage").skill
    shown = "\n".join(skill_lines(skill))
    assert skill.instructions.strip() in shown
    assert "examples: " in shown
    assert "result:" not in shown


def test_what_came_from_tools_is_told_without_terminal_escapes():
    lines = list(
        origin_lines(
            {
                "untrusted": True,
                "author": "program",
                "traces": [f"t{n}" for n in range(7)],
                "from_tools": ["prompt: 'x\x1b[31m' from a result of get (t1)"],
                "examples_from": {"get_order": 3},
            }
        )
    )
    assert lines[0] == "untrusted: written from traces (t0, t1, t2, t3, t4 and 2 more) by program"
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "  its examples hold texts out of tool results: 3 from get_order"
    assert list(origin_lines({"author": "teacher"})) == []


def test_a_skill_of_a_teachers_own_loops_and_one_that_was_imported_say_where_they_are_from():
    assert list(origin_lines({"untrusted": True, "author": "teacher", "from_tools": [], "examples_from": {}})) == [
        "untrusted: written from its own traces by teacher"
    ]
    assert list(origin_lines({"source": "untrusted", "author": "import"})) == [
        "untrusted: written from what nobody here wrote by import"
    ]
