"""Forks and exits with a store that waits for input and output; each runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

BEGIN = """
import os, signal, sys, threading, time
sys.path.insert(0, {here!r})
from modelmon import Monitor, Multiclass
from waiting_store import WaitingStore, numbers, until
store = WaitingStore()
own = Monitor(store=store, flush_interval=0.05)
@own(model="digit", id="key", task=Multiclass())
def predict(key): return int(key[-1])
def call(start, n):
    for key in numbers(start, n): predict(key)
def told(text): os.write(1, (text + "\\n").encode())
def forked(act):
    pid = os.fork()
    if not pid:
        signal.setitimer(signal.ITIMER_REAL, 60)
        try:
            ok = act()
        except BaseException:
            import traceback; traceback.print_exc(); ok = False
        os._exit(0 if ok else 3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run(script: str, *, said: str = "", seconds: float = 120) -> list[str]:
    """Run a script after the common beginning and return the lines it printed; it logs ``said``, or nothing."""
    text = BEGIN.format(here=str(Path(__file__).parent)) + textwrap.dedent(script)
    line = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", text]
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert said in done.stderr if said else not done.stderr, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.fault("F6")
@needs_fork
def test_a_child_begins_with_nothing_to_write() -> None:
    """The parent writes what it predicted, once; a child writes its own, by a thread of its own."""
    out = run("""
        store.gate.clear()
        call(0, 30)
        assert store.entered.wait(60)
        own.home.drain()
        store.gate.set(); until(lambda: sum(store.batches) == 30)
        call(30, 5)
        before = sum(store.batches)
        def act():
            store.batches.clear()
            call(100, 7)
            assert until(lambda: sum(store.batches) == 7)
            own.close()
            return sum(store.batches) == 7 and own.snapshot()["digit"].calls == 7
        print(forked(act))
        assert until(lambda: sum(store.batches) == 35)
        print(sum(store.batches))
    """)
    assert out == ["0", "35"]


@pytest.mark.fault("F1", "F2")
@needs_fork
def test_forks_while_the_store_is_busy() -> None:
    """A fork at any moment, also while the thread holds the turn and the recorder's lock, leaves no child hanging."""
    out = run("""
        stop = threading.Event()
        def hammer():
            start = 1000
            while not stop.is_set():
                call(start, 50); start += 50
                time.sleep(0.001)
        threads = [threading.Thread(target=hammer) for _ in range(2)]
        own.home.delivery._ticker.seconds = 0.001
        call(0, 1)
        assert own.flush(30)  # what is imported late is imported by now
        for thread in threads: thread.start()
        def act():
            fresh = WaitingStore()
            child = Monitor(store=fresh, flush_interval=0.01)
            call(0, 3)
            child.predictions(["order-1"], [1], model="child", task=Multiclass())
            done = child.flush(10) and sum(fresh.batches) == 1
            return done and own.home.hold(lambda held: held.process.series(("digit", "")).ended) == 3
        codes = {forked(act) for _ in range(40)}
        stop.set()
        for thread in threads: thread.join()
        own.close()
        print(codes)
    """)
    assert out == ["{0}"]


@pytest.mark.fault("E4")
def test_what_is_left_is_written_at_exit() -> None:
    """A program that ends right after a call loses nothing."""
    out = run("""
        import atexit
        atexit.register(lambda: told(f"written {sum(store.batches)}"))
        own.home.delivery._ticker.seconds = 60.0
        call(0, 12)
    """)
    assert out == ["written 12"]


@pytest.mark.fault("E1")
@pytest.mark.parametrize("how", ["store.fail()", "store.gate.clear()"], ids=["failing", "hanging"])
def test_a_store_that_is_away_at_exit_costs_two_seconds_at_most(how: str) -> None:
    """The program ends, one line says how many predictions were not written, and no error is raised."""
    begun = time.monotonic()
    run(f"call(0, 12); {how}; call(12, 5)", said="not written to the store")
    assert time.monotonic() - begun < 8


@pytest.mark.fault("F9")
@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_of_multiprocessing_writes_at_its_end(method: str, tmp_path: Path) -> None:
    """Such a process ends without running what is registered for the end of a program, and writes all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import multiprocessing, os, sys
        sys.path.insert(0, HERE)
        from waiting_store import WaitingStore, numbers
        from modelmon import Monitor, Multiclass

        class Telling(WaitingStore):
            def predict(self, predictions):
                os.write(1, f"{len(predictions.ids)}\\n".encode())
                return super().predict(predictions)

        own = Monitor(store=Telling(), flush_interval=60)

        @own(model="digit", id="key", task=Multiclass())
        def predict(key):
            return int(key[-1])

        def work():
            for key in numbers(0, 9):
                predict(key)

        if __name__ == "__main__":
            worker = multiprocessing.get_context(METHOD).Process(target=work)
            worker.start()
            worker.join()
        """)
        .replace("HERE", repr(str(Path(__file__).parent)))
        .replace("METHOD", repr(method))
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["9"], done.stderr
