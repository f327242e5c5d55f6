"""Training files: what is written is taken by its target's rules and by reference parsers; what is broken is not."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from skillforge.errors import NotFound, UsageError
from skillforge.formats.finetune import checking
from skillforge.formats.finetune.example import TrainingExample
from skillforge.formats.finetune.formats import FORMATS, format_named, format_of
from skillforge.formats.finetune.labels_csv import is_formula, safe_cell

JSONL = [name for name, target in FORMATS.items() if target.suffix == "jsonl"]
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


def example(number: int = 0, **changes: Any) -> TrainingExample:
    made: dict[str, Any] = {
        "id": f"c{number}",
        "system": "Sort the ticket.",
        "turns": (("user", f"charged {number}"),),
        "answer": '{"queue": "billing"}',
        "rejected": '{"queue": "bug"}',
        "text": f"charged {number}",
        "labels": {"queue": ("billing", "bug")[number % 2]},
    }
    return TrainingExample(**{**made, **changes})


def written(folder: Path, name: str, examples: list[TrainingExample]) -> Path:
    target = FORMATS[name]
    path = folder / target.file_name("train")
    path.write_text("".join(target.lines(examples)), encoding="utf-8", newline="")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def saved(folder: Path, *lines: Any) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_accepted(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, [example(number) for number in range(100)])
    found = FORMATS[name].check(path, "train")
    assert (found.rows, found.problems) == (100, ())
    assert format_of(path) is FORMATS[name]


@pytest.mark.parametrize("name", ["openai", "trl", "dpo", "openai-dpo"])
def test_messages_are_those_of_the_sdk(tmp_path: Path, name: str) -> None:
    messages = TypeAdapter(list[ChatCompletionMessageParam])
    shown = example(turns=(("user", "a"), ("assistant", "b"), ("user", "c")))
    for row in rows(written(tmp_path, name, [shown])):
        for value in (row.get("messages"), row.get("prompt"), row.get("input", {}).get("messages")):
            if value is not None:
                messages.validate_python(value)


def test_the_bedrock_record_is_the_one_of_the_documentation(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, "bedrock", [example()]))
    assert row == {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "Sort the ticket."}],
        "messages": [
            {"role": "user", "content": [{"text": "charged 0"}]},
            {"role": "assistant", "content": [{"text": '{"queue": "billing"}'}]},
        ],
    }


def test_the_claude_record_has_its_system_apart_and_none_where_there_is_none(tmp_path: Path) -> None:
    first, second = rows(written(tmp_path, "anthropic", [example(), example(system="")]))
    assert first["system"] == "Sort the ticket."
    assert "system" not in second
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]


def test_pairs_hold_the_teacher_chosen_and_the_student_rejected(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, "dpo", [example()]))
    assert row["chosen"] == [{"role": "assistant", "content": '{"queue": "billing"}'}]
    assert row["rejected"] == [{"role": "assistant", "content": '{"queue": "bug"}'}]
    assert row["prompt"][-1]["role"] == "user"
    (row,) = rows(written(tmp_path, "openai-dpo", [example()]))
    assert list(row) == ["input", "preferred_output", "non_preferred_output"]


SAYS = {"role": "user", "content": "hi"}
ANSWERS = {"role": "assistant", "content": "yes"}
GOOD = {"messages": [SAYS, ANSWERS]}
TEXTS = {"role": "user", "content": [{"text": "hi"}]}
ANSWER_TEXTS = {"role": "assistant", "content": [{"text": "yes"}]}
BEDROCK = {"schemaVersion": "bedrock-conversation-2024", "messages": [TEXTS, ANSWER_TEXTS]}
PAIR = {"prompt": [SAYS], "chosen": [ANSWERS], "rejected": [{"role": "assistant", "content": "no"}]}
OPENAI_PAIR = {
    "input": {"messages": [SAYS]},
    "preferred_output": [ANSWERS],
    "non_preferred_output": [{"role": "assistant", "content": "no"}],
}
BROKEN: list[tuple[str, Any, str]] = [
    ("openai", {"prompt": "a", "completion": "b"}, "the key 'prompt'"),
    ("openai", {"messages": []}, "not empty"),
    ("openai", {"messages": [{**SAYS, "role": "robot"}, ANSWERS]}, "the role 'robot'"),
    ("openai", {"messages": [{**SAYS, "content": " "}, ANSWERS]}, "content must be a text"),
    ("openai", {"messages": [SAYS]}, "last message must be the assistant's"),
    ("openai", {"messages": [SAYS, {**ANSWERS, "weight": 2}]}, "weight must be 0 or 1"),
    ("openai", {"messages": [SAYS, {**ANSWERS, "weight": True}]}, "weight must be 0 or 1"),
    ("openai", {"messages": [{**SAYS, "weight": 1}, ANSWERS]}, "only an assistant's message"),
    ("openai", {"messages": [SAYS, {**ANSWERS, "weight": 0}]}, "nothing is learned"),
    ("openai", {"messages": [SAYS, {**ANSWERS, "mood": "good"}]}, "the key 'mood'"),
    ("openai", {"messages": [{**SAYS, "content": "x" * 300_000}, ANSWERS]}, "cut off at 65,536"),
    ("anthropic", {**GOOD, "id": 1}, "the key 'id'"),
    ("anthropic", {**GOOD, "system": ""}, "must be a text, or left out"),
    ("anthropic", {"messages": [{"role": "system", "content": "x"}, SAYS, ANSWERS]}, "the role 'system'"),
    ("anthropic", {"messages": [ANSWERS, SAYS]}, "first turn must be the user's"),
    ("anthropic", {"messages": [SAYS, SAYS, ANSWERS]}, "take turns"),
    ("anthropic", {"messages": [SAYS, ANSWERS, SAYS]}, "last message"),
    ("bedrock", {**BEDROCK, "schemaVersion": "bedrock-conversion-2024"}, "bedrock-conversation-2024"),
    ("bedrock", {**BEDROCK, "system": "text"}, 'a list such as [{"text": "…"}]'),
    ("bedrock", {**BEDROCK, "messages": [SAYS, ANSWERS]}, 'a list such as [{"text": "…"}]'),
    (
        "bedrock",
        {**BEDROCK, "messages": [{**TEXTS, "content": [{"text": "x Assistant: y"}]}, ANSWER_TEXTS]},
        "reserved",
    ),
    ("bedrock", {**BEDROCK, "messages": [{**TEXTS, "content": [{"image": {}}]}, ANSWER_TEXTS]}, "every block"),
    ("bedrock", {**BEDROCK, "toolConfig": {}}, "the key 'toolConfig'"),
    ("trl", {"messages": [SAYS, {"role": "system", "content": "x"}, ANSWERS]}, "take turns"),
    ("trl", {"messages": [SAYS, {**ANSWERS, "weight": 1}]}, "the key 'weight'"),
    ("trl", {"text": "hi"}, "must be a list of messages"),
    ("dpo", {**PAIR, "rejected": [ANSWERS]}, "both sides are the same"),
    ("dpo", {**PAIR, "prompt": [SAYS, ANSWERS]}, "last message must be the user's"),
    ("dpo", {**PAIR, "chosen": "yes"}, "must be a list of messages"),
    ("openai-dpo", {**OPENAI_PAIR, "preferred_output": [SAYS]}, "the role 'user'"),
    ("openai-dpo", {**OPENAI_PAIR, "preferred_output": [ANSWERS, ANSWERS]}, "must be one message"),
    ("openai-dpo", {**OPENAI_PAIR, "input": {"messages": [SAYS, ANSWERS]}}, "must not end"),
    ("openai-dpo", {**OPENAI_PAIR, "input": [SAYS]}, "must hold messages"),
    ("openai-dpo", {**OPENAI_PAIR, "score": 1}, "the key 'score'"),
]


@pytest.mark.parametrize(("name", "row", "said"), BROKEN, ids=[f"{name}-{said}" for name, _, said in BROKEN])
def test_a_broken_row_is_refused_with_its_line(tmp_path: Path, name: str, row: Any, said: str) -> None:
    good = {"bedrock": BEDROCK, "dpo": PAIR, "openai-dpo": OPENAI_PAIR}.get(name, GOOD)
    found = FORMATS[name].check(saved(tmp_path, good, row), "validation")
    assert found.errors
    assert {problem.line for problem in found.errors} == {2}
    assert any(said in problem.message for problem in found.errors), found.errors


@pytest.mark.parametrize("name", JSONL)
@pytest.mark.parametrize("line", ["{", "[]", "", '{"a": NaN}', '{"a": 1, "a": 2}', '{"messages": [1]}', "\ufeff{}"])
def test_what_is_no_row_is_said_and_never_raises(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line.encode() + b"\n" + b'{"\x1b[2J": "\xff"}\n')
    found = FORMATS[name].check(path, "validation")
    assert {problem.line for problem in found.errors} >= {1, 2}
    assert all(problem.message.isprintable() for problem in found.problems)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.binary(max_size=200))
def test_a_check_survives_any_bytes(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "train.jsonl"
    path.write_bytes(data)
    found = FORMATS[name].check(path, "train")
    assert all(problem.message.isprintable() for problem in found.problems)


def test_too_few_rows_are_refused_to_train_on_and_enough_to_validate(tmp_path: Path) -> None:
    path = written(tmp_path, "openai", [example(number) for number in range(9)])
    assert "no fewer than 10" in FORMATS["openai"].check(path, "train").errors[0].message
    assert not FORMATS["openai"].check(path, "validation").problems
    path = written(tmp_path, "openai", [example(number) for number in range(10)])
    assert [problem.level for problem in FORMATS["openai"].check(path, "train").problems] == ["warning"]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, GOOD)
    rules = checking.FileRules(max_bytes=10)
    found = checking.check_jsonl(path, "train", rules, lambda row: [])
    assert "the target takes 10 at most" in found.errors[0].message
    monkeypatch.setattr(checking, "MAX_ROW_BYTES", 20)
    found = checking.check_jsonl(path, "train", checking.FileRules(), lambda row: [])
    assert "longer than 20 bytes" in found.errors[0].message


def test_no_more_problems_than_can_be_read(tmp_path: Path) -> None:
    found = FORMATS["trl"].check(saved(tmp_path, *["{}"] * 500), "train")
    assert len(found.problems) == checking.MOST_PROBLEMS + 1


def test_datasets_takes_one_schema(tmp_path: Path) -> None:
    found = FORMATS["trl"].check(saved(tmp_path, GOOD, {**GOOD, "extra": 1}), "train")
    assert "other columns than the first row" in found.errors[0].message


def test_bedrock_takes_no_strange_file_names(tmp_path: Path) -> None:
    path = tmp_path / "train data.jsonl"
    path.write_text(json.dumps(BEDROCK) + "\n")
    assert "the file's name" in FORMATS["bedrock"].check(path, "validation").errors[0].message


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_no_cell_is_run_by_a_spreadsheet(tmp_path: Path, cell: str) -> None:
    assert is_formula(cell)
    assert not is_formula(safe_cell(cell))
    path = written(tmp_path, "csv", [example(text=cell), example(1)])
    assert not FORMATS["csv"].check(path, "train").errors
    assert next(iter(pandas.read_csv(path)["text"])) == f"'{cell}"
    path.write_text(f'"text","label"\r\n"{cell}","a"\r\n"x","b"\r\n', newline="")
    assert "would run it" in FORMATS["csv"].check(path, "train").errors[0].message


@given(texts=st.lists(TEXT.filter(str.strip), min_size=2, max_size=6))
def test_a_table_is_read_back_as_it_was_written(texts: list[str]) -> None:
    examples = [example(number, text=text) for number, text in enumerate(texts)]
    data = "".join(FORMATS["csv"].lines(examples))
    head, *body = csv.reader(io.StringIO(data, newline=""))
    assert head == ["text", "label"]
    assert [row[0] for row in body] == [safe_cell(text) for text in texts]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\r\n1,2\r\n", "the header needs text"),
        (b"text,text,label\r\n1,2,3\r\n", "the header needs text"),
        (b"text,label\r\nx\r\n", "1 cells under 2 columns"),
        (b"text,label\r\nx,\r\ny,b\r\n", "is empty"),
        (b"text,label\r\nx,a\r\ny,a\r\n", "one class only"),
        (b'text,label\r\n"x,a\r\n', "no CSV file"),
        (b"text,label\r\n\xff,a\r\n", "no CSV file"),
        (b"", "the header needs text"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(data)
    assert any(said in problem.message for problem in FORMATS["csv"].check(path, "train").errors)


def test_a_class_of_one_row_is_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", [example(0), example(1), example(2)])
    (problem,) = FORMATS["csv"].check(path, "train").problems
    assert problem.level == "warning"
    assert "'bug'" in problem.message


@pytest.mark.parametrize("name", JSONL)
@given(question=TEXT, answer=TEXT, wrong=TEXT)
def test_a_row_that_fits_is_accepted_in_a_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, question: str, answer: str, wrong: str
) -> None:
    made = example(turns=(("user", question),), answer=answer, rejected=wrong)
    target = FORMATS[name]
    path = written(tmp_path_factory.mktemp("fits"), name, [made])
    assert [problem.message for problem in target.fits(made)] == [
        problem.message for problem in target.check(path, "validation").errors
    ]


def test_unknown_formats_and_files_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'opena'") as raised:
        format_named("opena")
    assert "openai" in raised.value.hint
    with pytest.raises(UsageError, match="does not say which format"):
        format_of(tmp_path / "data.jsonl")
    for target in FORMATS.values():
        with pytest.raises(NotFound):
            target.check(tmp_path / "missing.jsonl", "train")
