"""Mixes of calls on a device whose every watt is known, and three ways to say which model drew it.

Run as a program it prints the table of docs/gpu.md.
Window: the counter read when a call begins and when it ends, as wrappers around single calls do.
Equal time: every moment shared by the calls that run in it, whatever their models draw.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelmon.attribution import Attribution, Settlement
from modelmon.attribution.exposures import Calls, exposures

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE_W = 70.0
MS = 1_000_000
S = 1000 * MS
Call = tuple[int, int, str]


@dataclass(frozen=True)
class Mix:
    """Calls, what their models draw, and how the device is read."""

    name: str
    calls: list[Call]
    watts: dict[str, float]
    hz: float = 2.0
    period_ms: int = 100
    jitter_ms: int = 0

    @property
    def end(self) -> int:
        """A while after the last call."""
        return max(call[1] for call in self.calls) + S


class Device:
    """Draw idle power and, while calls run, the mean power of those that run; the counter moves every period."""

    def __init__(self, mix: Mix) -> None:
        """Work out all that is drawn, and by whom."""
        steps = sorted([(s, 1, m) for s, _, m in mix.calls] + [(e, -1, m) for _, e, m in mix.calls])
        self.drawn = dict.fromkeys(mix.watts, 0.0)
        self.period = mix.period_ms * MS
        running = dict.fromkeys(mix.watts, 0)
        times, joules, at = [0], [0.0], 0
        for time, step, model in [*steps, (mix.end, 0, steps[0][2])]:
            n, seconds = sum(running.values()), (time - at) / 1e9
            power = sum(k * mix.watts[m] for m, k in running.items()) / n if n else IDLE_W
            for m, k in running.items():
                if k:
                    self.drawn[m] += mix.watts[m] * k / n * seconds
            times.append(time)
            joules.append(joules[-1] + power * seconds)
            running[model] += step
            at = time
        self._times, self._joules = times, joules

    def counter(self, at: np.ndarray) -> np.ndarray:
        """Return whole microjoules as the counter shows them."""
        return (
            np.rint(np.interp(at // self.period * self.period, self._times, self._joules) * 1e3).astype(np.int64) * 1000
        )


def ticks(mix: Mix, seed: int) -> list[int]:
    """Return when the device is read: steady, from some phase on, later or earlier by the jitter."""
    rnd = random.Random(seed)
    step = round(S / mix.hz)
    at, found = rnd.randrange(step), []
    while at < mix.end:
        found.append(max(at + rnd.randint(-mix.jitter_ms, mix.jitter_ms) * MS, 0))
        at += step
    return sorted(set(found))


def settlements(mix: Mix, device: Device, seed: int = 1) -> Iterator[Settlement]:
    """Return what our attribution says, settled as often as the device is read."""
    ours = Attribution()
    starts, ends = np.array([call[0] for call in mix.calls]), np.array([call[1] for call in mix.calls])
    models = np.array([call[2] for call in mix.calls])
    when, before = ticks(mix, seed), -1
    for at, energy in zip(when, device.counter(np.array(when)).tolist(), strict=True):
        ours.sample(max(at - mix.period_ms * MS // 2, 0), energy)
        ended = (ends > before) & (ends <= at)
        for model in mix.watts:
            rows = ended & (models == model)
            ours.calls(model, starts[rows], ends[rows])
        yield ours.settle(int(starts[(starts <= at) & (ends > at)].min(initial=at)))
        before = at


def by_ours(mix: Mix, device: Device) -> dict[str, float]:
    """Return joules by model."""
    found = dict.fromkeys(mix.watts, 0.0)
    for settled in settlements(mix, device):
        for (model, _), energy in settled.energy.items():
            found[model] += energy / 1e6
    return found


def by_windows(mix: Mix, device: Device) -> dict[str, float]:
    """Return joules by model: the counter after each call less the counter before it."""
    found = {}
    for model in mix.watts:
        rows = np.array([call[:2] for call in mix.calls if call[2] == model])
        found[model] = float((device.counter(rows[:, 1]) - device.counter(rows[:, 0])).sum() / 1e6)
    return found


def by_equal_time(mix: Mix, device: Device) -> dict[str, float]:
    """Return joules by model: each reading's energy above idle power, shared by time."""
    when = np.array(ticks(mix, 1))
    edges = np.maximum(when - mix.period_ms * MS // 2, 0)
    names = list(mix.watts)
    columns = [np.array(column) for column in zip(*((names.index(m), s, e) for s, e, m in mix.calls), strict=True)]
    shares = exposures(edges, Calls(*columns, np.ones(len(mix.calls))), len(names))
    drawn = np.diff(device.counter(when)) / 1e6
    busy = shares.sum(axis=1)
    above = np.maximum(drawn - IDLE_W * (np.diff(edges) - busy) / 1e9, 0)
    given = (np.divide(above, busy, out=np.zeros(len(busy)), where=busy > 0)[:, None] * shares).sum(axis=0)
    return dict(zip(names, given.tolist(), strict=True))


def sequential(rnd: random.Random, n: int, lasting_ms: float, gap_ms: float, model: str) -> list[Call]:
    """Return calls one after another, each up to 30 % longer or shorter."""
    at, found = 3e9, []
    for _ in range(n):
        lasting = lasting_ms * MS * (1 + rnd.uniform(-0.3, 0.3))
        found.append((int(at), int(at + lasting), model))
        at += lasting + gap_ms * MS * (1 + rnd.uniform(-0.9, 0.9))
    return found


def interleaved(rnd: random.Random, seconds: float, *, drifts: bool) -> list[Call]:
    """Return short calls of two models in turns, whose mix drifts or stays."""
    at, share, found = 3.0, 0.5, []
    while at < seconds + 3:
        share = min(max(share + rnd.gauss(0, 0.02), 0.05), 0.95) if drifts else 0.5
        lasting = rnd.uniform(0.003, 0.009)
        found.append((int(at * S), int((at + lasting) * S), "A" if rnd.random() < share else "B"))
        at += lasting + rnd.expovariate(250)
    return found


def mixes() -> list[Mix]:
    """Return the mixes, the same each time."""
    rnd = random.Random(7)
    one, unlike = {"A": 700.0}, {"A": 700.0, "B": 300.0}
    overlapping = sequential(rnd, 2400, 30, 40, "A") + sequential(rnd, 2700, 20, 35, "B")
    saturating = [call for model in "ABCD" for call in sequential(rnd, 300, 80, 20, model)]
    return [
        Mix("calls of 0.5 s, as long between them", sequential(rnd, 60, 500, 500, "A"), one),
        Mix("calls of 5 ms, 40 % of the time", sequential(rnd, 4000, 5, 7.5, "A"), one),
        Mix("the same, read at 1 Hz", sequential(rnd, 4000, 5, 7.5, "A"), one, hz=1.0),
        Mix("two alike models overlap", overlapping, {"A": 700.0, "B": 700.0}),
        Mix("four alike models, always busy", saturating, dict.fromkeys("ABCD", 700.0)),
        Mix("read at 10 Hz, 60 ms early or late", sequential(rnd, 400, 50, 50, "A"), one, hz=10.0, jitter_ms=60),
        Mix("a counter that moves every 20 ms", sequential(rnd, 400, 50, 50, "A"), one, period_ms=20),
        Mix("700 W and 300 W in turns, the mix drifts", interleaved(rnd, 300, drifts=True), unlike),
        Mix("700 W and 300 W in turns, half and half", interleaved(rnd, 300, drifts=False), unlike),
        Mix("700 W and 300 W overlap", overlapping, unlike),
    ]


def table() -> Iterator[str]:
    """Return the table of the page, line by line."""
    yield "| mix | model | window | equal time | modelmon |"
    yield "|---|---|---|---|---|"
    for mix in mixes():
        device = Device(mix)
        found = [method(mix, device) for method in (by_windows, by_equal_time, by_ours)]
        for model, truth in device.drawn.items():
            errors = " | ".join(f"{round(100 * (each[model] / truth - 1), 1) + 0.0:+.1f} %" for each in found)
            yield f"| {mix.name} | {model} | {errors} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
