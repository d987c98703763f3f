"""Points about graphics processors: what each is and does now, what it drew, and what each model had of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from modelmon.accumulators.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.parts import DevicePart
    from modelmon.points.sheets import Sheet
    from modelmon.readings.distributions import Distribution
    from modelmon.readings.model import ModelSnapshot

_STATES: Final = ("ok", "degraded", "failed")
_SECONDS_AND_JOULES: Final = {
    "modelmon.gpu.energy.unattributed": ("gpu_unattributed", 1e6),
    "modelmon.gpu.throttled_time": ("gpu_throttled", 1e9),
}
_COUNTED: Final = {
    "modelmon.gpu.counter_faults": "gpu_counter_faults",
    "modelmon.sampler.errors": "sampler_errors",
    "modelmon.sampler.driver_calls": "sampler_calls",
}


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
    _fill_rounds(sheet, snapshot.durations("sampler_tick"), snapshot.counts("sampler_overruns").total)
    if "gpu_available" in snapshot.greatest:
        sheet.add("modelmon.gpu.available", snapshot.greatest["gpu_available"])


def _fill_rounds(sheet: Sheet, rounds: Distribution, left_out: int) -> None:
    """Add the rounds of readings; none left out is a number too, or a rate would not see the first."""
    if rounds.count:
        sheet.add("modelmon.sampler.ticks", rounds.count)
        sheet.distribute("modelmon.sampler.tick.duration", rounds)
    if rounds.count or left_out:
        sheet.add("modelmon.sampler.overruns", left_out)


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
    for gauge, source in (("memory_process", "process"), ("memory_exclusive", "device_exclusive")):
        if gauge in gauges:
            sheet.add("modelmon.gpu.memory.process", round(gauges[gauge]), name, source)
    for state in _STATES if device.status else ():
        sheet.add("hw.status", int(state == device.status), *who, state)
