"""Programs whose first call does not return: stores, directory and exporters have all that came after it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from modelmon import LabelClient, Monitor

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 50
PROGRAM = """
import asyncio, os, shutil, sys, tempfile, threading, time
from modelmon import Binary, Monitor, monitor

class Reader:
    attached, begun, slow = 0, threading.Event(), 0
    def attach(self, source):
        Reader.attached += 1
        Reader.begun.set()
        time.sleep(Reader.slow)
    def close(self, timeout): pass

monitor.add(Reader())
over, lasting = threading.Event(), threading.Event()

@monitor(model="m", task=Binary("bad"), id="i")
def score(i):
    if i == "raises": raise ValueError
    if i == "lasts":
        lasting.set()
        over.wait(60)
    return .7

@monitor(model="m", task=Binary("bad"), id="i")
async def score_later(i):
    await asyncio.sleep(60 if i == "cancelled" else 0)
    return .7

@monitor(model="m", task=Binary("bad"), id="i", output=lambda item: item if type(item) is float else None)
def speak(i):
    yield "word"
    if i != "closed": yield .7

def raises():
    try: score("raises")
    except ValueError: pass
    for n in range(CALLS): score(f"o{n}")

def lasts():
    threading.Thread(target=score, args=("lasts",), daemon=True).start()
    assert lasting.wait(60)
    for n in range(CALLS): score(f"o{n}")

def closed():
    stream = speak("closed"); next(stream); stream.close()
    for n in range(CALLS): list(speak(f"o{n}"))

def cancelled():
    async def serve():
        task = asyncio.ensure_future(score_later("cancelled"))
        await asyncio.sleep(.01)
        task.cancel()
        for n in range(CALLS): await score_later(f"o{n}")
    asyncio.run(serve())

def forked():
    score("warm")
    pid = os.fork()
    if pid:
        ended = os.waitpid(pid, 0)[1]
        monitor.close()
        os._exit(ended)
    assert Reader.attached == 1
    raises()
    assert Reader.attached == 2

def again():
    score("warm")
    monitor.close()
    raises()

def once_more():
    score("warm")
    monitor.close()
    for n in range(CALLS): score(f"o{n}")

def slow_start():
    folder = tempfile.mkdtemp()  # so that all is imported, and slow for one reason alone
    other = Monitor(store=f"sqlite://{folder}/labels.db", directory=f"{folder}/machine")
    other(lambda: 1, model="other")()
    other.close()
    shutil.rmtree(folder)
    Reader.begun.clear()
    Reader.slow = .3
    monitor.home.rouse()
    threading.Thread(target=score, args=("lasts",), daemon=True).start()
    assert Reader.begun.wait(60)
    for n in range(CALLS): score(f"o{n}")

CALLS = int(sys.argv[2])
globals()[sys.argv[1]]()
if sys.argv[3] == "stays":
    print("made", flush=True)
    time.sleep(60)
"""
SHAPES = ["raises", "lasts", "closed", "cancelled", "again", "once_more", "slow_start"]
if hasattr(os, "fork"):
    SHAPES.append("forked")
WARM = {"again", "once_more", "forked"}
"""Those that make one call more, before."""


def started(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the program."""
    line = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", PROGRAM, *arguments]
    pipe = subprocess.PIPE
    environment = {**os.environ, **variables}
    return subprocess.Popen(line, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


@pytest.mark.parametrize("first", SHAPES)
def test_all_is_written_when_the_program_ends(first: str, tmp_path: Path) -> None:
    """With a store of their own, or that of the directory, predictions are there; the directory has all calls."""
    stores = {"MODELMON_STORE": f"sqlite://{tmp_path}/own.db"}, {"MODELMON_DIRECTORY": f"{tmp_path}/machine"}
    for variables, store in zip(stores, (tmp_path / "own.db", tmp_path / "machine" / "labels.db"), strict=True):
        with started(first, str(CALLS), "ends", **variables) as program:
            assert program.communicate(timeout=90) == ("", "")
        with LabelClient(store) as client:
            report = client.labels([f"o{n}" for n in range(CALLS)], ["bad"] * CALLS)
        assert dict(report) == {"joined": CALLS}
    reader = Monitor(directory=tmp_path / "machine")
    failed = 0 if first in {"lasts", "once_more", "slow_start"} else 1
    assert reader.snapshot()["m"].calls == CALLS + failed + (first in WARM)
    reader.close()


@pytest.mark.parametrize("first", SHAPES)
def test_all_is_written_and_shown_while_the_program_goes_on(first: str, tmp_path: Path) -> None:
    """Threads write soon, and exporters of the environment listen, without a thousand calls and without an end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    variables = {
        "MODELMON_DIRECTORY": f"{tmp_path}/machine",
        "MODELMON_EXPORTERS": "prometheus",
        "MODELMON_PROMETHEUS_PORT": f"{port},0",
    }
    reader = Monitor(directory=tmp_path / "machine")
    with started(first, str(CALLS), "stays", **variables) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "made\n"
        wanted, end = CALLS + (first in WARM), time.monotonic() + 30
        while time.monotonic() < end:
            known = reader.snapshot().get("m")
            if known is not None and known.awaiting == wanted and known.calls >= wanted:
                break
            time.sleep(0.1)
        assert known is not None
        assert known.awaiting == wanted
        if first not in {"again", "once_more"}:  # close() ended that exporter, which was the program's wish
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                assert b"modelmon_calls_total" in answer.read()
        os.killpg(program.pid, signal.SIGKILL)  # the children too
        program.communicate()
    reader.close()
