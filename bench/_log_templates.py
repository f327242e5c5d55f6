"""The calls that ``bench/scan.py`` plants in its logs: who asks what, with which model, how often."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Turns = list[dict[str, Any]]


@dataclass
class Line:
    """One call. ``at`` is its place in time, 0 to 1, where that matters; ``calls`` are (tool, arguments)."""

    messages: Turns
    answer: str
    system: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    schema: dict[str, Any] | None = None
    at: float | None = None


@dataclass(frozen=True)
class Planted:
    """``share`` of the lines; a kind of ``-`` is noise. ``lines`` never ends."""

    name: str
    share: float
    model: str
    kind: str
    lines: Callable[[Path, random.Random], Iterator[Line]]


def asks(text: str) -> Turns:
    return [{"role": "user", "content": text}]


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as handle:
        return [json.loads(line) for line in handle]


def messages_of(data: Path) -> list[dict[str, Any]]:
    return rows(data / "cls_clinc150" / "train.jsonl")


def questions_of(data: Path) -> list[dict[str, Any]]:
    return rows(data / "rec_zeroeval_gsm" / "prompts.jsonl")


def gsm(data: Path, rng: random.Random) -> Iterator[Line]:
    folder = data / "rec_zeroeval_gsm"
    prompts = {row["id"]: row["prompt"] for row in rows(folder / "prompts.jsonl")}
    answers = rows(folder / "outputs" / "gpt-4o-2024-08-06.jsonl") + rows(
        folder / "outputs" / "gpt-4o-mini-2024-07-18.jsonl"
    )
    while True:
        row = rng.choice(answers)
        yield Line(asks(prompts[row["id"]]), row["output"])


def bfcl(data: Path, rng: random.Random) -> Iterator[Line]:
    folder = data / "rec_bfcl"
    prompts = {row["id"]: row for row in rows(folder / "prompts.jsonl")}
    answers = rows(folder / "outputs" / "gpt-4o-2024-08-06-FC.jsonl")
    while True:
        row = rng.choice(answers)
        prompt = prompts[row["id"]]
        calls = [pair for item in row["output"] for pair in item.items()] if isinstance(row["output"], list) else []
        told = [(name, json.loads(given) if isinstance(given, str) else given) for name, given in calls]
        yield Line(
            asks(prompt["question"]),
            "" if told else str(row["output"]),
            system="You are given a question and a set of functions. Call the functions that answer the question.",
            tools=prompt["functions"],
            calls=told,
        )


def intent_system(data: Path, rng: random.Random) -> Iterator[Line]:
    labels = sorted({row["label"] for row in messages_of(data)})
    system = (
        "You route messages of a voice assistant. Read the message and answer with the name of its intent and nothing "
        f"else. If none fits, answer oos.\n\nIntents: {', '.join(labels)}"
    )
    for row in forever(messages_of(data), rng):
        yield Line(asks(row["text"]), row["label"], system=system)


def intent_user(data: Path, rng: random.Random) -> Iterator[Line]:
    schema = {
        "type": "object",
        "properties": {"domain": {"type": "string"}, "confident": {"type": "boolean"}},
        "required": ["domain", "confident"],
        "additionalProperties": False,
    }
    for row in forever(messages_of(data), rng):
        prompt = f'Which domain does this utterance belong to?\n\nUtterance: "{row["text"]}"\n\nAnswer as JSON.'
        answer = json.dumps({"domain": row["domain"], "confident": rng.random() < 0.9})
        yield Line(asks(prompt), answer, schema=schema)


def intent_shots(data: Path, rng: random.Random) -> Iterator[Line]:
    pool = messages_of(data)
    shots: Turns = []
    for row in pool[:4]:
        shots += [*asks(f"Message: {row['text']}"), {"role": "assistant", "content": row["domain"]}]
    for row in forever(pool, rng):
        text = f"Message: {row['text']}"
        yield Line([*shots, *asks(text)], row["domain"], system="Name the domain of the message.")


def rewrite(data: Path, rng: random.Random) -> Iterator[Line]:
    head = "Rewrite the following message so that it is polite and free of spelling mistakes. Keep its meaning."
    for row in forever(messages_of(data), rng):
        yield Line(asks(f"{head}\n\n<message>\n{row['text']}\n</message>"), f"Please {row['text']}, thank you.")


def extract_dated(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(questions_of(data), rng):
        day = rng.randrange(30)
        system = f"Today is 2026-05-{day + 1:02d}. You pull facts out of texts. Answer with JSON: names and numbers."
        words = row["question"].split()
        names = sorted({word.strip(".,?'s") for word in words[1:] if word[:1].isupper() and len(word) > 2})
        numbers = [word.strip(".,?$") for word in words if word.strip(".,?$").isdigit()]
        answer = json.dumps({"names": names, "numbers": numbers})
        yield Line(asks(f"Text:\n{row['question']}"), answer, system=system, at=(day + rng.random()) / 30)


def summarise(data: Path, rng: random.Random) -> Iterator[Line]:
    for first, second in pairs(questions_of(data), rng):
        text = f"{first['question']} {second['question']}"
        prompt = f"Summarise the conversation for the next agent in two sentences.\n\nConversation:\n{text}"
        yield Line(asks(prompt), prose(rng, 30), system=SUPPORT)


def reply(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        tone = rng.choice(["warm", "short", "formal"])
        prompt = f"Draft a reply to the customer.\nTone: {tone}\nCustomer: {row['text']}\nThanks."
        yield Line(asks(prompt), prose(rng, 60), system=SUPPORT)


def chat(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        yield Line(asks(row["text"]), prose(rng, 40), system="You are a helpful assistant.")


def rare(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(questions_of(data), rng):
        prompt = f"Write a title of at most five words for this exercise.\n\nExercise: {row['question']}"
        yield Line(asks(prompt), " ".join(row["question"].split()[:4]), system="You are a helpful assistant.")


def daily(data: Path, rng: random.Random) -> Iterator[Line]:
    while True:
        yield Line(asks("Give me one interesting fact for today's newsletter."), prose(rng, 25))


def airline(data: Path, rng: random.Random) -> Iterator[Line]:
    """Every assistant turn is a call that repeats the conversation before it."""
    policy = (data / "trc_tau_airline" / "policy.md").read_text("utf-8")
    talks = rows(data / "trc_tau_airline" / "trajectories.jsonl")
    names = sorted(
        {
            call["function"]["name"]
            for talk in talks
            for turn in talk["messages"]
            for call in turn.get("tool_calls") or []
        }
    )
    tools = [
        {"name": name, "description": name.replace("_", " "), "parameters": {"type": "object", "properties": {}}}
        for name in names
    ]
    while True:
        talk = rng.choice(talks)["messages"]
        start, user = rng.random() * 0.99, rng.randrange(10**6)
        for at, turn in enumerate(talk):
            if turn["role"] != "assistant" or not at:
                continue
            history = [{**talk[0], "content": f"{talk[0]['content']} (user {user})"}, *talk[1:at]]
            calls = [
                (call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in turn.get("tool_calls") or []
            ]
            yield Line(history, turn.get("content") or "", system=policy, tools=tools, calls=calls, at=start + at / 1e5)


def noise(data: Path, rng: random.Random) -> Iterator[Line]:
    """Calls that somebody made once: bare messages, bare questions, odd instructions."""
    texts = [row["text"] for row in messages_of(data)]
    questions = [row["question"] for row in questions_of(data)]
    verbs = ["explain", "compare", "list", "describe", "imagine", "draft", "plan", "translate", "improve", "shorten"]
    words = [word for text in texts[:3000] for word in text.split()]
    while True:
        some = " ".join(rng.choice(words) for _ in range(rng.randrange(4, 30)))
        kind = rng.randrange(4)
        if kind == 0:
            prompt = f"{rng.choice(texts)} {some}"
        elif kind == 1:
            prompt = f"{rng.choice(questions)} {rng.choice(texts)}"
        elif kind == 2:
            prompt = f"{rng.choice(verbs)} {some}:\n{rng.choice(texts)}\n{rng.choice(texts)}"
        else:
            prompt = some
        system = f"You {rng.choice(verbs)} {some[:40]}." if rng.random() < 0.2 else ""
        yield Line(asks(prompt), prose(rng, 30), system=system)


SUPPORT = (
    "You work for the support team of Acme. Be accurate, never promise refunds, and never name other customers. "
    "If you are not sure, say so."
)

KNOWN = (
    Planted("gsm", 0.12, "gpt-4o", "writing", gsm),
    Planted("bfcl", 0.08, "gpt-4o", "agent", bfcl),
    Planted("intent-system", 0.18, "claude-sonnet-4-5", "classification", intent_system),
    Planted("intent-user", 0.10, "gpt-4o-mini", "classification", intent_user),
    Planted("intent-shots", 0.05, "claude-sonnet-4-5", "classification", intent_shots),
    Planted("rewrite", 0.06, "gpt-4o-mini", "rewriting", rewrite),
    Planted("extract-dated", 0.08, "gpt-4o", "extraction", extract_dated),
    Planted("summarise", 0.03, "claude-sonnet-4-5", "writing", summarise),
    Planted("reply", 0.03, "claude-sonnet-4-5", "writing", reply),
    Planted("chat", 0.04, "gpt-4o-mini", "writing", chat),
    Planted("rare", 0.0006, "gpt-4o-mini", "writing", rare),
    Planted("daily", 0.001, "gpt-4o-mini", "writing", daily),
    Planted("airline", 0.12, "gpt-4o", "agent", airline),
    Planted("noise", 0.1084, "gpt-4o", "-", noise),
)


def forever(items: list[dict[str, Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    while True:
        yield rng.choice(items)


def pairs(items: list[dict[str, Any]], rng: random.Random) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    while True:
        yield rng.choice(items), rng.choice(items)


def prose(rng: random.Random, words: int) -> str:
    pool = ["order", "account", "please", "check", "today", "value", "simple", "answer", "under", "help", "with", "the"]
    return " ".join(rng.choice(pool) for _ in range(words)).capitalize() + "."


# A second set, written after the miner worked on the first.


def sentiment_inline(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(_reviews(data), rng):
        prompt = f'What is the sentiment of the review "{row["text"]}"? Reply positive or negative.'
        yield Line(asks(prompt), row["expected"])


def translate_inline(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        language = rng.choice(["German", "French", "Spanish"])
        yield Line(asks(f"Translate '{row['text']}' into {language} please."), prose(rng, 8))


def news_after(data: Path, rng: random.Random) -> Iterator[Line]:
    """The data first, then the instruction; no label, no blank line."""
    for row in forever(rows(data / "rec_gepa_classification" / "ag_news.jsonl"), rng):
        tail = "Which section of the newspaper is this from: World, Sports, Business or Sci/Tech? One word."
        yield Line(asks(f"{row['text']}\n{tail}"), row["expected"])


def grade_two(data: Path, rng: random.Random) -> Iterator[Line]:
    """Two long fields in tags, an instruction around them, a user's name in the middle of the system text."""
    for first, second in pairs(questions_of(data), rng):
        name = rng.choice(["Ana", "Bo", "Carla", "Dimitri", "Eve", "Farid", "Gil", "Hanna", "Ines", "Jo", "Kim", "Lea"])
        system = f"You help the teacher {name} to grade homework. Be strict but fair."
        prompt = f"<task>{first['question']}</task><answer>{second['question']}</answer>\nGive a grade from 1 to 6."
        yield Line(asks(prompt), str(rng.randrange(1, 7)), system=system)


