"""Programs whose pools of processes predict; each tells what it asked for, and then what the machine shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BEGIN = """
import multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from modelmon import Monitor
from pooled_model import predict, shown, told
def until(true):
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end: time.sleep(0.1)
"""


def run(folder: Path, program: str, *, seconds: float = 100) -> list[str]:
    """Run a program in a process of its own, with a directory for the machine; return the lines it printed."""
    path = folder / "program.py"
    lines = "\n".join("    " + line for line in program.strip().splitlines())
    path.write_text(f'{BEGIN}\nif __name__ == "__main__":\n{lines}\n', "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(HERE), "MODELMON_DIRECTORY": str(folder / "machine")}
    line = [sys.executable, "-W", "error:::modelmon", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not done.stderr, done.stderr[-3000:]
    return done.stdout.splitlines()
