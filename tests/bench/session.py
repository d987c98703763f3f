"""Run groups of figures, each in a process of its own, and show what came out."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from budget import Budget
from figures import Figure, table, verdict, write_json, write_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# group -> module and function that measure it
GROUPS = {
    "call": "calls.call",
    "shapes": "calls.shapes",
    "streams": "calls.streams",
    "drained": "calls.drained",
    "records": "drains.records",
    "batches": "drains.batches",
    "labels": "joins.labels",
    "whole": "joins.whole",
    "stores": "stores.stores",
    "confusion": "quality.confusion",
    "scores": "quality.scores",
    "scrapes": "pages.scrapes",
    "imports": "pages.imports",
    "weights": "memory.weights",
    "steadiness": "memory.steadiness",
    "collections": "memory.collections",
    "threads": "memory.threads",
    "gpu": "devices.sampler",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 0 unless a group failed."""
    options = _parser().parse_args(arguments)
    if options.measure:
        return _measure(options)
    started, groups, failed, loads = time.monotonic(), {}, 0, []
    for name in options.group or GROUPS:
        figures, seconds = _group(name, options)
        failed += not figures
        groups[name] = figures
        loads += os.getloadavg()[:1] if hasattr(os, "getloadavg") else []
        _say(f"{name}: {len(figures)} figures in {seconds:.0f} s")
    _say("\n" + table(groups))
    every = [figure for figures in groups.values() for figure in figures]
    _say(f"\n{verdict(every)}; {time.monotonic() - started:.0f} s.")
    mode = f"{'quick' if options.quick else 'full'} run"
    if loads:
        mode += f", load {median(loads):.1f} (ours alone is 1)"
    if options.json:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(options.json), groups, mode)
    if options.page:
        write_markdown(Path(options.page), groups, mode)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measure modelmon beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller tables: about a minute")
    parser.add_argument("--group", action="append", choices=GROUPS, help="only this group (may be given again)")
    parser.add_argument("--json", default="build/bench.json", help="where to write the figures, '' for nowhere")
    parser.add_argument("--page", default="", help="a Markdown page whose figures to replace (docs/performance.md)")
    parser.add_argument("--ten-million", action="store_true", help="also weigh ten million awaiting predictions")
    parser.add_argument("--large", action="store_true", help="also ten million awaiting in an SQLite file: 8 minutes")
    parser.add_argument("--calls", type=int, default=10_000_000, help="calls of the run that watches memory")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    return parser


def _group(name: str, options: argparse.Namespace) -> tuple[list[Figure], float]:
    """Run one group in a process of its own; a group that fails says why and gives no figures."""
    started = time.monotonic()
    with tempfile.NamedTemporaryFile("r", suffix=".json", encoding="utf-8") as out:
        line = [sys.executable, str(HERE), "--measure", name, "--json", out.name, "--calls", str(options.calls)]
        line += ["--quick"] * options.quick + ["--ten-million"] * options.ten_million + ["--large"] * options.large
        done = subprocess.run(line, cwd=ROOT, check=False)
        text = out.read()
    figures = [Figure.from_state(state) for state in json.loads(text)] if done.returncode == 0 else []
    return figures, time.monotonic() - started


def _measure(options: argparse.Namespace) -> int:
    sys.path.insert(0, str(ROOT))
    module, _, function = GROUPS[options.measure].partition(".")
    budget = Budget(options.quick, options.ten_million, options.calls, options.large)
    figures = getattr(import_module(module), function)(budget)
    Path(options.json).write_text(json.dumps([figure.state() for figure in figures]), "utf-8")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