def tickets_signed(data: Path, rng: random.Random) -> Iterator[Line]:
    """Free tickets under a system text; salutations and signatures recur."""
    system = "Decide which queue a support ticket belongs to. Queues: billing, bug, account, other. One word only."
    for row in forever(messages_of(data), rng):
        hello = rng.choice(["Hello,\n", "Dear support team,\n", "Hi there, I have a question.\n", ""])
        bye = rng.choice(["\nSent from my iPhone", "\nKind regards,\nThe Miller family", "\nThanks.", ""])
        answer = rng.choice(["billing", "bug", "account", "other"])
        yield Line(asks(f"{hello}{row['text']}{bye}"), answer, system=system)


def retrieval(data: Path, rng: random.Random) -> Iterator[Line]:
    """Documents from a small collection, so that whole paragraphs recur, and a varying number of them."""
    documents = [row["question"] for row in questions_of(data)[:60]]
    for row in forever(messages_of(data), rng):
        some = "\n\n".join(f"[{n + 1}] {text}" for n, text in enumerate(rng.sample(documents, rng.randrange(1, 5))))
        prompt = (
            f"Use only these documents.\n\n{some}\n\nQuestion: {row['text']}\nIf they do not say it, answer: unknown."
        )
        yield Line(asks(prompt), rng.choice(["unknown", prose(rng, 20)]), system="You answer from documents.")


