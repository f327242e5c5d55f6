from __future__ import annotations

import asyncio
import threading

import skillforge
from skillforge.capture.context import Labels, current_labels


def test_the_inner_block_counts_and_the_outer_one_fills_in():
    with skillforge.tagged(conversation="c", subject="s", feature="triage", tier="free"):
        with skillforge.tagged(conversation="c2", tier="paid", number=3):
            assert current_labels() == Labels("c2", "s", {"feature": "triage", "tier": "paid", "number": "3"})
        assert current_labels() == Labels("c", "s", {"feature": "triage", "tier": "free"})
    assert current_labels() == Labels()


def test_tasks_keep_their_own_labels():
    async def one(name: str) -> str:
        with skillforge.tagged(conversation=name):
            await asyncio.sleep(0)
            return await asyncio.create_task(inner())

    async def inner() -> str:
        await asyncio.sleep(0)
        return current_labels().conversation

    async def both() -> list[str]:
        return await asyncio.gather(one("a"), one("b"))

    assert asyncio.run(both()) == ["a", "b"]


def test_an_error_ends_the_block():
    try:
        with skillforge.tagged(subject="s"):
            raise ValueError
    except ValueError:
        pass
    assert current_labels() == Labels()


def test_another_thread_has_none():
    seen = []
    with skillforge.tagged(subject="s"):
        thread = threading.Thread(target=lambda: seen.append(current_labels()))
        thread.start()
        thread.join()
    assert seen == [Labels()]


def test_a_block_in_an_async_generator_may_end_in_another_context():
    async def labelled():
        with skillforge.tagged(subject="s"):
            yield 1
            yield 2

    async def left_early() -> None:
        generator = labelled()
        await generator.__anext__()
        await asyncio.create_task(generator.aclose())

    asyncio.run(left_early())
