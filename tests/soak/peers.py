"""The same small programs by this library and by its peers: leaving while a collector hangs, forking, dead workers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import recipes

LONGEST = 120.0
CALLS, CHILDREN, EACH = 1000, 4, 10
_PACKAGES = ("modelmon", "prometheus_client", "opentelemetry-sdk")


class Trial(NamedTuple):
    """What one library did in one program.

    Attributes:
        case: what was tried.
        who: the library, and how it was set up.
        measured: what came out, as text.
    """

    case: str
    who: str
    measured: str


def compare(workers: int, out: Path) -> int:
    """Try everything, print a table and write it to ``peers.json`` of a folder."""
    right = CALLS + CHILDREN * EACH
    cases = {
        "exit while the collector hangs": (recipes.EXITS, _leave),
        f"{CALLS:,} calls, then {CHILDREN} forks of {EACH}: sum (right: {right:,})": (recipes.FORKS, _count),
        f"{workers:,} dead workers: files, size, first scrape, later scrapes": (
            recipes.WORKERS,
            lambda script: _bury(script, workers),
        ),
    }
    trials = []
    for case, (scripts, tried) in cases.items():
        print(case)  # noqa: T201
        for who, script in scripts.items():
            trials.append(Trial(case, who, tried(script)))
            print(f"  {who:47} {trials[-1].measured}", flush=True)  # noqa: T201
    versions = {name: version(name) for name in _PACKAGES}
    print("; ".join(f"{name} {number}" for name, number in versions.items()))  # noqa: T201
    out.mkdir(parents=True, exist_ok=True)
    state = {"versions": versions, "load": os.getloadavg()[0], "trials": [trial._asdict() for trial in trials]}
    (out / "peers.json").write_text(json.dumps(state, indent=1), "utf-8")
    return 0


def _leave(script: str) -> str:
    """Time a program from the moment it has nothing left to do, while a server takes what it sends and never answers.

    Returns:
        seconds, or that it was killed.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hanging, _started(script, hanging) as process:
        assert process.stdout is not None
        process.stdout.readline()
        at = time.monotonic()
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"killed after {LONGEST:.0f} s"
        return f"{time.monotonic() - at:.1f} s"


@contextlib.contextmanager
def _started(script: str, hanging: socket.socket):
    port = str(hanging.getsockname()[1])
    line = [sys.executable, "-c", script, port]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _count(script: str) -> str:
    """Add up what each process of a program would export."""
    with tempfile.TemporaryDirectory() as folder:
        said = _run(script, folder, str(CALLS), str(CHILDREN), str(EACH))
    return f"{sum(float(line) for line in said):,.0f}"


def _bury(script: str, workers: int) -> str:
    """Let workers begin, count and end one after the other; then scrape, and see what they left."""
    with tempfile.TemporaryDirectory() as folder:
        said = [float(line) for line in _run(script, folder, str(workers))]
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 2**20
    counted, first, *later = said
    right = "" if counted == workers * EACH else f"; counted {counted:,.0f} of {workers * EACH:,}"
    middle = sorted(later)[len(later) // 2] * 1e3
    return f"{len(files):,} files, {size:.1f} MiB, {first * 1e3:.0f} ms, {middle:.0f} ms{right}"


def _run(script: str, folder: str, *arguments: str) -> list[str]:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder} if "multiprocess" in script else None
    line = [sys.executable, "-c", script, folder, *arguments]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, env=environment, timeout=600, check=True)
    return done.stdout.split()
