"""The recorder never holds a caller up, and loses nothing without a word."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from skillforge.call import Call
from skillforge.capture import recorder as recorder_module
from skillforge.capture.context import Labels
from skillforge.capture.exchange import Exchange, Policy
from skillforge.capture.recorder import Recorder

POLICY = Policy("full")


def exchange(text: str = "x", size: int = 0) -> Exchange:
    made = Exchange("anthropic", "", text.encode() + b" " * size, Labels(), POLICY, lambda done: None)
    made.end()
    return made


class Shelf:
    """Keeps the texts of exchanges; each of its steps can be made to wait or to fail."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.opened = self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.fails: dict[str, BaseException] = {}

    @contextmanager
    def open(self):
        self.opened += 1
        self._may_fail("open")
        try:
            yield self
        finally:
            self.closed += 1

    def read(self, exchange):
        self.gate.wait(5)
        self._may_fail("read")
        text = exchange.request.decode().strip()
        return None if text == "left out" else ("full", Call(id=text, api="anthropic", model="m"))

    def store(self, kept):
        self._may_fail("store")
        self.kept += [call.id for _, call in kept]

    def _may_fail(self, step):
        if step in self.fails:
            raise self.fails[step]


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def said():
    return []


@pytest.fixture
def recorder(shelf, said):
    made = Recorder(shelf.open, say=said.append)
    yield made
    shelf.gate.set()
    made.close()


def test_what_is_put_is_stored_in_order(recorder, shelf, said):
    for number in range(1000):
        recorder.put(exchange(str(number)))
    assert recorder.flush(5)
    assert shelf.kept == [str(number) for number in range(1000)]
    assert said == []


def test_what_is_left_out_on_purpose_is_not_missed(recorder, shelf, said):
    recorder.put(exchange("left out"))
    assert recorder.flush(5)
    assert (shelf.kept, said, recorder.dropped) == ([], [], {})


def test_a_flush_of_nothing_starts_nothing(recorder, shelf):
    assert recorder.flush(5)
    assert shelf.opened == 0


def test_a_full_queue_drops_and_never_waits(recorder, shelf, said):
    shelf.gate.clear()
    started = time.perf_counter()
    for number in range(recorder_module.MAX_WAITING + 1000):
        recorder.put(exchange(str(number)))
    assert time.perf_counter() - started < 4  # the gate alone would take 5 s
    shelf.gate.set()
    assert recorder.flush(20)
    (count,) = recorder.dropped.values()
    assert len(shelf.kept) + count == recorder_module.MAX_WAITING + 1000
    assert count >= 1000 - recorder_module.BATCH
    assert said == ["some calls are not recorded: they come faster than they can be stored"]


def test_what_the_queue_holds_is_bounded_in_bytes_too(recorder, shelf):
    shelf.gate.clear()
    for number in range(20):
        recorder.put(exchange(str(number), size=8 * 2**20 - 10))
    assert sum(recorder.dropped.values()) == 20 - 8
    shelf.gate.set()
    assert recorder.flush(5)
    recorder.put(exchange("room again"))
    assert recorder.flush(5)
    assert shelf.kept[-1] == "room again"


@pytest.mark.parametrize("step", ["open", "read", "store"])
def test_a_failing_step_drops_what_it_fails_on_and_says_so_once(step, recorder, shelf, said):
    shelf.fails[step] = OSError("the disk is full")
    for number in range(3):
        recorder.put(exchange(str(number)))
        assert recorder.flush(5)
    assert said == ["some calls are not recorded: the disk is full"]
    assert recorder.dropped == {"the disk is full": 3}
    del shelf.fails[step]
    recorder.put(exchange("later"))
    assert recorder.flush(5)
    assert shelf.kept == ["later"]


def test_after_a_store_failed_it_is_opened_anew(recorder, shelf):
    shelf.fails["store"] = OSError("gone")
    recorder.put(exchange())
    assert recorder.flush(5)
    shelf.fails.clear()
    recorder.put(exchange())
    assert recorder.flush(5)
    assert (shelf.opened, shelf.closed) == (2, 1)


