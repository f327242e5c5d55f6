"""A fourth set of planted calls, written after the other three; see ``bench/scan.py``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from _log_templates import Line, Planted, asks, forever, messages_of, noise, pairs, prose, questions_of


def keywords(data: Path, rng: random.Random) -> Iterator[Line]:
    for row, question in zip(forever(messages_of(data), rng), forever(questions_of(data), rng), strict=False):
        items = "\n".join(f"- {word}" for word in row["text"].split())
        prompt = (
            f"# Role\nYou are an analyst.\n\n# Keywords\n{items}\n\n# Article\n{question['question']}\n\n"
            "# Task\nWhich keywords occur in the article? Return a JSON list."
        )
        yield Line(asks(prompt), json.dumps(row["text"].split()[:2]))


def sql(data: Path, rng: random.Random) -> Iterator[Line]:
    tables = "CREATE TABLE users (id INT, name TEXT);\nCREATE TABLE orders (id INT, user_id INT, total REAL);"
    for row in forever(messages_of(data), rng):
        answer = f"SELECT * FROM users WHERE id = {rng.randrange(99)}"
        yield Line(asks(f"{tables}\n-- {row['text']}\nSELECT"), answer, system="Complete the query. Write SQL only.")


def judge(data: Path, rng: random.Random) -> Iterator[Line]:
    """The frame of a pairwise judge: brackets for labels, everything else varies."""
    system = "Please act as an impartial judge and evaluate the responses provided by two AI assistants."
    for first, second in pairs(questions_of(data), rng):
        prompt = (
            f"[Question]\n{first['question']}\n\n[The Start of Assistant A's Answer]\n{first['gold']}\n[The End of "
            f"Assistant A's Answer]\n\n[The Start of Assistant B's Answer]\n{second['gold']}\n[The End of Assistant "
            "B's Answer]"
        )
        yield Line(asks(prompt), rng.choice(["[[A]]", "[[B]]", "[[C]]"]), system=system)


def phone_bot(data: Path, rng: random.Random) -> Iterator[Line]:
    """A name and two numbers inside the system text, a bare question."""
    names = ["Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark", "Wayne", "Wonka"]
    for row in forever(messages_of(data), rng):
        hours = f"Opening hours: {rng.randrange(7, 10)} to {rng.randrange(16, 20)}."
        system = (
            f"You are the phone bot of {rng.choice(names)}. {hours} Does the caller want a human? Answer yes or no."
        )
        yield Line(asks(row["text"]), rng.choice(["yes", "no"]), system=system)


def question_answer(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        yield Line(asks(f"Q: {row['text']}\nA:"), prose(rng, 5))


def tldr(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(questions_of(data), rng):
        yield Line(asks(f"{row['question']}\n\nTL;DR:"), prose(rng, 12))


def guard(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        prompt = f'Is the following safe for work?\n"""\n{row["text"]}\n"""'
        yield Line(asks(prompt), "SAFE" if rng.random() < 0.9 else "UNSAFE")


def tools_only(data: Path, rng: random.Random) -> Iterator[Line]:
    """No system text, no template: the same tools are all that recurs."""
    names = ["search", "buy", "stop"]
    tools = [{"name": name, "description": "x", "parameters": {"type": "object", "properties": {}}} for name in names]
    for row in forever(messages_of(data), rng):
        yield Line(asks(row["text"]), "", tools=tools, calls=[(rng.choice(names), {"q": row["text"]})])


FOURTH = (
    Planted("keywords", 0.12, "gpt-4o", "extraction", keywords),
    Planted("sql", 0.10, "gpt-4o", "writing", sql),
    Planted("judge", 0.12, "claude-sonnet-4-5", "classification", judge),
    Planted("phone-bot", 0.12, "gpt-4o-mini", "classification", phone_bot),
    Planted("q-a", 0.10, "gpt-4o-mini", "writing", question_answer),
    Planted("tldr", 0.10, "gpt-4o", "writing", tldr),
    Planted("guard", 0.10, "gpt-4o-mini", "classification", guard),
    Planted("tools-only", 0.08, "gpt-4o", "agent", tools_only),
    Planted("noise", 0.16, "gpt-4o", "-", noise),
)
