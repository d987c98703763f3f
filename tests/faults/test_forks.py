"""Forks at bad moments: while exporters log or hang, in threads and children, with hooks that fail."""

from __future__ import annotations

import os
import subprocess
import sys

import programs
import pytest

from modelmon import forking

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.fault("F3")
@pytest.mark.parametrize("forks", [80, pytest.param(200, marks=pytest.mark.slow)])
def test_forks_while_an_exporter_logs(forks: int, tmp_path) -> None:
    """An exporter logs all the time, to a file and by a pool to a stream; no fork strikes, and every child can log."""
    ended = programs.run(
        """
        import logging
        from concurrent.futures import ThreadPoolExecutor
        from modelmon import forking
        forking.FOREIGN_S = 50.0  # an export lasts longer than the usual 50 ms on a machine that is busy enough
        target = logging.FileHandler(sys.argv[1])
        logging.getLogger().addHandler(target)
        stream = open(sys.argv[1] + "2", "w")
        own = Monitor()
        @own(model="m")
        def predict(): return 1
        pool = ThreadPoolExecutor(1)
        def export(snapshot):
            for n in range(5):
                logging.getLogger("host").warning("line %d of an export", n)
                pool.submit(print, "x" * 3000, file=stream).result()
                forking.load("modelmon.snapshot")
        own.add(every(0.002, export))
        predict(); own.flush()
        def act():
            logging.getLogger("host").warning("child")
            print("child", file=stream)
            stream.flush()
            predict()
            return own.snapshot()["m"].calls == 1
        codes = [forked(act) for _ in range(int(sys.argv[2]))]
        told(set(codes), forking.gate_timeouts())
        """,
        str(tmp_path / "log"),
        str(forks),
        seconds=110,
    )
    assert (ended.code, ended.out, ended.error) == (0, ["{0} 0"], "")


@pytest.mark.fault("F3")
def test_a_fork_while_a_module_that_has_a_logger_is_loaded(tmp_path) -> None:
    """What is imported late may want the lock that `logging` takes before a fork, which waits before that is taken."""
    (tmp_path / "late.py").write_text("import logging, time\ntime.sleep(1)\nlogger = logging.getLogger('late')\n")
    ended = programs.run(
        """
        import logging
        from modelmon import forking
        sys.path.append(sys.argv[1])
        thread = threading.Thread(target=forking.load, args=("late",))
        thread.start()
        while "late" not in sys.modules: time.sleep(0.001)
        told(forked(lambda: forking.load("late").logger is not None, 20), forking.gate_timeouts())
        thread.join()
        """,
        str(tmp_path),
    )
    assert (ended.code, ended.out, ended.error) == (0, ["0 0"], "")


@pytest.mark.fault("F4")
def test_forks_while_exporters_hang() -> None:
    """The first fork waits a fixed time for all of them, later ones not at all; it is counted; a child can export."""
    ended = programs.run("""
        from modelmon import forking
        told(forking.FOREIGN_S)
        forking.FOREIGN_S = 2.0
        own = Monitor()
        @own(model="m")
        def predict(): return 1
        inside = [threading.Event() for _ in range(3)]
        pid = os.getpid()
        def hang(event):
            def export(snapshot):
                event.set()
                if os.getpid() == pid: threading.Event().wait()
            return export
        for event in inside: own.add(every("1h", hang(event)))
        predict(); own.flush(0.01)
        for event in inside: assert event.wait(60)
        def act():
            predict()
            return own.flush(5) and own.snapshot()["m"].calls == 1
        waits = []
        for _ in range(10):
            begun = time.monotonic()
            child = os.fork()
            if not child: os._exit(0)
            waits.append(time.monotonic() - begun)
            os.waitpid(child, 0)
        told(2.0 <= waits[0] < 5.5, sorted(waits[1:])[5] < 1.5, forked(act))
        part = own.snapshot().parts[0].counts
        told(part["self:internal_errors"].get(("fork_gate_timeout",)) >= 3)
        os._exit(0)
    """)
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["0.05", "True True 0", "True"]


@pytest.mark.fault("F8")
def test_grandchildren_and_forks_in_threads() -> None:
    """A child of a child, and a child of a thread other than the main one, begin at zero and count their own."""
    ended = programs.run("""
        @monitor(model="m")
        def predict(): return 1
        for _ in range(5): predict()
        def count(n):
            for _ in range(n): predict()
            return monitor.snapshot()["m"].calls == n
        def nested():
            return count(3) and forked(lambda: count(2)) == 0 and count(0) is False
        told(forked(nested))
        codes = []
        def fork(): codes.append(forked(lambda: count(4)))
        threads = [threading.Thread(target=fork) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        told(codes, monitor.snapshot()["m"].calls)
    """)
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["0", "[0, 0, 0, 0] 5"]