def optional_line(data: Path, rng: random.Random) -> Iterator[Line]:
    """A field that is there in a third of the calls."""
    for row in forever(messages_of(data), rng):
        order = f"Order number: {rng.randrange(10**6)}\n" if rng.random() < 0.33 else ""
        prompt = f"Is this customer angry? Say yes or no.\n{order}Customer says: {row['text']}"
        yield Line(asks(prompt), rng.choice(["yes", "no"]))


def german(data: Path, rng: random.Random) -> Iterator[Line]:
    for row in forever(messages_of(data), rng):
        prompt = (
            f"Fasse die Nachricht des Kunden in drei Stichworten zusammen.\n\nNachricht:\n{row['text']}\n\nStichworte:"
        )
        yield Line(asks(prompt), ", ".join(row["text"].split()[:3]), system="Du bist eine sorgfältige Assistentin.")


def twins(word: str, answers: tuple[str, ...]) -> Callable[[Path, random.Random], Iterator[Line]]:
    """Two tasks that share all but one line of a long instruction."""

    def lines(data: Path, rng: random.Random) -> Iterator[Line]:
        for row in forever(_reviews(data), rng):
            prompt = (
                f"Read the text and judge its {word}.\nThink about it carefully before you answer.\nDo not explain "
                f"yourself.\nAnswer with one word in lower case.\n\nText: {row['text']}\n\nAnswer:"
            )
            yield Line(asks(prompt), rng.choice(answers))

    return lines


