"""Programs under other switches of the interpreter, in interpreters within it, and beside a loss of power."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import modelmon
from modelmon import Monitor, SQLiteStore

if TYPE_CHECKING:
    import sqlite3

PACKAGE = Path(modelmon.__file__).parent
NORMAL, FULL = 1, 2
PROGRAM = """
    import asyncio, sys, warnings
    from modelmon import Binary, LabelClient, Monitor, SQLiteStore, every
    own = Monitor(store=SQLiteStore("labels.db"))
    seen = []
    own.add(every("1h", seen.append))
    @own(model="m", id="key", task=Binary(), attributes=("country",))
    def predict(key, x, country="de"): return x
    @own(model="stream")
    def stream(n): yield from range(n)
    @own(model="async")
    async def later(x):
        await asyncio.sleep(0)
        return x
    for n in range(1000): predict(n, n / 1000)
    try: predict()
    except TypeError: pass
    list(stream(5)); asyncio.run(later(1))
    own.labels(range(500), [0, 1] * 250)
    with LabelClient(SQLiteStore("labels.db")) as client: client.label(500, 1)
    read = own.snapshot()
    own.check_invariants(); own.close()
    print(read["m"].calls, read["m"].labelled, read["stream"].calls, read["async"].calls, len(seen))
"""


@pytest.mark.fault("E21")
@pytest.mark.parametrize("switches", ["-O", "-OO", "-W error", "-X dev -W error", "-bb", "-I", "-OO -bb -W error"])
def test_switches_of_the_interpreter(switches: str, tmp_path: Path) -> None:
    """Optimised, in development mode, with bytes told from text and warnings as errors, all is as ever and silent."""
    line = [sys.executable, *switches.split(), "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1000", "501", "1", "1", "1"]), done.stderr[-2000:]
    assert done.stderr == ""


@pytest.mark.fault("E21")
def test_nothing_rests_on_assertions() -> None:
    """The package asserts nothing: what ``-O`` takes away is not there."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


WITHIN = """
    import threading
    from modelmon import Monitor, monitor
    before = threading.active_count()
    own = Monitor()
    @own(model="m", id="key")
    def predict(key, x): return x
    @own
    def fail(): raise LookupError
    for n in range(5000): predict(n, n % 2)
    for _ in range(10):
        try: fail()
        except LookupError: pass
    assert threading.active_count() == before
    with open("within", "a") as file: file.write("done ")
"""


@pytest.mark.fault("E20")
def test_interpreters_within_the_interpreter(tmp_path: Path) -> None:
    """Three of them one after the other: calls are recorded and return, whatever cannot be imported there."""
    program = f"""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        text = {textwrap.dedent(WITHIN)!r}
        for _ in range(3):
            made = interpreters.create()
            failed = (getattr(interpreters, "exec", None) or interpreters.run_string)(made, text)
            assert failed is None, failed
            interpreters.destroy(made)
        print("ended")
    """
    line = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    if "No module named" in done.stderr and "interpreters" in done.stderr:
        pytest.skip("this Python gives no access to interpreters within it")
    assert (done.returncode, done.stdout.split()) == (0, ["ended"]), done.stderr[-2000:]
    assert (tmp_path / "within").read_text().split() == ["done"] * 3


@pytest.mark.fault("E19")
@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has its global lock")
def test_threads_without_the_global_lock() -> None:
    """Eight threads that really run at once, beside one that reads, lose no call."""
    own, calls = Monitor(), 20_000

    @own(model="m", id="auto")
    def predict(x: int) -> int:
        return x % 3

    def work() -> None:
        for x in range(calls):
            predict(x)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        own.snapshot()
    assert own.snapshot()["m"].calls == 8 * calls
    own.check_invariants()


@pytest.mark.fault("S8")
@pytest.mark.parametrize("flush", ["labels", "always"])
def test_commits_of_labels_reach_the_disk(tmp_path: Path, flush: str) -> None:
    """A label is acknowledged by a flushed commit; predictions are flushed with it, or always if asked for."""
    store = SQLiteStore(tmp_path / "labels.db", flush=flush)
    database, levels = store._database, []
    flushed = database.flush

    def note(connection: sqlite3.Connection, *, full: bool) -> None:
        flushed(connection, full=full)
        levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])

    database.flush = note
    own = Monitor(store=store)
    own.predictions(["a"], [1], model="m")
    own.flush()
    written, levels[:] = list(levels), []
    own.label("a", 1)
    assert set(levels) == {FULL}
    assert written[-1] == (FULL if flush == "always" else NORMAL)
    own.close()
    store.close()
