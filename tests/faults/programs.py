"""Programs that run in a process of their own, so that how they end can be seen; one that hangs is killed and fails."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from typing import NamedTuple

BEGIN = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later({seconds}, exit=True)
from modelmon import Monitor, every, monitor
def told(*words):
    moment = (time.monotonic(),) if words == ("leaving",) else ()  # one clock for all processes of a system
    os.write(1, (" ".join(map(str, (*words, *moment))) + "\\n").encode())
def forked(act, seconds=60):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, chain=True)  # it says where it hangs, then it is gone
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            ok = act()
        except BaseException:
            import traceback; traceback.print_exc(); ok = False
        os._exit(0 if ok else 3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
STRICT = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")


class Ended(NamedTuple):
    """How a program ended.

    Attributes:
        code: its exit status; minus the signal that killed it.
        out: the lines it printed.
        error: what it wrote to its standard error.
        leaving: seconds from the moment it printed ``leaving`` until it was gone; else all it took.
    """

    code: int
    out: list[str]
    error: str
    leaving: float


def run(script: str, *arguments: str, seconds: float = 90, options: tuple[str, ...] = STRICT, first: str = "") -> Ended:
    """Run a script after the common beginning, and a line before that, until it ends."""
    process = start(script, *arguments, seconds=seconds, options=options, first=first)
    out, at = [], time.monotonic()
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        out.append(line.rstrip("\n"))
        if out[-1].startswith("leaving "):
            out[-1], at = "leaving", float(out[-1].split()[1])
    error = process.stderr.read()
    code = process.wait(seconds)
    process.stdout.close()
    process.stderr.close()
    return Ended(code, out, error, time.monotonic() - at)


def start(
    script: str, *arguments: str, seconds: float = 90, options: tuple[str, ...] = STRICT, first: str = ""
) -> subprocess.Popen[str]:
    """Start a script after the common beginning, and a line before that."""
    text = first + BEGIN.format(seconds=seconds) + textwrap.dedent(script)
    line = [sys.executable, *options, "-c", text, *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
