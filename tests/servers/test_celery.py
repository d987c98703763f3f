"""Celery's prefork workers: what their tasks predict is counted exactly, though they are recycled and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("celery", reason="Celery comes with the dev extra")

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(200),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
HERE = Path(__file__).parent


def variables(folder: Path) -> dict[str, str]:
    """Return the environment of a program that has to do with the application."""
    own = {"PYTHONPATH": str(HERE), "CELERY_FOLDER": str(folder), "MODELMON_DIRECTORY": str(folder / "machine")}
    return {**os.environ, **own}


@contextmanager
def worker(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker with two processes; at the end it is told to stop, and must do so in time."""
    line = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "prefork", "--concurrency", "2"]
    line += ["--without-gossip", "--without-mingle", "--without-heartbeat", *options]
    log = folder / "celery.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(line, stdout=said, stderr=said, env=variables(folder), cwd=folder) as process,
    ):
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0, log.read_text()[-3000:]
        finally:
            process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


def asked(folder: Path, program: str) -> list[str]:
    """Run a program that sends tasks; return the lines it printed."""
    text = "from celery_tasks import app\nfrom pooled_model import shown\n" + textwrap.dedent(program)
    line = [sys.executable, "-c", text]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False, env=variables(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


SEND = """
def send(name, numbers):
    sent = [app.send_task(name, (number,)) for number in numbers]
    return [one.get(timeout=60) for one in sent]
"""


@pytest.mark.fault("F9")
@pytest.mark.parametrize("options", [(), ("--max-tasks-per-child", "5")], ids=["plain", "recycled"])
def test_tasks_are_counted_exactly(options: tuple[str, ...], tmp_path: Path) -> None:
    """All calls and joins are there when the worker has ended, though its processes end without atexit."""
    with worker(tmp_path, *options):
        asked(tmp_path, SEND + "send('classify', range(60)); send('label', range(60))")
    assert asked(tmp_path, "print(*shown())") == ["60 60"]
