from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from skillforge.forge.portal import Portal


async def deaf() -> str:
    """Cannot be cancelled any more: it has nothing to wait for."""
    time.sleep(0.3)
    return "whole"


@pytest.fixture
def interrupted_soon() -> None:
    # a shell that started the tests in the background made this signal ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_an_interrupt_is_not_swallowed_by_a_call_that_ends_all_the_same(interrupted_soon):
    portal = Portal()
    with pytest.raises(KeyboardInterrupt):
        portal.call(deaf)
    portal.close()


def test_what_was_paid_for_and_is_whole_counts_after_an_interrupt(interrupted_soon):
    portal = Portal()
    assert portal.call(deaf, paid=True) == "whole"
    portal.close()
