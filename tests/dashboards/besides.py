"""What the made-up day has beside its calls: devices, a store, exporters, scrapes; named by the catalogue's rows."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from modelmon.dashboards.selectors import Scope
from modelmon.points.instruments import DURATION_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from traffic import Story

    from modelmon.points.catalogue import Point

GIB = 2**30
IDLE_W = 55.0
# of each call: seconds of the device, and watts while it works for it
APPETITE = {"chat": (1.1, 280.0), "fraud": (0.12, 130.0), "letters": (0.35, 190.0)}


def line(name: str, value: float, part: str = "", /, **labels: str) -> str:
    """Return a line of an instrument of the catalogue, which must have these attributes."""
    series = {key: labels.pop(key) for key in ("model", "version") if key in labels}
    selector = Scope(models=series).of(name, part, **{key: text for key, text in labels.items() if key != "le"})
    if "le" in labels:
        before = selector.rstrip("}")
        joint = "" if "{" in before else "{"
        comma = "," if "{" in before else ""
        selector = f'{before}{joint}{comma}le="{labels["le"]}"}}'
    return f"{selector} {value}"


class Besides:
    """Count what a machine's device and store do, minute by minute."""

    def __init__(self, instance: str, story: Story) -> None:
        """Begin with a cold device."""
        self.device = f"GPU-{instance.split(':', maxsplit=1)[0].replace('.', '')}"
        self.story, self.rng = story, Random(instance)
        self.calls: dict[tuple[str, str], float] = {}
        self.busy: dict[tuple[str, str], float] = {}
        self.energy: dict[tuple[str, str], float] = {}
        self.idle = self.whole = self.hot = 0.0
        self.reads = 0
        self.lost = 0
        self.times: dict[tuple[str, str], list[float]] = {}

    def lines(self, points: Sequence[Point], hour: float, step: float) -> Iterator[str]:
        """Yield the lines of one scrape."""
        yield "up 1"
        yield f"scrape_duration_seconds {0.012 + 0.003 * self.rng.random():.5f}"
        yield f"scrape_samples_scraped {len(points)}"
        new = self._new_calls(points)
        yield from self._devices(new, step)
        yield from self._store(hour)
        for (model, version), seconds in self.busy.items():
            own = {"model": model, "version": version, "hw_id": self.device}
            yield line("modelmon.gpu.busy_time", round(seconds, 3), source="utilization", **own)
            yield line(
                "modelmon.gpu.energy",
                round(self.energy[model, version], 3),
                method="power_weighted",
                scope="gpu",
                **own,
            )
            yield line("modelmon.gpu.model_power", APPETITE[model][1] + self.rng.gauss(0, 2), **own)
            yield line("modelmon.gpu.model_power.stderr", 4 + self.rng.random(), **own)
        if 0.75 * self.story.hours < hour:
            alert = 'alertname="LettersBlind",severity="warning",model="letters",version="3"'
            yield f'ALERTS{{alertstate="firing",{alert}}} 1'
            alert = 'alertname="FraudAccuracyLow",severity="critical",model="fraud",version="2026.10"'
            yield f'ALERTS{{alertstate="pending",{alert}}} 1'

    def _new_calls(self, points: Sequence[Point]) -> dict[tuple[str, str], float]:
        """Return the calls of each model since the last scrape."""
        found: dict[tuple[str, str], float] = {}
        for point in points:
            if point.name == "modelmon.calls" and not isinstance(point.value, tuple):
                known = dict(point.attributes)
                key = (known["model"], known["version"])
                found[key] = found.get(key, 0.0) + float(point.value)  # type: ignore[arg-type]
        new = {key: n - self.calls.get(key, 0.0) for key, n in found.items()}
        self.calls = found
        return new

    def _devices(self, new: dict[tuple[str, str], float], step: float) -> Iterator[str]:
        busy = power = 0.0
        for (model, version), n in new.items():
            if model not in APPETITE:
                continue
            each, watts = APPETITE[model]
            seconds = n * each * (0.8 if version == "2026.10" else 1.0) * self.rng.uniform(0.95, 1.05)
            self.busy[model, version] = self.busy.get((model, version), 0.0) + seconds
            self.energy[model, version] = self.energy.get((model, version), 0.0) + seconds * watts
            busy, power = busy + seconds / step, power + seconds * watts / step
            yield from self._histogram("modelmon.call.device_duration", model, version, n, each, timing="device_event")
            yield from self._histogram("modelmon.gpu.call.queue_delay", model, version, n, 0.004 * (1 + 12 * busy**2))
            yield from self._histogram("modelmon.gpu.stream.time_to_first_item", model, version, n, each / 5)
            yield line("modelmon.gpu.timers.dropped", 0, reason="capturing", model=model, version=version)
            peak = {"chat": 17.2, "fraud": 0.4, "letters": 1.3}[model] * GIB
            yield line("modelmon.gpu.memory.peak", peak, model=model, version=version, source="torch")
        self.idle += IDLE_W * step
        self.whole += (IDLE_W + power) * step
        device = {
            "hw_id": self.device,
            "hw_name": "H100",
            "hw_vendor": "nvidia",
            "hw_type": "gpu",
            "hw_driver_version": "570.148",
            "hw_parent": "",
        }
        self.hot += step * max(0.0, power - 70) / 400
        for state in ("ok", "degraded", "failed"):
            yield line("hw.status", int(state == "ok"), hw_state=state, **device)
        yield line("modelmon.gpu.throttled_time", round(self.hot, 3), hw_id=self.device, reason="sw_power_cap")
        yield line("modelmon.sampler.errors", 0, call="nvmlDeviceGetPowerUsage", code="unknown")
        yield line("modelmon.sampler.overruns", self.lost)
        yield line("modelmon.gpu.energy.unattributed", round(self.idle, 3), hw_id=self.device)
        yield line("hw.energy", round(self.whole, 3), **device)
        yield line("hw.power", round(IDLE_W + power, 2), modelmon_power_scope="gpu", **device)
        yield line("hw.gpu.utilization", round(min(busy, 1.0), 4), hw_gpu_task="general", **device)
        yield line("hw.gpu.memory.usage", round(19 * GIB + 2 * GIB * busy), **device)
        yield line("hw.gpu.memory.limit", 80 * GIB, **device)
        yield line("hw.temperature", round(34 + power / 9 + self.rng.gauss(0, 0.4), 1), **device)

    def _histogram(self, name: str, model: str, version: str, n: float, each: float, **more: str) -> Iterator[str]:
        """Add ``n`` values about ``each`` to a histogram, and yield its lines."""
        bounds = (*DURATION_BOUNDS, math.inf)
        held = self.times.setdefault((name, f"{model} {version}"), [0.0] * (len(bounds) + 1))
        for _ in range(round(n)):
            value = each * self.rng.lognormvariate(0, 0.35)
            for place, bound in enumerate(bounds):
                held[place] += value <= bound
            held[-1] += value
        own = {"model": model, "version": version, **more}
        for place, bound in enumerate(bounds):
            yield line(name, held[place], "_bucket", le="+Inf" if bound == math.inf else repr(bound), **own)
        yield line(name, held[-2], "_count", **own)
        yield line(name, held[-1], "_sum", **own)

    def _store(self, hour: float) -> Iterator[str]:
        slow = self.story.slow[0] <= hour < self.story.slow[1]
        self.lost += slow and self.rng.random() < 0.05
        yield line("modelmon.store.spooled", self.rng.randrange(40, 90) if slow else self.rng.randrange(4))
        yield line("modelmon.store.lag", round(self.rng.uniform(2, 6) if slow else self.rng.uniform(0.1, 0.5), 3))
        yield line("modelmon.store.errors", 3 * self.lost, kind="locked")
        yield line("modelmon.self.dropped", 0, reason="buffer_full")
        yield line("modelmon.self.overflow", 0, name="slices")
        yield line("modelmon.self.sanitized", 2, kind="text")
        yield line("modelmon.self.internal_errors", 0, site="drain")
        yield line("modelmon.self.restarts", 0, thread="alerts")
        yield line("modelmon.exporter.refused", self.lost, reason="timeout")
        yield line("modelmon.intake.labels", 40 * self.reads, source="backoffice", outcome="joined")
        yield line("modelmon.intake.refused", self.lost, reason="token")
        yield line("modelmon.exporter.failures", self.lost, exporter="alertmanager", reason="timeout")
        yield line("modelmon.exporter.last_success_age", round(self.rng.uniform(0, 15), 2), exporter="alertmanager")
        for kind in ("predict", "label", "read"):
            self.reads += 1
            yield from self._histogram_of_store(kind, 0.08 if slow else 0.004)

    def _histogram_of_store(self, kind: str, each: float) -> Iterator[str]:
        bounds = (*DURATION_BOUNDS, math.inf)
        held = self.times.setdefault(("store", kind), [0.0] * (len(bounds) + 1))
        for _ in range(20):
            value = each * self.rng.lognormvariate(0, 0.5)
            for place, bound in enumerate(bounds):
                held[place] += value <= bound
            held[-1] += value
        for place, bound in enumerate(bounds):
            text = "+Inf" if bound == math.inf else repr(bound)
            yield line("modelmon.store.latency", held[place], "_bucket", kind=kind, le=text)
        yield line("modelmon.store.latency", held[-2], "_count", kind=kind)
        yield line("modelmon.store.latency", held[-1], "_sum", kind=kind)