def shots_chosen(data: Path, rng: random.Random) -> Iterator[Line]:
    """Example turns chosen anew for every call."""
    pool = messages_of(data)
    for row in forever(pool, rng):
        shots: Turns = []
        for shot in rng.sample(pool, 3):
            shots += [*asks(shot["text"]), {"role": "assistant", "content": shot["domain"]}]
        yield Line([*shots, *asks(row["text"])], row["domain"], system="Domain of the last message, in one word?")


def chatter(data: Path, rng: random.Random) -> Iterator[Line]:
    """A chat without tools; every call repeats the conversation."""
    pool = messages_of(data)
    system = "You are Robi, the friendly companion of the Acme app. Keep answers under fifty words."
    while True:
        start, history = rng.random() * 0.99, []
        for at in range(rng.randrange(1, 7)):
            history = [*history, *asks(rng.choice(pool)["text"])]
            answer = prose(rng, 20)
            yield Line(list(history), answer, system=system, at=start + at / 1e5)
            history.append({"role": "assistant", "content": answer})


SECOND = (
    Planted("sentiment-inline", 0.08, "gpt-4o-mini", "classification", sentiment_inline),
    Planted("translate-inline", 0.06, "gpt-4o", "writing", translate_inline),
    Planted("news-after", 0.08, "gpt-4o-mini", "classification", news_after),
    Planted("grade-two", 0.06, "claude-sonnet-4-5", "classification", grade_two),
    Planted("tickets-signed", 0.10, "gpt-4o", "classification", tickets_signed),
    Planted("retrieval", 0.10, "gpt-4o", "writing", retrieval),
    Planted("optional-line", 0.06, "gpt-4o-mini", "classification", optional_line),
    Planted("german", 0.06, "claude-sonnet-4-5", "extraction", german),
    Planted("twin-tone", 0.05, "gpt-4o-mini", "classification", twins("tone of voice", ("warm", "cold"))),
    Planted("twin-style", 0.05, "gpt-4o-mini", "classification", twins("writing style", ("plain", "ornate"))),
    Planted("shots-chosen", 0.06, "claude-sonnet-4-5", "classification", shots_chosen),
    Planted("chatter", 0.08, "gpt-4o", "writing", chatter),
    Planted("noise", 0.16, "gpt-4o", "-", noise),
)

# A third set, written when both above were found.


def alpaca(data: Path, rng: random.Random) -> Iterator[Line]:
    """One well-known frame around many instructions: what recurs is the frame."""
    for row, question in zip(forever(messages_of(data), rng), forever(questions_of(data), rng), strict=False):
        prompt = (
            "Below is an instruction that describes a task, paired with an input. Write a response that completes the "
            f"request.\n\n### Instruction:\n{row['text']}\n\n### Input:\n{question['question']}\n\n### Response:\n"
        )
        yield Line(asks(prompt), prose(rng, 30))


def json_prompt(data: Path, rng: random.Random) -> Iterator[Line]:
    """The prompt is a JSON object."""
    for row in forever(messages_of(data), rng):
        body = {
            "task": "detect_language",
            "text": row["text"],
            "options": ["en", "de", "fr"],
            "user": rng.randrange(999),
        }
        yield Line(asks(json.dumps(body)), rng.choice(["en", "de", "fr"]))


