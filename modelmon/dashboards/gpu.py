"""What a model takes of its devices: time, energy, memory."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Query, Row
from modelmon.dashboards.pieces import lines
from modelmon.dashboards.promql import SPAN, gained, quantile, rate, share
from modelmon.dashboards.quality import accuracy
from modelmon.dashboards.scopes import ONE

_NONE: Final = "no device seen"
_ENERGY: Final = ONE.of("modelmon.gpu.energy")
_BUSY: Final = ONE.of("modelmon.gpu.busy_time")
_ON_DEVICE: Final = ONE.of("modelmon.call.device_duration", "_bucket", timing="~device_event|host_sync")
_WAITED: Final = ONE.of("modelmon.gpu.call.queue_delay", "_bucket")
_POWER: Final = ONE.of("modelmon.gpu.model_power")
_ERROR: Final = ONE.of("modelmon.gpu.model_power.stderr")
_FIRST: Final = ONE.of("modelmon.gpu.stream.time_to_first_item", "_bucket")
_ANSWERS: Final = gained(ONE.of("modelmon.predictions"), span=SPAN)

GPU: Final = Row(
    "Devices",
    (
        lines(
            "Time on the device",
            "Seconds per second in which a device worked for this model; 1 is all of its time.",
            Query(rate(_BUSY, ("hw_id", "source")), "{{hw_id}} ({{source}})"),
            unit="percentunit",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Power",
            "What this model draws, by how it was told from others and by what it covers; without what the device "
            "draws idle.",
            Query(rate(_ENERGY, ("hw_id", "method", "scope")), "{{hw_id}} ({{method}}, {{scope}})"),
            unit="watt",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Energy per call and prediction",
            "Over the $span before; a right answer costs the energy of the wrong ones too.",
            Query(share(gained(_ENERGY), gained(ONE.of("modelmon.calls"))), "per call"),
            Query(share(gained(_ENERGY), _ANSWERS), "per prediction"),
            Query(share(gained(_ENERGY), f"{_ANSWERS} * {accuracy(ONE)}"), "per right prediction"),
            unit="joule",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Duration on the device",
            "Of calls whose work on the device could be timed.",
            *(Query(quantile(q, _ON_DEVICE), f"{q:.0%} within") for q in (0.5, 0.95, 0.99)),
            unit="s",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Wait for the device",
            "From the call to the begin of its work on the device.",
            *(Query(quantile(q, _WAITED), f"{q:.0%} within") for q in (0.5, 0.95)),
            unit="s",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Peak of memory",
            "The greatest memory that the framework's allocator held for this model.",
            Query(f"max by (source) ({ONE.of('modelmon.gpu.memory.peak')})", "{{source}}"),
            unit="bytes",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "What it draws while it has the device",
            "The power learnt for this model, with its standard error on both sides.",
            Query(_POWER, "{{hw_id}} {{instance}}"),
            Query(f"{_POWER} - {_ERROR}", "{{hw_id}} {{instance}}", "edge"),
            Query(f"{_POWER} + {_ERROR}", "{{hw_id}} {{instance}}", "edge"),
            unit="watt",
            minimum=0,
            empty="not learnt yet, or no device",
        ),
        lines(
            "The device's time to a first item",
            "Of streams, from when the device reached their work.",
            *(Query(quantile(q, _FIRST), f"{q:.0%} within") for q in (0.5, 0.95)),
            unit="s",
            minimum=0,
            empty="no streams timed on a device",
        ),
        lines(
            "Calls that the device did not time",
            "Per second, by reason: their duration is the host's alone.",
            Query(rate(ONE.of("modelmon.gpu.timers.dropped"), ("reason",)), "{{reason}}"),
            unit="ops",
            minimum=0,
            empty="none",
        ),
    ),
    folded=True,
)
