"""Faults around fork, signals, garbage collection and greenlets; each runs in a process of its own.

A child that hangs is killed by an alarm, which is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

CHILD = """
import os, signal, struct, sys, threading, time
from modelmon import Monitor, monitor
def in_child(act, seconds=60):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        ok = act()
    except BaseException:
        import traceback; traceback.print_exc(); ok = False
    os._exit(0 if ok else 3)
def forked(act):
    pid = os.fork()
    if not pid:
        in_child(act)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(script: str, seconds: float = 110) -> str:
    """Run a script after the common beginning and return what it printed."""
    text = CHILD + textwrap.dedent(script)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:This process:DeprecationWarning",
            "-X",
            "faulthandler",
            "-c",
            text,
        ],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.fault("F1")
@needs_fork
def test_f1_fork_while_a_lock_is_held() -> None:
    """F1: a child records, labels and reads although the parent's lock was held at the fork."""
    out = run("""
        from modelmon import MemoryStore
        own = Monitor(store=MemoryStore())
        @own(model="m", id="key")
        def predict(key): return 1
        predict("warm"); own.snapshot()
        held, free = threading.Event(), threading.Event()
        def hold():
            own.home.hold(lambda _: (held.set(), free.wait()))
        thread = threading.Thread(target=hold); thread.start(); held.wait()
        def act():
            predict("a"); own.label("a", 1)
            own.check_invariants()
            return own.snapshot()["m"].calls == 1 and own.snapshot()["m"].labelled == 1
        print(forked(act)); free.set(); thread.join()
        print(own.snapshot()["m"].calls)
    """)
    assert out.split() == ["0", "1"]


