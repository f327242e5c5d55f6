"""The verdict on recorded outputs: the figures of an eval, checked against scipy and statsmodels."""

from __future__ import annotations

import json
import random

import pytest

import skillforge
from skillforge.errors import NotFound, UsageError
from skillforge.evals.recorded.agreement import agreement
from skillforge.evals.recorded.compare import compare

STABLE = {
    "schema", "n", "teacher", "student", "diff", "bound", "interval", "margin", "lost", "gained", "lost_cases",
    "gained_cases", "mcnemar_p", "p", "verdict", "reason", "cases_needed", "kappa", "agreement", "method", "saving",
    "students", "groups", "missing", "notes",
}  # fmt: skip


def rows_of(both: int, lost: int, gained: int, neither: int = 0, **more: object) -> list[dict[str, object]]:
    """Lines of which so many are right for both, for the teacher alone, for the student alone, for nobody."""
    marks = [(1, 1)] * both + [(1, 0)] * lost + [(0, 1)] * gained + [(0, 0)] * neither
    return [
        {"id": f"c{number}", "expected": "yes", "teacher": ["no", "yes"][t], "student": ["no", "yes"][s], **more}
        for number, (t, s) in enumerate(marks)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_statsmodels(seed):
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.inter_rater import cohens_kappa
    from statsmodels.stats.proportion import proportion_confint

    rng = random.Random(seed)
    both, lost, gained, neither = rng.randint(50, 300), rng.randint(1, 40), rng.randint(1, 40), rng.randint(5, 30)
    found = compare(rows_of(both, lost, gained, neither)).document()
    n = both + lost + gained + neither
    assert (found["n"], found["lost"], found["gained"]) == (n, lost, gained)
    assert found["teacher"]["mean"] == pytest.approx((both + lost) / n)
    assert found["student"]["mean"] == pytest.approx((both + gained) / n)
    assert found["diff"] == pytest.approx((gained - lost) / n)
    assert found["student"]["interval"] == pytest.approx(proportion_confint(both + gained, n, method="wilson"))
    assert found["mcnemar_p"] == pytest.approx(mcnemar([[both, lost], [gained, neither]], exact=True).pvalue)
    kappa = cohens_kappa([[both, lost], [gained, neither]])
    of_both = found["agreement"]["kappa"]
    assert [of_both[key] for key in ("value", "low", "high")] == pytest.approx(
        [kappa.kappa, kappa.kappa_low, kappa.kappa_upp]
    )
    assert found["agreement"]["share"] == pytest.approx((both + neither) / n)


@pytest.mark.parametrize(
    ("rows", "verdict", "cases_needed"),
    [
        (rows_of(300, 3, 3), "pass", False),
        (rows_of(200, 60, 5), "fail", False),
        (rows_of(40, 2, 2), "inconclusive", True),
    ],
)
def test_the_verdict_follows_from_the_bound_and_the_margin(rows, verdict, cases_needed):
    compared = compare(rows)
    found = compared.document()
    assert compared.verdict == found["verdict"] == verdict
    assert (found["cases_needed"] is not None) is cases_needed
    assert found["interval"] == [found["bound"], found["bound_high"]]
    assert (found["bound"] > -found["margin"]) is (verdict == "pass")
    assert (found["bound_high"] < -found["margin"]) is (verdict == "fail")


def test_the_document_is_flat_stable_and_json():
    found = compare(rows_of(60, 2, 1), margin=0.03).document()
    assert found.keys() >= STABLE
    assert (found["schema"], found["margin"], found["method"]) == ("skillforge/compare/v1", 0.03, "tango")
    assert found["lost_cases"] == ["c60", "c61"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_public_face_has_it():
    assert skillforge.compare(rows_of(300, 1, 1)).verdict == "pass"


def test_without_labels_there_is_agreement_and_no_verdict():
    rows = [{"teacher": "a", "student": "a" if number % 10 else "b"} for number in range(400)]
    found = compare(rows).document()
    assert (found["reference"], found["verdict"]) == ("teacher", "inconclusive")
    assert "agreement" in found["reason"]
    assert (found["teacher"]["mean"], found["diff"], found["bound"]) == (None, None, None)
    assert found["agreement"]["share"] == found["student"]["mean"] == 0.9


def test_without_labels_the_teachers_second_answers_are_what_to_reach():
    rows = [
        {"teacher": "a", "teacher2": "ab"[number % 10 == 0], "student": "ab"[number % 11 == 0]} for number in range(600)
    ]
    found = compare(rows).document()
    assert (found["reference"], found["second_pass"], found["verdict"]) == ("teacher", True, "pass")
    assert found["teacher"]["mean"] == pytest.approx(0.9)
    assert [student["student"]["name"] for student in found["students"]] == ["student"]


def test_an_error_is_no_wrong_answer_and_too_many_hold_the_verdict_back():
    rows = rows_of(300, 0, 0)
    rows[0]["student"] = None
    few = compare(rows).document()
    assert (few["verdict"], few["n"], few["student"]["errors"], few["student"]["mean"]) == ("pass", 299, 1, 1.0)
    for row in rows[:30]:
        row["student"] = None
    many = compare(rows).document()
    assert (many["verdict"], many["cases_needed"]) == ("inconclusive", None)
    assert "infrastructure errors" in many["reason"]


def test_a_student_that_is_missing_on_many_cases_gets_no_verdict_unless_asked_for_the_rest(tmp_path):
    teacher = [{"id": str(n), "output": "x", "expected": "x"} for n in range(400)]
    student = teacher[:300]
    held = compare(teacher, student)
    assert held.verdict == "inconclusive"
    assert len(held.document()["missing_cases"]["lines 2"]) == 100
    rest = compare(teacher, student, common=True)
    assert (rest.verdict, rest.missing) == ("pass", {})
    assert "100 cases are left out" in rest.notes[0]
    with pytest.raises(UsageError, match="no id has an answer of every model"):
        compare(teacher[:9], teacher[:1], teacher[1:9], common=True)


def test_files_whose_ids_are_not_of_one_kind_are_refused(tmp_path):
    (tmp_path / "opus.jsonl").write_text('{"id": "x1", "output": "a", "expected": "a"}\n', "utf-8")
    (tmp_path / "luna.jsonl").write_text('{"id": "1", "output": "a"}\n', "utf-8")
    with pytest.raises(UsageError, match="no id of opus stands in luna: are these the same cases") as caught:
        compare(tmp_path / "opus.jsonl", tmp_path / "luna.jsonl")
    assert "'x1'" in caught.value.hint
    assert "--id FIELD" in caught.value.hint


def test_one_file_of_one_models_outputs_lacks_a_second_one():
    with pytest.raises(UsageError, match=r"one output a line \('output'\).*a second file is missing"):
        compare([{"id": "1", "output": "a", "expected": "a"}])


def test_the_first_pass_says_what_the_teacher_costs_where_the_second_does_not():
    one = {"teacher": "a", "student": "a", "cost": {"teacher": 0.02, "student": 0.001}}
    found = compare([{**one, "teacher2": "ab"[number % 20 == 0]} for number in range(100)]).document()
    assert found["second_pass"]
    assert found["teacher"]["usd_per_1000"] == pytest.approx(20)
    assert found["saving"] == pytest.approx(0.95)


def test_the_fields_of_a_text_are_those_the_pointer_looks_into():
    rows = [{"expected": {"k": "a"}, "teacher": {"k": "a"}, "student": '{"k": "a"}'} for _ in range(60)]
    found = compare(rows, scorer="/k").document()
    assert (found["student"]["mean"], found["student"]["parts"]) == (1, {"k": 1})


def test_cases_without_a_label_among_others_are_counted_and_not_scored():
    rows = rows_of(300, 1, 1)
    rows += [{"id": f"u{n}", "teacher": "a", "student": "b"} for n in range(7)]
    compared = compare(rows)
    assert (compared.unlabelled, compared.document()["n"]) == (7, 302)


def test_clusters_make_the_interval_wider():
    rows = rows_of(200, 12, 6)
    alone = compare(rows).document()
    for row in rows:
        row["cluster"] = int(str(row["id"])[1:]) // 6
    grouped = compare(rows).document()
    assert (alone["method"], grouped["method"]) == ("tango", "cluster-t")
    assert grouped["clusters"] == 37
    assert grouped["bound"] < alone["bound"]


def test_of_several_students_the_best_verdict_stands_on_top():
    rows = [
        {"id": str(n), "expected": 1, "teacher": 1, "students": {"weak": int(n % 3 > 0), "strong": 1}}
        for n in range(200)
    ]
    compared = compare(rows)
    found = compared.document()
    assert (compared.verdict, found["student"]["name"]) == ("pass", "strong")
    assert {item["student"]["name"]: item["verdict"] for item in found["students"]} == {
        "weak": "fail",
        "strong": "pass",
    }
    assert all(item["adjusted"] for item in found["students"])
    assert compared.document("weak")["verdict"] == "fail"
    with pytest.raises(UsageError, match="no student 'none'"):
        compared.document("none")


def test_groups_get_the_verdict_of_their_own_cases_and_a_pass_among_many_is_holms():
    easy = [{**row, "lang": f"l{n % 20}"} for n, row in enumerate(rows_of(1200, 0, 0))]
    hard = [{**row, "id": f"h{row['id']}", "lang": "hard"} for row in rows_of(40, 25, 0)]
    compared = compare([*easy, *hard], by="lang")
    groups = {group.name: group for group in compared.groups}
    assert len(groups) == 21
    alone = compare([row for row in easy if row["lang"] == "l3"])
    assert groups["l3"].alone == {"student": alone.verdict} == {"student": "pass"}
    verdicts = {name: group.arms[1].versus_teacher.verdict for name, group in groups.items()}
    assert verdicts["l3"] == "inconclusive"  # 60 cases prove it of one language, not of 20 at once
    assert verdicts["hard"] == "fail"
    assert sum(group["cases"] for group in compared.document()["groups"]) == len(easy) + len(hard)


def test_a_group_of_lines_without_the_field_is_a_group(tmp_path):
    rows = rows_of(4, 0, 0)
    rows[0]["lang"] = "en"
    assert [(group.name, group.cases) for group in compare(rows, by="lang").groups] == [("en", 1), ("none", 3)]


def test_a_group_a_case_is_no_grouping():
    with pytest.raises(UsageError, match="1,001 groups"):
        compare(rows_of(1001, 0, 0), by="id")


def test_costs_and_further_conditions_are_judged_as_in_an_eval():
    rows = rows_of(300, 1, 1, cost={"teacher": 0.01, "student": 0.001}, latency={"teacher": 1, "student": 3})
    found = compare(rows).document()
    assert found["saving"] == pytest.approx(0.9)
    assert found["student"]["usd_per_1000"] == pytest.approx(1)
    assert compare(rows, max_cost_per_1k=0.5).verdict == "fail"
    slow = compare(rows, max_p95_ms=1000).document()
    assert (slow["verdict"], slow["reason"]) == ("fail", "p95 latency is 3,000 ms, more than 1,000 ms")
    assert compare(rows_of(300, 1, 1), max_cost_per_1k=5).verdict == "inconclusive"
    assert compare(rows, min_quality=0.999).verdict == "inconclusive"


@pytest.mark.parametrize("wishes", [{"margin": 2}, {"alpha": 0.9}, {"mode": "fast"}, {"min_quality": -1}])
def test_a_rule_that_cannot_be_names_its_flag(wishes):
    (flag,) = wishes
    with pytest.raises(UsageError, match=f"--{flag.replace('_', '-')} "):
        compare(rows_of(3, 0, 0), **wishes)


def test_a_scorer_is_named_or_a_function():
    rows = [{"expected": "Yes", "teacher": "yes.", "student": "YES"} for _ in range(100)]
    assert compare(rows).document()["teacher"]["mean"] == 0
    assert compare(rows, scorer="normalized").document()["student"]["mean"] == 1

    def starts(output, expected):
        return output[0].lower() == expected[0].lower()

    assert compare(rows, scorer=starts).document()["scorer"] == "starts"
    with pytest.raises(UsageError, match="unknown"):
        compare(rows, scorer="exakt")


@pytest.mark.parametrize(
    ("student", "wishes", "says"),
    [
        (["Billing.", "bug!"], {}, "but for case, space or punctuation: try --scorer normalized"),
        ([{"a": "billing"}, '{"a": "bug"}'], {}, ""),
        ('{"k": "%s"}', {}, "but for being text that holds JSON: try --parse"),
        ('Sure! {"k": "%s."}', {}, "and being text that holds JSON: try --parse --scorer normalized"),
        ('```{"k": "%s"}```', {"scorer": "/k"}, "try --parse"),
        ('{"k": "%s."}', {"scorer": "/k"}, '--scorer \'{"type": "normalized", "path": "/k"}\''),
        ('{"k": "%s"}', {"parse": True}, ""),
    ],
)
def test_wrong_answers_that_are_right_but_for_their_form_are_told_of(student, wishes, says):
    kinds = ["billing", "bug"]
    objects = isinstance(student, str)
    rows = []
    for number in range(60):
        kind = kinds[number % 2]
        label = {"k": kind} if objects else kind
        said = student % kind if objects else student[number % 2]
        rows.append({"expected": label, "teacher": label, "student": said})
    notes = compare(rows, **wishes).notes
    if says:
        assert notes[0].startswith("60 of the 60 wrong answers of student are right but for ")
        assert says in notes[0]
    else:
        assert notes == ()


def test_a_teacher_whose_form_is_not_that_of_the_labels_is_told_of_too():
    rows = [{"expected": "bug", "teacher": "Bug", "student": "bug"} for _ in range(60)]
    assert compare(rows).notes[0].startswith("60 of the 60 wrong answers of teacher are right but for case")


def test_without_labels_a_text_is_held_against_the_teachers_object():
    rows = [{"teacher": '{"a": 1}', "student": {"a": 1}} for _ in range(60)]
    assert "60 wrong answers of student are right but for being text" in compare(rows).notes[0]


def test_answers_that_are_wrong_indeed_and_a_handful_of_others_are_not_spoken_of():
    assert compare(rows_of(10, 50, 0)).notes == ()
    assert compare([{"expected": "a", "teacher": "a", "student": "A"} for _ in range(2)]).notes == ()


def test_no_more_than_so_many_wrong_answers_are_looked_at():
    rows = [{"expected": "a", "teacher": "a", "student": "A"} for _ in range(700)]
    assert compare(rows).notes[0].startswith("500 of the first 500 wrong answers of student")


def test_a_pointer_looks_at_one_place_for_the_score_and_for_agreement():
    rows = [
        {"expected": {"q": "a", "r": n}, "teacher": {"q": "a", "r": 0}, "student": {"q": "a", "r": -n}}
        for n in range(80)
    ]
    found = compare(rows, scorer="/q").document()
    assert (found["student"]["mean"], found["agreement"]["share"]) == (1, 1)


def test_a_judge_is_refused_since_no_model_is_called():
    with pytest.raises(UsageError, match="asks a judge, and compare calls no model"):
        compare(rows_of(3, 0, 0), scorer='{"type": "rubric", "rubric": "polite", "model": "openai:gpt-6"}')


def test_objects_are_taken_out_of_texts_when_asked_for():
    rows = [
        {"expected": {"a": 1}, "teacher": '```json\n{"a": 1}\n```', "student": 'Sure: {"a": 1}'} for _ in range(100)
    ]
    assert compare(rows).document()["teacher"]["mean"] == 0
    assert compare(rows, parse=True).verdict == "pass"


def test_a_suite_gives_labels_rule_and_scorers_by_id(tmp_path):
    cases = [{"id": f"c{n}", "input": {"text": str(n)}, "expected": {"q": "yes"}} for n in range(120)]
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "schema: skillforge/suite/v1\nname: triage\ndecision: {metric: /q, margin: 0.1}\n"
        f"cases: {json.dumps(cases)}\n",
        "utf-8",
    )
    rows = [{"id": f"c{n}", "teacher": {"q": "yes"}, "student": {"q": "yes"}} for n in range(110)]
    rows += [{"id": "strange", "teacher": {}, "student": {}}]
    compared = compare(rows, suite=suite)
    found = compared.document()
    assert (found["verdict"], found["margin"], found["scorer"], found["n"]) == ("pass", 0.1, "/q", 110)
    assert compared.report.suite == "triage"
    assert compared.cases[0].input == {"text": "0"}
    assert len(compared.notes) == 2
    assert compare(rows, suite=suite, margin=0.02).verdict == "inconclusive"
    with pytest.raises(UsageError, match="no id is one of the suite triage"):
        compare(rows[-1:], suite=suite)
    with pytest.raises(NotFound):
        compare(rows, suite=tmp_path / "none.yaml")


def test_a_sequential_rule_bets():
    found = compare(rows_of(900, 5, 5), mode="sequential").document()
    assert (found["method"], found["verdict"]) == ("betting", "pass")


def test_the_order_of_lines_changes_nothing():
    rows = rows_of(150, 9, 4, 6)
    mixed = random.Random(3).sample(rows, len(rows))
    one, other = (compare(lines).document() for lines in (rows, mixed))
    for found in (one, other):
        found["lost_cases"].sort(), found["gained_cases"].sort()
    assert {key: one[key] for key in ("diff", "bound", "p", "lost", "verdict")} == {
        key: other[key] for key in ("diff", "bound", "p", "lost", "verdict")
    }


def test_what_was_read_has_a_digest(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"teacher": 1, "student": 1}\n', "utf-8")
    first = compare(path).report.digest
    path.write_text('{"teacher": 1, "student": 2}\n', "utf-8")
    assert first.startswith("sha256:")
    assert compare(path).report.digest != first


def test_every_case_has_its_row_for_the_pages():
    rows = list(compare(rows_of(2, 1, 0, input="a text")).rows())
    assert [(row.id, row.input, row.cells["student"].score) for row in rows] == [
        ("c0", {"input": "a text"}, 1.0),
        ("c1", {"input": "a text"}, 1.0),
        ("c2", {"input": "a text"}, 0.0),
    ]


def test_kappa_is_told_of_labels_only():
    labels = {str(n): "abc"[n % 3] for n in range(30)}
    assert agreement(labels, labels).kappa.value == 1
    texts = {str(n): f"text {n}" for n in range(60)}
    assert agreement(texts, texts).kappa is None
    objects = {"1": {"a": 1}}
    assert (agreement(objects, objects).share, agreement(objects, objects).kappa) == (1, None)
    assert agreement({}, {}).share is None


def test_one_is_one_point_nought_and_not_true():
    assert agreement({"a": 1}, {"a": 1.0}).share == 1
    assert agreement({"a": 1}, {"a": True}).share == 0