def test_a_say_that_raises_harms_nothing(shelf):
    def say(message):
        raise RuntimeError(message)

    recorder = Recorder(shelf.open, say=say)
    shelf.fails["store"] = OSError("gone")
    recorder.put(exchange())
    assert recorder.flush(5)
    shelf.fails.clear()
    recorder.put(exchange("later"))
    recorder.close()
    assert shelf.kept == ["later"]


def test_the_end_says_how_many_were_dropped(recorder, shelf, said):
    shelf.fails["store"] = OSError("the disk is full")
    for _ in range(3):
        recorder.put(exchange())
    recorder.close()
    recorder.close()
    assert said == ["some calls are not recorded: the disk is full", "3 calls were not recorded"]


def test_a_stream_that_is_collected_while_the_recorder_works_is_taken_too(recorder, shelf):
    with recorder._lock:  # what a collection in the middle of ``put`` would come to
        recorder.put(exchange("collected"))
    assert recorder.flush(5)
    assert shelf.kept == ["collected"]


def test_a_mask_that_wants_to_exit_ends_nothing(recorder, shelf):
    shelf.fails["read"] = SystemExit(3)
    recorder.put(exchange())
    assert recorder.flush(5)
    shelf.fails.clear()
    recorder.put(exchange("later"))
    assert recorder.flush(5)
    assert shelf.kept == ["later"]


def test_there_are_only_so_many_reasons(recorder):
    for number in range(200):
        recorder.drop(str(number))
    assert len(recorder.dropped) == 51
    assert sum(recorder.dropped.values()) == 200


def test_flush_gives_up_in_time(recorder, shelf):
    shelf.gate.clear()
    recorder.put(exchange())
    assert not recorder.flush(0.05)


def test_closing_ends_thread_and_store_and_a_later_call_begins_again(recorder, shelf):
    recorder.put(exchange("1"))
    recorder.close()
    assert shelf.closed == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "skillforge-capture"]
    recorder.put(exchange("2"))
    recorder.close()
    recorder.close()
    assert shelf.kept == ["1", "2"]


def test_closing_is_bounded(recorder, shelf):
    shelf.gate.clear()
    recorder.put(exchange())
    started = time.perf_counter()
    recorder.close(0.05)
    assert time.perf_counter() - started < 2


SCRIPT = """
import os, sys
sys.path.insert(0, {root!r})
from tests.capture.test_capture_recorder import Shelf, exchange
from skillforge.capture.recorder import Recorder

shelf = Shelf()
store = shelf.store
shelf.store = lambda kept: (store(kept), os.write(1, "".join(f"{{call.id}}\\n" for _, call in kept).encode()))
recorder = Recorder(shelf.open, say=print)
"""


def run(script: str) -> list[str]:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(root=root) + script], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_end_of_the_program_waits_for_what_is_not_stored():
    assert run("for number in range(5): recorder.put(exchange(str(number)))") == ["0", "1", "2", "3", "4"]


def test_the_end_of_the_program_does_not_wait_for_ever():
    script = """
from skillforge.capture import recorder as module
module.EXIT_S = 0.1
shelf.gate.clear()
for number in range(3): recorder.put(exchange(str(number)))
"""
    assert run(script) == ["3 calls were not stored before the program ended"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_records_its_own_and_the_parent_its_own():
    script = """
shelf.gate.clear()
recorder.put(exchange("of the parent"))
child = os.fork()
shelf.gate.set()
recorder.put(exchange("of the child" if child == 0 else "of the parent, later"))
assert recorder.flush(5)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    assert sorted(run(script)) == ["of the child", "of the parent", "of the parent, later"]


def test_one_call_is_told_as_one():
    said: list[str] = []
    shelf = Shelf()
    shelf.fails["store"] = OSError("the disk is full")
    recorder = Recorder(shelf.open, say=said.append)
    recorder.put(exchange())
    recorder.close()
    assert said == ["some calls are not recorded: the disk is full", "1 call was not recorded"]