@pytest.mark.fault("F8", "F9")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_export_at_their_end(method: str, tmp_path) -> None:
    """Each worker exports a last time what it counted, once, however it was started."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing, os
from modelmon import every, monitor

@monitor(model="m")
def predict(): return 1

monitor.add(every("1h", lambda snapshot: os.write(1, (str(snapshot["m"].calls) + "\\n").encode())))

def work(n):
    for _ in range(n): predict()
    monitor.snapshot()  # a busy machine may need more than the two seconds of the end to load what counts

if __name__ == "__main__":
    predict()
    monitor.snapshot()
    context = multiprocessing.get_context({method!r})
    workers = [context.Process(target=work, args=(n,)) for n in (3, 4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
""")
    ended = programs.run(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')")
    if method == "fork":
        assert (ended.code, sorted(ended.out), ended.error) == (0, ["1", "3", "4"], "")
    else:
        done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, sorted(done.stdout.split()), done.stderr) == (0, ["1", "3", "4"], "")


@pytest.mark.fault("F8")
def test_other_programs_are_started_without_a_word() -> None:
    """``subprocess`` and ``posix_spawn`` start other programs while exporters run; nothing of ours runs there."""
    ended = programs.run("""
        import subprocess
        @monitor(model="m")
        def predict(): return 1
        monitor.add(every(0.01, lambda snapshot: None))
        predict()
        told(subprocess.run([sys.executable, "-c", "import threading; print(threading.active_count())"],
                            capture_output=True, text=True).stdout.strip())
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], {})
        told(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert (ended.code, ended.out, ended.error) == (0, ["1", "0"], "")


@pytest.mark.fault("F10")
def test_monitors_that_are_gone_leave_nothing_at_forks() -> None:
    """A hundred monitors with exporters are collected, threads and all, before a fork; it says and does nothing."""
    ended = programs.run("""
        import gc, weakref
        from modelmon import forking
        def make():
            own = Monitor()
            @own(model="m")
            def predict(): return 1
            reader = own.add(every("1h", lambda snapshot: None))
            predict(); own.close()
            return weakref.ref(own), weakref.ref(own.home), weakref.ref(reader)
        make()
        gc.collect()
        base = len(forking._fork.renewables), len(forking._fork.gates)
        kept = [reference for _ in range(100) for reference in make()]
        end = time.monotonic() + 30
        while sum(reference() is not None for reference in kept) and time.monotonic() < end: gc.collect()
        told(sum(reference() is not None for reference in kept))
        told(len(forking._fork.renewables) <= base[0], len(forking._fork.gates) <= base[1])
        told(forked(lambda: True))
    """)
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["0", "True True", "0"]


@pytest.mark.fault("F11")
def test_a_hook_that_raises_stops_no_other() -> None:
    """Something that cannot begin anew in the child is passed over, silently, and all others begin anew."""
    ended = programs.run("""
        from modelmon.forking import renew_in_child
        class Broken:
            def renew(self): raise ValueError("broken")
        things = [Broken() for _ in range(20)]
        for thing in things: renew_in_child(thing)
        @monitor(model="m")
        def predict(): return 1
        predict()
        def act():
            predict()
            return monitor.snapshot()["m"].calls == 1
        told(forked(act))
    """)
    assert (ended.code, ended.out, ended.error) == (0, ["0"], "")


@pytest.mark.fault("F12")
def test_no_thread_of_ours_exists_before_one_is_needed() -> None:
    """Importing, declaring, calling, reading and labelling start none, so a fork warns of nothing."""
    ended = programs.run(
        """
        @monitor(model="m", id="key")
        def predict(key): return 1
        for n in range(3000): predict(str(n))
        assert monitor.label("1", 1)["joined"] == 1
        assert monitor.snapshot()["m"].calls == 3000
        faulthandler.cancel_dump_traceback_later()
        told(threading.active_count(), forked(lambda: predict("x") == 1))
        """,
        options=("-W", "error"),
    )
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["1 0"]


@pytest.mark.fault("F15")
def test_a_process_id_that_comes_again() -> None:
    """Processes are told apart by random names: two with one process id are two."""
    ended = programs.run("""
        from modelmon import Snapshot
        os.getpid = lambda: 7
        read, write = os.pipe()
        @monitor(model="m")
        def predict(): return 1
        predict()
        def act():
            predict()
            os.write(write, (monitor.snapshot().to_json().replace("\\n", " ") + "\\n").encode())
            return True
        codes = [forked(act) for _ in range(3)]
        os.close(write)
        with os.fdopen(read) as lines: parts = [Snapshot.from_json(line) for line in lines]
        told(codes, monitor.snapshot().merge(*parts)["m"].calls)
    """)
    assert (ended.code, ended.out, ended.error) == (0, ["[0, 0, 0] 4"], "")


def test_what_a_fork_waits_for_may_grow_meanwhile() -> None:
    """Another thread that makes an exporter while the hook looks costs a second look, and no word on stderr."""
    looks = []

    class Growing(list):  # type: ignore[type-arg]
        def __iter__(self):
            looks.append(1)
            if len(looks) < 3:
                raise RuntimeError
            return super().__iter__()

    assert forking._all(Growing("ab")) == ["a", "b"]
    assert len(looks) == 3
