"""Points about graphics processors: what each is and does now, what it drew, and what each model had of it.

Names under ``hw.`` are those of OpenTelemetry's conventions for hardware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from modelmon.accumulators.counts import Counts
from modelmon.points.instruments import DURATION_BOUNDS, Instrument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.parts import DevicePart
    from modelmon.points.sheets import Sheet
    from modelmon.readings.distributions import Distribution
    from modelmon.readings.model import ModelSnapshot

_HW: Final = ("hw.id", "hw.name", "hw.vendor", "hw.type", "hw.driver_version", "hw.parent")
_STATES: Final = ("ok", "degraded", "failed")
_SECONDS_AND_JOULES: Final = {
    "modelmon.gpu.energy.unattributed": ("gpu_unattributed", 1e6),
    "modelmon.gpu.throttled_time": ("gpu_throttled", 1e9),
}
_COUNTED: Final = {
    "modelmon.gpu.counter_faults": "gpu_counter_faults",
    "modelmon.sampler.overruns": "sampler_overruns",
    "modelmon.sampler.errors": "sampler_errors",
    "modelmon.sampler.driver_calls": "sampler_calls",
}


def _device(name: str, kind: Any, unit: str, text: str, *own: str) -> Instrument:
    return Instrument(name, kind, unit, text, (*_HW, *own), per_model=False)


def _process(name: str, kind: Any, unit: str, text: str, *own: str, **more: Any) -> Instrument:
    return Instrument(name, kind, unit, text, own, per_model=False, **more)


MODEL_ROWS: Final = (
    Instrument(
        "modelmon.gpu.busy_time",
        "counter",
        "s",
        "Time that a device worked for a model, by what tells: the device (utilization), or that calls ran (calls).",
        ("hw.id", "source"),
    ),
    Instrument(
        "modelmon.gpu.energy",
        "counter",
        "J",
        "Energy that a device drew for a model, by how it was told from that for others, and by what it covers.",
        ("hw.id", "method", "scope"),
    ),
    Instrument("modelmon.gpu.energy_per_prediction", "gauge", "J", "Energy for each predicted value, so far."),
    Instrument(
        "modelmon.gpu.energy_per_correct_prediction",
        "gauge",
        "J",
        "Energy for each predicted value that was right, so far, by the accuracy of those that have labels.",
    ),
    Instrument("modelmon.gpu.model_power", "gauge", "W", "What a model draws while it has a device.", ("hw.id",)),
    Instrument("modelmon.gpu.model_power.stderr", "gauge", "W", "Standard error of that power.", ("hw.id",)),
)
ROWS: Final = (
    _device("hw.gpu.utilization", "gauge", "1", "Part of the last ten seconds in which any kernel ran.", "hw.gpu.task"),
    _device("hw.gpu.memory.usage", "updown", "By", "Memory of the device that is in use, by whomever."),
    _device("hw.gpu.memory.limit", "updown", "By", "Memory of the device."),
    _device("hw.gpu.memory.utilization", "gauge", "1", "Part of the device's memory that is in use."),
    _device("hw.energy", "counter", "J", "Energy that the device drew while it was watched."),
    _device("hw.power", "gauge", "W", "Power that the device draws.", "modelmon.power.scope"),
    _device("hw.temperature", "gauge", "Cel", "Temperature of the device."),
    _device("hw.errors", "counter", "{error}", "Errors of the device's memory while it was watched.", "error.type"),
    _device("hw.status", "updown", "", "1 for the state that the device is in, 0 for the others.", "hw.state"),
    _process(
        "modelmon.gpu.energy.unattributed",
        "counter",
        "J",
        "Energy that the device drew for no call that is watched; with that of all models it adds up to hw.energy.",
        "hw.id",
    ),
    _process("modelmon.gpu.memory.process", "gauge", "By", "Memory of the device that this process holds.", "hw.id"),
    _process(
        "modelmon.gpu.throttled_time",
        "counter",
        "s",
        "Time that the device was slowed down, by why.",
        "hw.id",
        "reason",
    ),
    _process(
        "modelmon.gpu.counter_faults",
        "counter",
        "{reading}",
        "Readings left out because the counter of energy went back or leapt.",
        "hw.id",
        "kind",
    ),
    _process("modelmon.gpu.available", "gauge", "", "1 where graphics processors are read, 0 where they cannot be."),
    _process("modelmon.sampler.ticks", "counter", "{tick}", "Rounds of reading all devices."),
    _process("modelmon.sampler.overruns", "counter", "{tick}", "Rounds left out because one took too long."),
    _process(
        "modelmon.sampler.errors",
        "counter",
        "{error}",
        "Errors of the driver and values of it that cannot be, by function and code.",
        "call",
        "code",
    ),
    _process("modelmon.sampler.driver_calls", "counter", "{call}", "Calls made into the driver."),
    _process(
        "modelmon.sampler.tick.duration", "histogram", "s", "Time a round took, with its waits.", bounds=DURATION_BOUNDS
    ),
)


class Whole(Protocol):
    """What is read of a snapshot."""

    @property
    def devices(self) -> dict[str, DevicePart]:
        """Graphics processors by UUID."""
        ...

    @property
    def greatest(self) -> dict[str, float]:
        """The greatest of each current value that belongs to no model, by name."""
        ...

    def counts(self, name: str) -> Counts:
        """Return counts that belong to no model."""
        ...

    def durations(self, name: str) -> Distribution:
        """Return durations that belong to no model."""
        ...


def fill_devices(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add what a model had of devices, where it had any; energy is known of the whole model, not of its slices."""
    for (device, source), n in (model.selection.gather("gpu_busy", Counts) or Counts()).items():
        sheet.add("modelmon.gpu.busy_time", n / 1e9, str(device), str(source))
    for (device, method, scope), n in (model.selection.gather("gpu_energy", Counts) or Counts()).items():
        sheet.add("modelmon.gpu.energy", n / 1e6, str(device), str(method), str(scope))
    sheet.add("modelmon.gpu.energy_per_prediction", model.energy_per_prediction)
    sheet.add("modelmon.gpu.energy_per_correct_prediction", model.energy_per_correct_prediction)


