"""The made-up day as Prometheus would have scraped it, written down for ``promtool tsdb create-blocks-from``."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from besides import Besides
from traffic import Machine, Story

from modelmon import Regression
from modelmon.exporters.exposition import Exposition
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = "shop"
INSTANCES = ("10.0.0.11:9464", "10.0.0.12:9464")


def scrapes(story: Story, machines: list[Machine], end: float, step: float) -> Iterator[str]:
    """Yield every line of a day that ends at ``end`` (seconds since the epoch), in the order of time."""
    start = end - story.hours * 3600
    texts = [Exposition() for _ in machines]
    besides = [Besides(instance, story) for instance in INSTANCES]
    at = start
    while at < end:
        at += step
        for number, machine in enumerate(machines):
            for _ in range(max(1, round(step / 60))):
                machine.minute()
            machine.clock.advance(max(0.0, at - machine.clock.time()))
            streams = machine.open_streams()
            points = machine.monitor.snapshot().points()
            rendered = texts[number].render(points, "openmetrics").decode()
            target = f'job="{JOB}",instance="{INSTANCES[number]}"'
            lines = [line for line in rendered.splitlines() if not line.startswith("#")]
            for line in (*lines, *besides[number].lines(points, (at - start) / 3600, step)):
                yield timed(line, target, at)
            for stream in streams:
                list(stream)


def known(machines: list[Machine]) -> dict[str, dict[str, float]]:
    """Return what the machines themselves know at the end, added up: the truth for what a server answers."""
    found: dict[str, dict[str, float]] = {}
    for machine in machines:
        for (model, version), read in machine.monitor.snapshot().items():
            sums = found.setdefault(f"{model} {version}", dict.fromkeys(("labelled", "accepted", "right", "rows"), 0.0))
            sums["labelled"] += read.labelled
            sums["accepted"] += read.accepted
            if read.task is not None and not isinstance(read.task, Regression):
                sums["right"] += float(read.confusion.matrix.trace())
                sums["rows"] += float(read.confusion.matrix.sum())
    return found


def timed(line: str, target: str, at: float) -> str:
    """Return a line with the labels that Prometheus adds, and its time."""
    name, brace, rest = line.partition("{")
    if brace:
        return f"{name}{{{target},{rest} {at:.3f}\n"
    name, _, value = line.partition(" ")
    return f"{name}{{{target}}} {value} {at:.3f}\n"


def write_blocks(folder: Path, story: Story, end: float, step: float = 60.0) -> Path:
    """Write the day as the data of a Prometheus server and return the folder they are in."""
    text, data = folder / "day.txt", folder / "data"
    start = end - story.hours * 3600
    machines = [Machine(FakeClock(start), story, seed, start) for seed in range(len(INSTANCES))]
    with text.open("w", encoding="utf-8") as file:
        file.writelines(scrapes(story, machines, end, step))
        file.write("# EOF\n")
    line = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(data)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        message = f"promtool failed: {done.stdout}{done.stderr}"
        raise RuntimeError(message)
    text.unlink()
    folder.joinpath("known.json").write_text(json.dumps(known(machines)))
    return data
