"""Faults of watched functions and of what they get and give, in whole programs; rows C of the catalogue."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from modelmon import Monitor, notices

if TYPE_CHECKING:
    from types import FrameType

ASKED = contextvars.ContextVar("ASKED", default="nobody")


@pytest.mark.fault("C11")
def test_contexts_of_callers_are_those_of_calls() -> None:
    """In threads, in executors of a loop and in tasks, a call is counted in the slice that its own context says."""
    own = Monitor()

    @own(model="m", attributes=lambda _: {"asked": ASKED.get()})
    def predict(x: int) -> int:
        return x

    def in_context(name: str) -> None:
        ASKED.set(name)
        context = contextvars.copy_context()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda x: context.copy().run(predict, x), range(5)))

    async def in_loop(name: str) -> None:
        ASKED.set(name)
        await asyncio.gather(*(asyncio.to_thread(predict, x) for x in range(3)))
        await asyncio.get_running_loop().run_in_executor(None, predict, 1)  # takes no context along

    async def both() -> None:
        await asyncio.gather(in_loop("ann"), in_loop("bob"))

    contextvars.copy_context().run(in_context, "eve")
    asyncio.run(both())
    model = own.snapshot()["m"]
    counts = {name: model.slice(asked=name).calls for name in ("eve", "ann", "bob", "nobody")}
    assert counts == {"eve": 5, "ann": 3, "bob": 3, "nobody": 2}


@pytest.mark.fault("C12")
@pytest.mark.parametrize("hook", ["id", "output", "attributes", "batch_size"])
def test_a_hook_that_always_raises(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand failures of a hook change no result, are counted to the last, and are one line in the log."""
    notices.forget()
    own = Monitor()

    def fail(_: object) -> Any:
        msg = "no such order"
        raise LookupError(msg)

    @own(model="m", **{hook: fail})
    def predict(x: int) -> int:
        return x % 3

    with caplog.at_level("WARNING", "modelmon"):
        assert [predict(x) for x in range(1000)] == [x % 3 for x in range(1000)]
        seen = own.snapshot()["m"]
    assert seen.calls == seen.outcomes["ok"] == 1000
    assert seen.rejected["hook"] == 1000
    (said,) = caplog.messages
    assert f"{hook}={__name__}.test_a_hook_that_always_raises.<locals>.fail raised LookupError" in said
    assert "no such order" not in said, "what an exception says may be anybody's data"


class Evil:
    """An object that takes its time, or ends the program, whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        """Fail."""
        raise SystemExit(name)

    def _fail(self, *_: object) -> Any:
        time.sleep(30)
        raise SystemExit

    __len__ = __eq__ = __bool__ = __repr__ = __str__ = __hash__ = __iter__ = _fail  # type: ignore[assignment]
    __array__ = __float__ = __int__ = __index__ = __getitem__ = __format__ = _fail  # type: ignore[assignment]


@pytest.mark.fault("C13")
def test_objects_that_must_not_be_asked() -> None:
    """Arguments, ids, slices and results all of whose methods sleep and end the program do neither."""
    own = Monitor()

    @own(model="m", id="key", attributes=("kind",))
    def predict(key: Any, kind: Any, x: Any) -> Any:
        return x

    evil = Evil()
    begin = time.monotonic()
    assert predict(evil, evil, evil) is evil
    assert predict("k", "plain", [evil, evil])[0] is evil
    assert own.snapshot()["m"].calls == 2
    assert time.monotonic() - begin < 20
    own.check_invariants()


@pytest.mark.fault("C15")
def test_no_thread_waits_for_another_ones_call() -> None:
    """Wherever within its call one thread is stopped, the calls of another go on: there is no lock to fight for."""
    own, stops = Monitor(), 0
    stopped, go_on = threading.Event(), threading.Event()

    @own(model="m", id="auto", output=lambda y: y)
    def predict(x: int) -> int:
        return x & 1

    def call(nth: int) -> None:
        """Make one call, and stop at the nth line of ours that it runs."""
        lines = count()

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if event == "line" and next(lines) == nth:
                stopped.set()
                go_on.wait()
            return trace if "modelmon" in frame.f_code.co_filename else None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            predict(1)
        finally:
            sys.settrace(before)
            stopped.set()

    predict(1)
    for nth in range(1_000):
        stopped.clear()
        go_on.clear()
        thread = threading.Thread(target=call, args=(nth,))
        thread.start()
        stopped.wait()
        held = thread.is_alive()
        others = threading.Thread(target=predict, args=(2,), daemon=True)
        others.start()
        others.join(30)
        waits = others.is_alive()
        go_on.set()
        thread.join()
        assert not waits, f"a call waits for one that stands at its line {nth}"
        stops += held
        if not held:
            break
    assert stops > 10


@pytest.mark.fault("C4")
def test_watched_functions_within_each_other() -> None:
    """Each of two functions that call each other counts its own calls, batches and calls in flight."""
    own, depth = Monitor(), 50
    active: list[tuple[int, int]] = []

    @own(model="even", batch_size="x")
    def even(x: int) -> int:
        if not x:
            seen = own.snapshot()
            active.append((seen["even"].in_flight, seen["odd"].in_flight))
            return 0
        return odd(x - 1)

    @own(model="odd")
    def odd(x: int) -> int:
        return even(x - 1)

    assert even(depth) == 0
    assert active == [(depth // 2 + 1, depth // 2)]
    seen = own.snapshot()
    assert (seen["even"].calls, seen["odd"].calls) == (depth // 2 + 1, depth // 2)
    assert seen["even"].batch_size.count == depth // 2 + 1
    assert seen["even"].in_flight == seen["odd"].in_flight == 0