def fill_powers(sheet: Sheet, model: ModelSnapshot, devices: Mapping[str, DevicePart]) -> None:
    """Add what a model is known to draw on each device."""
    for name, device in devices.items():
        for model_name, version, watts, error in device.powers:
            if (model_name, version) == model.key:
                sheet.add("modelmon.gpu.model_power", watts, name)
                sheet.add("modelmon.gpu.model_power.stderr", error, name)


def fill_hardware(sheet: Sheet, snapshot: Whole) -> None:
    """Add what belongs to devices and to their sampler."""
    devices = snapshot.devices
    for uuid, device in devices.items():
        _fill_device(sheet, uuid, device)
    for (name, *_), n in snapshot.counts("hw_energy").items():
        sheet.add("hw.energy", n / 1e6, *_who(str(name), devices.get(str(name))))
    for (name, kind), n in snapshot.counts("gpu_errors").items():
        sheet.add("hw.errors", n, *_who(str(name), devices.get(str(name))), str(kind))
    for point, (counted, each) in _SECONDS_AND_JOULES.items():
        for key, n in snapshot.counts(counted).items():
            sheet.add(point, n / each, *map(str, key))
    for point, counted in _COUNTED.items():
        for key, n in snapshot.counts(counted).items():
            sheet.add(point, n, *map(str, key))
    ticks = snapshot.durations("sampler_tick")
    if ticks.count:
        sheet.add("modelmon.sampler.ticks", ticks.count)
        sheet.distribute("modelmon.sampler.tick.duration", ticks)
    if "gpu_available" in snapshot.greatest:
        sheet.add("modelmon.gpu.available", snapshot.greatest["gpu_available"])


def _who(name: str, device: DevicePart | None) -> tuple[str, ...]:
    """Return who a device is, as far as it is known by now."""
    if device is None:
        return (name, "", "", "gpu", "", "")
    return (name, device.name, device.vendor, "gpu", device.driver, device.parent)


def _fill_device(sheet: Sheet, name: str, device: DevicePart) -> None:
    who, gauges = _who(name, device), device.gauges
    for point, gauge, own in (
        ("hw.gpu.utilization", "utilization", ("general",)),
        ("hw.gpu.memory.utilization", "memory_utilization", ()),
        ("hw.power", "power", (device.scope,)),
        ("hw.temperature", "temperature", ()),
    ):
        if gauge in gauges:
            sheet.add(point, gauges[gauge], *who, *own)
    for point, gauge in (("hw.gpu.memory.usage", "memory_usage"), ("hw.gpu.memory.limit", "memory_limit")):
        if gauge in gauges:
            sheet.add(point, round(gauges[gauge]), *who)
    if "memory_process" in gauges:
        sheet.add("modelmon.gpu.memory.process", round(gauges["memory_process"]), name)
    for state in _STATES:
        sheet.add("hw.status", int(state == device.status), *who, state)
