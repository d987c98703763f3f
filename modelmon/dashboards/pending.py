"""Instruments that dashboards read before anything fills them; each goes when the catalogue has it."""

from __future__ import annotations

from typing import Final

from modelmon.points.catalogue import CATALOGUE, Instrument

_DEVICE = ("hw.id", "hw.name", "hw.vendor", "hw.type")

_ROWS = (
    Instrument("modelmon.call.device_duration", "histogram", "s", "", ("timing",)),
    Instrument("modelmon.gpu.call.queue_delay", "histogram", "s", ""),
    Instrument("modelmon.gpu.busy_time", "counter", "s", "", ("hw.id", "source")),
    Instrument("modelmon.gpu.energy", "counter", "J", "", ("hw.id", "method")),
    Instrument("modelmon.gpu.energy.unattributed", "counter", "J", "", ("hw.id",), per_model=False),
    Instrument("modelmon.gpu.memory.peak", "gauge", "By", "", ("source",)),
    Instrument("hw.gpu.utilization", "gauge", "1", "", _DEVICE, per_model=False),
    Instrument("hw.gpu.memory.usage", "updown", "By", "", _DEVICE, per_model=False),
    Instrument("hw.gpu.memory.limit", "updown", "By", "", _DEVICE, per_model=False),
    Instrument("hw.energy", "counter", "J", "", _DEVICE, per_model=False),
    Instrument("hw.power", "gauge", "W", "", _DEVICE, per_model=False),
    Instrument("hw.temperature", "gauge", "Cel", "", _DEVICE, per_model=False),
)

INSTRUMENTS: Final = {row.name: row for row in _ROWS} | CATALOGUE
