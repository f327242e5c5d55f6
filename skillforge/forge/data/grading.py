"""The critic of a curation: a judge grades the answers that every other step let stay."""

from __future__ import annotations

from collections.abc import Sequence

from skillforge.case import ScorerSpec, Suite
from skillforge.errors import SkillforgeError
from skillforge.evals.judges.ask import Question, ask_judge
from skillforge.evals.judges.grades import score_of
from skillforge.evals.judges.question import Facts, question_digest, rubric_request
from skillforge.forge.judges import OVERALL
from skillforge.forge.measuring.judging import JudgementJournal
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.judgement import Judgement
from skillforge.providers.base import Provider
from skillforge.skill import Skill
from skillforge.students.data.critic import Critic
from skillforge.students.data.row import Row


async def critic_step(
    work: Workspace, session: Session, skill: Skill, suite: Suite, rows: Sequence[Row], model: str, least: float
) -> Critic | None:
    """The step with the grades of ``model``; without one, of the suite's own judge as far as they are stored: then
    nobody is asked. ``None`` where there is neither. The rubric is the suite's, else a general one.
    """
    spec = next((item for item in suite.scorers.values() if item.type == "rubric"), None)
    name = model or (spec.model if spec is not None else "") or suite.judge or ""
    if not name:
        return None
    spec = spec or ScorerSpec(type="rubric")
    if not spec.rubric.strip():
        spec = spec.model_copy(update={"rubric": OVERALL})
    try:
        judge = session.provider(name)
        questions = {row.digest: _question(judge, spec, name, skill, row) for row in rows}
    except SkillforgeError:
        if model:
            raise
        return None  # the suite's judge cannot be opened here: what it said cannot be found either
    said = await _said(work, session, skill, judge, list(questions.values()), ask=bool(model))
    grades = {
        row: 1 + 4 * score_of(found.grade)
        for row, question in questions.items()
        if (found := said.get(question.key)) is not None and found.status == "ok"
    }
    return Critic(grades, name, question_digest(spec, name), least) if grades else None


async def _said(
    work: Workspace, session: Session, skill: Skill, judge: Provider, questions: list[Question], *, ask: bool
) -> dict[str, Judgement]:
    if not ask:
        return work.judgements.known(question.key for question in questions)
    journal = JudgementJournal(work, session, skill.name)
    return await ask_judge(judge, {question.key: question for question in questions}, journal)


def _question(judge: Provider, spec: ScorerSpec, name: str, skill: Skill, row: Row) -> Question:
    facts = Facts(skill.task_sentence, row.input, row.expected)
    return Question.of(judge, question_digest(spec, name), "rubric", rubric_request(spec, facts, row.output))