def data_in_system(data: Path, rng: random.Random) -> Iterator[Line]:
    """Instruction and data in the system text, a constant question."""
    for row in forever(questions_of(data), rng):
        system = f"You check exercises for teachers.\n\nExercise:\n{row['question']}\n\nBe brief."
        yield Line(asks("Is the exercise solvable? Answer yes or no."), rng.choice(["yes", "no"]), system=system)


def many_fields(data: Path, rng: random.Random) -> Iterator[Line]:
    for row, other in zip(forever(messages_of(data), rng), forever(messages_of(data), rng), strict=False):
        prompt = (
            f"Write an e-mail.\n- From: {rng.choice(['Ana', 'Bo', 'Cem'])}\n- To: {rng.choice(['Dora', 'Emil'])}\n"
            f"- Date: 2026-05-{rng.randrange(1, 29):02d}\n- Subject: {row['text']}\n- Points: {other['text']}\n\n"
            "Keep it under 100 words. Use British spelling."
        )
        yield Line(asks(prompt), prose(rng, 60))


def code_review(data: Path, rng: random.Random) -> Iterator[Line]:
    """Data of many short lines that recur (code)."""
    names = ["load", "save", "parse", "send", "merge", "check"]
    while True:
        lines = ["import os", "import json", ""]
        for _ in range(rng.randrange(1, 4)):
            lines += [
                f"def {rng.choice(names)}(path):",
                "    with open(path) as handle:",
                "        return handle.read()",
                "",
            ]
        prompt = (
            "Does this code have a bug? Answer as JSON with the keys bug and why.\n```python\n"
            + "\n".join(lines)
            + "```"
        )
        answer = json.dumps({"bug": rng.random() < 0.5, "why": prose(rng, 8)})
        yield Line(asks(prompt), answer, system="You are a senior engineer.")


def stamped(data: Path, rng: random.Random) -> Iterator[Line]:
    """A request number and a time before everything else."""
    for row in forever(messages_of(data), rng):
        stamp = f"[request {rng.getrandbits(64):016x} at 2026-05-0{rng.randrange(1, 9)}T10:{rng.randrange(10, 59)}:00Z]"
        yield Line(
            asks(f"{stamp}\nDetect whether the user wants to stop the service.\nUser: {row['text']}"),
            "no" if rng.random() < 0.8 else "yes",
        )


def two_versions(data: Path, rng: random.Random) -> Iterator[Line]:
    """The instruction was edited in the middle of the month: one task, two prompts."""
    for row in forever(messages_of(data), rng):
        at = rng.random()
        first = "Extract the city from the request." if at < 0.5 else "Find the one city that the request names."
        words = row["text"].split()
        yield Line(asks(f"{first}\nIf there is none, write NONE.\n\nRequest: {row['text']}"), rng.choice(words), at=at)


def context_in_system(data: Path, rng: random.Random) -> Iterator[Line]:
    documents = [row["question"] for row in questions_of(data)[:40]]
    for row in forever(messages_of(data), rng):
        context = "\n---\n".join(rng.sample(documents, 3))
        system = f"Answer the user's question with the help of the context.\n\n<context>\n{context}\n</context>"
        yield Line(asks(row["text"]), prose(rng, 25), system=system)


def synonym(data: Path, rng: random.Random) -> Iterator[Line]:
    """A template of very few words."""
    words = sorted({word for row in messages_of(data) for word in row["text"].split() if len(word) > 3})
    while True:
        yield Line(asks(f"Synonym for {rng.choice(words)}?"), rng.choice(words), system="You are a helpful assistant.")


THIRD = (
    Planted("alpaca", 0.10, "gpt-4o", "writing", alpaca),
    Planted("json-prompt", 0.10, "gpt-4o-mini", "classification", json_prompt),
    Planted("data-in-system", 0.10, "gpt-4o", "classification", data_in_system),
    Planted("many-fields", 0.08, "claude-sonnet-4-5", "writing", many_fields),
    Planted("code-review", 0.08, "claude-sonnet-4-5", "classification", code_review),
    Planted("stamped", 0.08, "gpt-4o-mini", "classification", stamped),
    Planted("two-versions", 0.10, "gpt-4o", "extraction", two_versions),
    Planted("context-in-system", 0.10, "gpt-4o", "writing", context_in_system),
    Planted("synonym", 0.06, "gpt-4o-mini", "writing", synonym),
    Planted("chat", 0.05, "gpt-4o-mini", "writing", chat),
    Planted("noise", 0.15, "gpt-4o", "-", noise),
)


def _reviews(data: Path) -> list[dict[str, Any]]:
    return rows(data / "rec_gepa_classification" / "rotten_tomatoes.jsonl")
