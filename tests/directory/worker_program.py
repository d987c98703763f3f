"""Programs for tests of the directory: each runs in a process of its own, and forks workers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import os, resource, shutil, signal, sys, threading, time
from pathlib import Path
from modelmon import Monitor, Multiclass, Snapshot
root = Path({root!r})
{first}
own = Monitor(directory=root, flush_interval=0.05)
@own(model="digit", version="1", task=Multiclass())
def predict(key): return key % 10
def call(n):
    for key in range(n): predict(key)
def told(*values): os.write(1, (" ".join(map(str, values)) + "\\n").encode())
def begun(act):
    "Fork a worker that acts and ends without a word to its parent."
    pid = os.fork()
    if not pid:
        signal.setitimer(signal.ITIMER_REAL, 60)
        try:
            act(); code = 0
        except BaseException:
            import traceback; traceback.print_exc(); code = 3
        os._exit(code)
    return pid
def ended(pid): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def publish(): assert own.home.publication.finish(10)
def leave():
    "Do what the end of a program does."
    own.home.publication.start()
    assert own.home.publication._begin_exit()(10)
def fold():
    own.home.publication._turns = 0
    publish()
def scraped(): return Snapshot(own.home.scraped())
def shown(): return scraped()["digit"].calls if "digit" in scraped() else 0
def files(): return sorted(path.suffix for path in (root / "workers").iterdir())
def failures(): return dict(scraped().counts("exporter_failures").items())
def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end: time.sleep(0.02)
    return true()
"""


STILL = "from modelmon.directory import publication; publication.INTERVAL_S = 3600.0"


def run(root: Path, script: str, *, said: str = "", seconds: float = 120, first: str = "") -> list[str]:
    """Run a script after the common beginning and return the lines it printed; it logs ``said``, or nothing.

    With ``first=STILL`` nothing is written or added up but by the script.
    """
    text = BEGIN.format(root=str(root), first=first) + textwrap.dedent(script)
    line = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", text]
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert said in done.stderr if said else not done.stderr, done.stderr[-3000:]
    return done.stdout.splitlines()