@pytest.mark.fault("F2")
@needs_fork
@pytest.mark.parametrize("forks", [60, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_f2_forks_under_hammering_threads(forks: int) -> None:
    """F2: no child hangs, and counts are exact in the parent and in every child."""
    out = run(
        f"forks = {forks}"
        + textwrap.dedent("""
        own = Monitor()
        @own(model="m", id="auto")
        def predict(x): return x % 3
        stop, counts = threading.Event(), [0] * 4
        def hammer(which):
            while not stop.is_set():
                for x in range(50): predict(x)
                counts[which] += 50
                time.sleep(0.002)
        threads = [threading.Thread(target=hammer, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        def act():
            for x in range(10): predict(x)
            seen = own.snapshot()["m"]
            return seen.calls == 10 and seen.in_flight == 0 and seen.awaiting == 10
        bad = 0
        for _ in range(forks):
            bad += forked(act) != 0
        stop.set()
        for thread in threads: thread.join()
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(bad, seen.calls == sum(counts), seen.in_flight)
        """),
        seconds=60 + forks / 2,
    )
    assert out.split() == ["0", "True", "0"]


@pytest.mark.fault("F5")
@needs_fork
def test_f5_nothing_is_counted_twice() -> None:
    """F5: calls before the fork are the parent's alone; sums over processes are exact and origins differ."""
    out = run("""
        @monitor(model="m")
        def predict(): return 1
        for _ in range(1000): predict()
        read, write = os.pipe()
        for _ in range(4):
            def act():
                for _ in range(10): predict()
                snapshot = monitor.snapshot()
                os.write(write, (snapshot.to_json().replace("\\n", " ") + "\\n").encode())
                return snapshot["m"].calls == 10
            assert forked(act) == 0
        os.close(write)
        from modelmon import Snapshot
        total = monitor.snapshot()
        with os.fdopen(read) as lines:
            for line in lines: total = total.merge(Snapshot.from_json(line))
        print(total["m"].calls)
    """)
    assert out.split() == ["1040"]


@pytest.mark.fault("F5")
@needs_fork
def test_a_call_begun_before_the_fork_ends_uncounted_in_the_child() -> None:
    """Only the parent counts a call that runs while it forks."""
    out = run("""
        own = Monitor()
        @own(model="m")
        def predict():
            pid = os.fork()
            return pid
        pid = predict()
        seen = own.snapshot()["m"]
        if not pid:
            in_child(lambda: seen.calls == 0 and seen.in_flight == 0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.calls, seen.in_flight)
    """)
    assert out.split() == ["0", "1", "0"]


@pytest.mark.fault("E8")
def test_e8_signal_handler_calls_what_it_interrupted() -> None:
    """E8: a handler that predicts while the main thread records or drains neither hangs nor loses a call."""
    out = run("""
        own = Monitor()
        @own(model="m", id="auto")
        def predict(x): return x
        fired = [0]
        def handler(*_):
            fired[0] += 1
            predict(1)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        end, calls = time.monotonic() + 2.0, 0
        while time.monotonic() < end:
            for x in range(500): predict(x)
            calls += 500
            own.snapshot()
        signal.setitimer(signal.ITIMER_REAL, 0)
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(seen.calls == calls + fired[0], fired[0] > 50, seen.in_flight)
    """)
    assert out.split() == ["True", "True", "0"]


@pytest.mark.fault("E8")
def test_reading_from_a_handler_that_interrupted_a_reader_raises() -> None:
    """A reader that interrupts a reader in its own thread is told so instead of waiting for itself."""
    out = run("""
        from modelmon import BusyError
        own = Monitor()
        def read(_):
            try: own.snapshot()
            except BusyError as error: print("busy" if "normal code" in str(error) else error)
            try: own.label("a", 1)
            except BusyError: print("busy")
        own.home.hold(read)
        print(own.label("a", 1)["early"])
    """)
    assert out.split() == ["busy", "busy", "1"]


@pytest.mark.fault("E9")
def test_e9_finalisers_and_collections_record() -> None:
    """E9: finalisers and weak reference callbacks that predict during a collection lose nothing and never hang."""
    out = run("""
        import gc, weakref
        own = Monitor()
        @own(model="m", id="auto")
        def predict(x): return x
        fired = [0]
        class Node:
            def __init__(self): self.me = self
            def __del__(self):
                fired[0] += 1; predict(1)
        gc.callbacks.append(lambda phase, info: (fired.__setitem__(0, fired[0] + 1), predict(2)))
        gc.set_threshold(50)
        calls = 0
        for _ in range(300):
            for x in range(100): predict(x); Node()
            calls += 100
            own.snapshot()
        gc.callbacks.clear(); gc.set_threshold(0)
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(seen.calls == calls + fired[0], fired[0] > 30000, seen.in_flight)
    """)
    assert out.split() == ["True", "True", "0"]


@pytest.mark.fault("E17")
@pytest.mark.parametrize("order", ["before", "after"])
def test_e17_gevent(order: str) -> None:
    """E17: with gevent patched in before or after the import, counts are exact and the hub is not blocked."""
    pytest.importorskip("gevent")
    patch = "from gevent import monkey; monkey.patch_all()"
    out = run(
        f"""
        {patch if order == "after" else ""}
        import gevent
        from gevent import sleep
        own = Monitor()
        @own(model="m", id="key")
        def predict(key):
            sleep(0)
            return 1
        def work(which):
            for x in range(200): predict(f"{{which}}-{{x}}")
        def read():
            for _ in range(50): own.snapshot(); sleep(0)
        gevent.joinall([*(gevent.spawn(work, n) for n in range(20)), gevent.spawn(read)], raise_error=True)
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(seen.calls, seen.in_flight, seen.awaiting)
    """
        if order == "after"
        else f"""
        import gevent
        from gevent import sleep
        own = Monitor()
        @own(model="m", id="key")
        def predict(key):
            sleep(0)
            return 1
        def work(which):
            for x in range(200): predict(f"{{which}}-{{x}}")
        def read():
            for _ in range(50): own.snapshot(); sleep(0)
        {patch}
        gevent.joinall([*(gevent.spawn(work, n) for n in range(20)), gevent.spawn(read)], raise_error=True)
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(seen.calls, seen.in_flight, seen.awaiting)
    """
    )
    assert out.split() == ["4000", "0", "4000"]


def test_nobody_can_drain() -> None:
    """Past the hard cap, while a reader holds the lock, the newest records are dropped and counted."""
    out = run("""
        from modelmon.recorder import HARD_CAP
        own = Monitor()
        @own(model="m")
        def predict(): return 1
        calls = 3 * HARD_CAP
        def crowd(_):
            for _ in range(calls): predict()
            return len(own.home.seats[0].buffer) // own.home.seats[0].stride
        waiting = own.home.hold(crowd)
        snapshot = own.snapshot()
        predict()
        again = own.snapshot()["m"].calls
        dropped = sum(n for part in snapshot.parts for key, n in part.counts.get("self:dropped", {}).items())
        seen = snapshot["m"]
        print(waiting < 1.1 * HARD_CAP, seen.calls + dropped == calls, again - seen.calls, seen.in_flight)
    """)
    assert out.split() == ["True", "True", "1", "0"]


@pytest.mark.fault("C15")
def test_threads_lose_nothing() -> None:
    """Eight threads record while a ninth reads; every call is counted once."""
    out = run("""
        sys.setswitchinterval(1e-6)
        own = Monitor()
        @own(model="m", id="auto")
        def predict(x): return x
        def work():
            for x in range(20000): predict(x % 5)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        while any(thread.is_alive() for thread in threads): own.snapshot()
        for thread in threads: thread.join()
        seen = own.snapshot()["m"]
        own.check_invariants()
        print(seen.calls, sum(seen.predicted.values()), seen.in_flight, seen.awaiting)
    """)
    assert out.split() == ["160000", "160000", "0", "160000"]


@pytest.mark.fault("E7")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "TimeoutError"])
def test_e7_exceptions_of_signal_handlers_pass_and_leave_no_lock(error: str) -> None:
    """E7: what a handler raises at any instant reaches the user, once each, and reading works afterwards."""
    out = run(
        f"""
        import random
        own = Monitor()
        def handler(*_):
            fired.append(1)
            raise {error}
        signal.signal(signal.SIGALRM, handler)
        @own(model="m", id="auto")
        def predict(): return 1
        fired, caught = [], 0
        def work(turn):
            while len(fired) == turn: predict()
        for turn in range(1500):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00005 + random.random() * 0.0003)
                work(turn)
            except {error}: caught += 1
            if turn % 100 == 0:
                signal.setitimer(signal.ITIMER_REAL, 0)
                own.snapshot()
        done = []
        thread = threading.Thread(target=lambda: done.append(own.snapshot()["m"].in_flight))
        thread.start(); thread.join(10)
        print(caught, len(fired), done)
        """
    )
    caught, fired, active = out.split()
    assert caught == fired
    assert active == "[0]"
