"""Workers that are forked while their parent has only just begun to count, as a preloading server does."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from pool_programs import run

from modelmon.memos import memo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.fault("F1")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_is_forked_while_something_is_worked_out_works_it_out_itself() -> None:
    """No lock of a thread that the child lacks stands in its way."""
    begun, go = threading.Event(), threading.Event()

    class Slow:
        """Work out an answer, slowly in one process."""

        @memo
        def answer(self) -> int:
            """The answer."""
            begun.set()
            assert os.getpid() != parent or go.wait(20)
            return 42

    parent, slow = os.getpid(), Slow()
    thread = threading.Thread(target=lambda: slow.answer)
    thread.start()
    assert begun.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(Slow().answer == 42 == slow.answer)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go.set()
    thread.join()
    assert (code, slow.answer) == (1, 42)


@pytest.mark.fault("F1", "F5")
def test_children_that_are_forked_while_the_parent_loads(tmp_path: Path) -> None:
    """All of them count, write at their end and end in time, whatever their parent's threads were at."""
    out = run(
        tmp_path,
        """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
predict(100)
children = []
for turn in range(8):
    time.sleep(0.04)
    child = os.fork()
    if not child:
        signal.alarm(40)
        for number in range(20): predict(number)
        raise SystemExit
    children.append(child)
told({os.waitpid(child, 0)[1] for child in children})
told(shown()[0])
""",
    )
    assert out == ["{0}", "161"]
