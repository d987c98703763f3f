"""Points about how long calls took on a device, and how much of its memory."""

from __future__ import annotations

from typing import Final

from modelmon.points.instruments import DURATION_BOUNDS, Instrument

ROWS: Final = (
    Instrument(
        "modelmon.call.device_duration",
        "histogram",
        "s",
        "Time from when a device reached the work of a call until it had done it, by the clock that told.",
        ("timing",),
        bounds=DURATION_BOUNDS,
    ),
    Instrument(
        "modelmon.gpu.call.queue_delay",
        "histogram",
        "s",
        "Time a call waited for the device to reach its work.",
        bounds=DURATION_BOUNDS,
    ),
    Instrument(
        "modelmon.gpu.stream.time_to_first_item",
        "histogram",
        "s",
        "Time from when a device reached the work of a stream until it had done that of the first item.",
        bounds=DURATION_BOUNDS,
    ),
    Instrument(
        "modelmon.gpu.memory.peak",
        "gauge",
        "By",
        "Most memory that an allocator was seen to rise to within a call.",
        ("source",),
    ),
    Instrument(
        "modelmon.gpu.timers.dropped",
        "counter",
        "{call}",
        "Calls that a device should have timed and did not, by reason.",
        ("reason",),
    ),
)
