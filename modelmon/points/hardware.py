"""The part of the catalogue that is about graphics processors.

Names under ``hw.`` are those of OpenTelemetry's conventions for hardware.
"""

from __future__ import annotations

from typing import Any, Final

from modelmon.points.instruments import DURATION_BOUNDS, Instrument

_HW: Final = ("hw.id", "hw.name", "hw.vendor", "hw.type", "hw.driver_version", "hw.parent")


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
        "Energy drawn for no watched call of the process that shows it; with that of its models it is hw.energy.",
        "hw.id",
    ),
    _process(
        "modelmon.gpu.memory.process", "gauge", "By", "Memory of the device that this process holds.", "hw.id", "source"
    ),
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
