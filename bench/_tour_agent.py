"""The program of bench/tour.py, copied as ``agent.py`` beside the ``inbox.py`` of docs/tour.md: python agent.py URL.

The desk of a bicycle shop sorts mails, reads repairs out of them, words mechanics' notes and writes for a newsletter.
Two kinds go through OpenAI's SDK, two through Anthropic's. It prints the median seconds of each kind as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from anthropic import Anthropic
from inbox import right, work
from openai import OpenAI

from skillforge import Forge, NotPromoted, tagged

MODEL = "smollm2-135m"
SORT = "You sort the mail of a bicycle shop. Answer with one word: repair, order, invoice or other."
ONE_WORD = 'root ::= "repair" | "order" | "invoice" | "other"'  # llama.cpp's own parameter: so small a model rambles
READ = "Copy the last sentence of the mail. Answer with JSON."
SHOTS = {
    "The saddle of my tandem is torn. May I come on Sunday?": "May I come on Sunday?",
    "Hi, my old trike lost a pedal in the park. Is Saturday fine?": "Is Saturday fine?",
    "Good morning! One wheel of our trailer is flat. When are you open?": "When are you open?",
    "Since Sunday the horn of my scooter is silent. Can you help me tomorrow?": "Can you help me tomorrow?",
}
WORD = "Write the note of our mechanic as one sentence. Change no fact."
NEWS = "Write one friendly sentence about the topic for the newsletter of a bicycle shop."


WISH = {
    "type": "object",
    "properties": {"wish": {"type": "string", "maxLength": 90}},
    "required": ["wish"],
    "additionalProperties": False,
}


class Desk:
    """``sorter`` is the deployed skill, ``None`` while there is none. ``seconds`` are those of every call, by kind."""

    def __init__(self, gpt: OpenAI, claude: Anthropic, sorter: Any) -> None:
        self._gpt = gpt
        self._claude = claude
        self._sorter = sorter
        self.seconds: dict[str, list[float]] = {}

    def note(self, text: str) -> str:
        return self._timed("word", lambda: self._message(WORD, f"Note: {text}", 24))

    def news(self, text: str) -> str:
        return self._timed("news", lambda: self._message(NEWS, f"Topic: {text}", 32))

    def mail(self, text: str) -> str:
        label = self._timed("sort", lambda: self._sort(text))
        if right(text) == "repair":  # not the label: how many calls there are must not hang on the model
            self._timed("read", lambda: self._read(text))
        return label

    def _sort(self, mail: str) -> str:
        if self._sorter is not None:
            return str(self._sorter(mail=mail).output["label"])
        return self._chat(SORT, {}, mail, 8, extra_body={"grammar": ONE_WORD})

    def _read(self, mail: str) -> str:
        form = {"name": "answer", "strict": True, "schema": WISH}
        return self._chat(READ, SHOTS, mail, 48, response_format={"type": "json_schema", "json_schema": form})

    def _chat(self, system: str, shots: Mapping[str, str], mail: str, tokens: int, **options: Any) -> str:
        turns: list[Any] = [{"role": "system", "content": system}]
        for asked, wish in shots.items():
            turns += [
                {"role": "user", "content": f"Mail: {asked}"},
                {"role": "assistant", "content": json.dumps({"wish": wish})},
            ]
        turns.append({"role": "user", "content": f"Mail: {mail}"})
        said = self._gpt.chat.completions.create(
            model=MODEL, messages=turns, max_tokens=tokens, temperature=0, **options
        )
        return said.choices[0].message.content or ""

    def _message(self, system: str, text: str, tokens: int) -> str:
        turns: Any = [{"role": "user", "content": text}]
        cold = {"temperature": 0}  # no argument of this API any more, but the server samples at 0.8 unasked
        said = self._claude.messages.create(
            model=MODEL, system=system, messages=turns, max_tokens=tokens, extra_body=cold
        )
        return "".join(block.text for block in said.content if block.type == "text")

    def _timed(self, name: str, ask: Callable[[], str]) -> str:
        started = time.perf_counter()
        try:
            return ask()
        finally:
            self.seconds.setdefault(name, []).append(time.perf_counter() - started)


def main() -> None:
    url, key = sys.argv[1], os.environ["TOUR_KEY"]
    with Forge() as forge:
        gpt = forge.wrap(OpenAI(base_url=f"{url}/v1", api_key=key))
        claude = forge.wrap(Anthropic(base_url=url, api_key=key))
        try:
            sorter = forge.skill("sort-mail")
        except NotPromoted:
            sorter = None
        desk, correct = Desk(gpt, claude, sorter), 0
        for number, (kind, text) in enumerate(work):
            with tagged(conversation=f"{kind}-{number}", feature=kind):
                answer = getattr(desk, kind)(text)
            correct += kind == "mail" and answer == right(text)
    told = {name: {"calls": len(found), "median_s": median(found)} for name, found in desk.seconds.items()}
    print(json.dumps({"kinds": told, "right": correct, "sorter": repr(sorter) if sorter else MODEL}))


if __name__ == "__main__":
    main()
