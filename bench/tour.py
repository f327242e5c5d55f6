"""From traffic to a deployed skill with a real model: the journey of docs/tour.md, on llama.cpp's HTTP server.

    python -m bench.tour [--pairs 30] [--keep FOLDER]

A program with the official SDKs asks SmolLM2-135M on loopback 300 things of four kinds (two through OpenAI's, two
through Anthropic's), wrapped by one line; then scan, suite from-log, review, create --from-log, eval, promote, and the
same program again. The mails are those of docs/tour.md, so their right labels are known: they are typed into the review
as a person would. What is not measured but set: the server's price (``PRICE``), to show how costs are told; and the
teacher, which answers from a script: its skill was written beforehand by a strong model, the author of this file. The
student is the same SmolLM2 in the program's own process, with the skill. The eval's verdict is printed as it comes.

Some eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from bench._shared import Done, environment, finish, print_table, skillforge
from skillforge import Forge
from skillforge.errors import NotFound
from tests.fakes.llama_server import LlamaServer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tour.md"
KEY_VARIABLE = "TOUR_KEY"
PRICE = "{input = 0.5, output = 2.5}"  # dollars per million tokens; set, nobody charges it
STUDENT = "local:smollm2-135m"
GROUP_CALLS = {"sort": 120, "read": 60, "word": 60, "news": 60}
LIMIT_S = 900.0

AGENT = '''\
"""The desk of a bicycle shop: it sorts mails, reads repairs out of them, words notes and writes for the newsletter."""

import json
import os
import sys
import time
from statistics import median

from anthropic import Anthropic
from inbox import work
from openai import OpenAI

from skillforge import Forge, NotPromoted, tagged

URL, KEY, MODEL = sys.argv[1], os.environ["TOUR_KEY"], "smollm2-135m"
SORT = """You sort the mail of a bicycle shop to four desks.
repair: something on a bike is broken or makes a noise. order: buying, delivery, stock.
invoice: money, bills, prices. other: everything else.
Answer with JSON."""
READ = "Copy bike, fault and day out of the mail of a customer. Answer with JSON."
SHOTS = [
    ("Mail: The saddle of my tandem is torn. May I come on Sunday?", {"bike": "tandem", "fault": "The saddle of my tandem is torn", "day": "Sunday"}),
    ("Mail: Hi, my city bike lost a pedal. Is Saturday fine?", {"bike": "city bike", "fault": "my city bike lost a pedal", "day": "Saturday"}),
]
WORD = "Repeat the note of our mechanic as one sentence. Example: bell loose, screwed tight -> The bell was loose, screwed tight."
NEWS = "Write one friendly sentence about the topic for the newsletter of a bicycle shop."


def schema(**fields):
    body = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": body}}


DESK = schema(label={"enum": ["repair", "order", "invoice", "other"]})
REPAIR = schema(**{field: {"type": "string", "maxLength": 80} for field in ("bike", "fault", "day")})


def chat(system, shots, text, form, tokens):
    turns = [{"role": "system", "content": system}]
    for asked, answered in shots:
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": json.dumps(answered)}]
    turns.append({"role": "user", "content": text})
    said = gpt.chat.completions.create(
        model=MODEL, messages=turns, response_format=form, max_tokens=tokens, temperature=0
    )
    return said.choices[0].message.content


def message(system, text, tokens):
    turns = [{"role": "user", "content": text}]
    said = claude.messages.create(model=MODEL, system=system, messages=turns, max_tokens=tokens, temperature=0)
    return said.content[0].text


def sort(mail):
    if sorter is not None:
        return sorter(mail=mail).output["label"]
    return json.loads(chat(SORT, [], f"Mail: {mail}", DESK, 16))["label"]


def handle(kind, text):
    if kind == "note":
        return timed("word", lambda: message(WORD, f"Note: {text}", 24))
    if kind == "news":
        return timed("news", lambda: message(NEWS, f"Topic: {text}", 32))
    desk = timed("sort", lambda: sort(text))
    if text in repairs:  # the desk that a person would choose: what is counted below must not hang on the model
        timed("read", lambda: chat(READ, SHOTS, f"Mail: {text}", REPAIR, 80))
    return desk


def timed(name, ask):
    started = time.perf_counter()
    try:
        return ask()
    finally:
        seconds.setdefault(name, []).append(time.perf_counter() - started)


seconds, right = {}, 0
repairs = {text for kind, text in work if kind == "mail" and RIGHT(text) == "repair"}
with Forge() as forge:
    gpt, claude = forge.wrap(OpenAI(base_url=f"{URL}/v1", api_key=KEY)), forge.wrap(Anthropic(base_url=URL, api_key=KEY))
    try:
        sorter = forge.skill("sort-mail")
    except NotPromoted:
        sorter = None
    for number, (kind, text) in enumerate(work):
        with tagged(conversation=f"{kind}-{number}", feature=kind):
            desk = handle(kind, text)
            right += kind == "mail" and desk == RIGHT(text)
told = {name: [len(found), median(found)] for name, found in seconds.items()}
print(json.dumps({"seconds": told, "right": right, "sorter": repr(sorter) if sorter else MODEL}))
'''
