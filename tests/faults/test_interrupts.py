"""Ctrl-C at random instants of calls, flushes, label calls and the end: it passes, once, and leaves nothing held."""

from __future__ import annotations

import random
import signal
import sys
import time

import programs
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


@pytest.mark.fault("E7")
@pytest.mark.parametrize(
    ("act", "times"), [("call", 200), ("flush", 200), ("label", 200), ("read", 200), ("close", 40)]
)
def test_interrupts_leave_nothing_held(act: str, times: int, tmp_path) -> None:
    """Ctrl-C strikes many times amid one thing, and passes; then everything works, from other threads too."""
    ended = programs.run(
        f"""
        import random
        chance = random.Random(7)
        own = Monitor(store="sqlite://{tmp_path}/labels.db", flush_interval=0.01)
        """
        """
        seen = []
        own.add(every(0.005, lambda snapshot: seen.append(snapshot["m"].calls)))
        ended = 0
        @own(model="m", id="key")
        def predict(key): return 1
        acts = {
            "call": lambda: predict("c"),
            "flush": lambda: own.flush(5),
            "label": lambda: own.labels(["a", "b"], [1, 1]),
            "read": own.snapshot,
            "close": lambda: (own.close(5), own.add(every(0.005, lambda snapshot: seen.append(1)))),
        }
        act = acts[sys.argv[1]]
        predict("a"); predict("b"); own.flush(10)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        struck = odd = 0
        end = time.monotonic() + 60
        while struck < int(sys.argv[2]) and time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + 0.003 * chance.random() ** 2, 0.5)
                while True: act()
            except KeyboardInterrupt:
                struck += 1
            except BaseException as error:
                odd += 1
                import traceback; traceback.print_exc()
            signal.setitimer(signal.ITIMER_REAL, 0)
        done = []
        def after():
            own.add(every("1h", lambda snapshot: done.append("exported")))
            predict("z")
            done.append(own.flush(60))
            done.append(own.label("z", 1)["joined"])
            done.append(own.snapshot()["m"].in_flight)
            own.check_invariants()
        thread = threading.Thread(target=after, daemon=True); thread.start(); thread.join(80)
        told(struck, odd, sorted(map(str, done)))
        """,
        act,
        str(times),
        seconds=160,
    )
    assert ended.code == 0, ended.error
    assert ended.out == [f"{times} 0 ['0', '1', 'True', 'exported']"]


PROGRAM = """
url = {url!r}
own = Monitor(store=url, flush_interval=0.02)
own.add(every(0.01, lambda snapshot: snapshot["m"].calls))
@own(model="m", id="auto")
def predict(x): return x
predict(1); own.flush(10); own.snapshot()  # CPython's imports may swallow a signal, or keep their lock after it
told("begun")
for turn in range({turns}):
    for x in range(200): predict(1)
    if turn % 10 == 9: own.flush(1)
"""


@pytest.mark.fault("E7")
@pytest.mark.parametrize(
    "times", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=["few", "many"]
)
def test_an_interrupt_ends_a_program_with_one_traceback(times: int, tmp_path) -> None:
    """Once all is loaded, until after the last call: by the signal, or as it would have ended; never two tracebacks."""
    chance = random.Random(11)
    for number in range(times):
        script = PROGRAM.format(url=f"sqlite://{tmp_path}/labels-{number % 3}.db", turns=60)
        process = programs.start(script)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0.0, 0.6))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
        if process.returncode:
            # 1 where the end still had modules to load: CPython forgets its note of the signal at any exec of a text
            assert process.returncode in {-signal.SIGINT, 1}, error
            assert error.count("Traceback (most recent call last)") <= 1, error  # none, where the end was reached
            assert error.count("KeyboardInterrupt") <= 2, error
        else:
            assert not error


@pytest.mark.fault("E7")
def test_a_second_interrupt_ends_the_wait_at_the_end() -> None:
    """While the end waits for an exporter that hangs, Ctrl-C ends the wait at once and without a word."""
    process = programs.start("""
        import atexit
        from modelmon import exiting
        exiting._exit.left = 60
        own = Monitor()
        own.add(every("1h", lambda snapshot: (told("hanging"), threading.Event().wait())))
        atexit.register(lambda: told("gone"))
    """)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert "hanging\n" in lines or process.stdout.readline() == "hanging\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=90)
    assert (process.returncode, error) == (0, "")
    assert time.monotonic() - begun < 30


@pytest.mark.fault("E7")
@pytest.mark.parametrize("delay", [0.02, 0.06, 0.1])
def test_an_interrupt_amid_the_first_count(delay: float) -> None:
    """Where it strikes while numpy is imported for the first time, the next attempt works."""
    ended = programs.run(
        """
        own = Monitor()
        @own(model="m")
        def predict(): return 1
        predict()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
        try:
            own.snapshot()
            time.sleep(5)
        except KeyboardInterrupt: pass
        told(own.snapshot()["m"].calls, own.flush(5))
        own.check_invariants()
        """,
        str(delay),
    )
    assert (ended.code, ended.out, ended.error) == (0, ["1 True"], "")
