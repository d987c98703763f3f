"""What devices and the host said about how long calls took on a device, counted by the clock that said it.

================== ===================================================================================================
timing             the duration is
================== ===================================================================================================
``device_event``   from when the device reached the call's work until it had done it, by its own clock
``host_sync``      the host's, which waited for the device within the call (``sync="device"``)
``host_async``     the host's, which may have left while the device still worked; why is counted
================== ===================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.copies import Deferred
from modelmon.probes.seats import TIMED_FIELDS
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.callcounts import SeriesCounts
    from modelmon.parts import Slice
    from modelmon.probes.seats import Seat

DEVICE_EVENT: Final = "device_event"
HOST_SYNC: Final = "host_sync"
HOST_ASYNC: Final = "host_async"
STRIDE: Final = len(TIMED_FIELDS)


def count_timings(columns: list[list[Any]], offset: int, window: int, series: SeriesCounts) -> None:
    """Count how long calls took on devices.

    Args:
        columns: as ``TIMED_FIELDS`` of a seat.
        offset: nanoseconds to add to a stamp for wall time.
        window: width of a slot in nanoseconds.
        series: where to count.
    """
    groups: dict[tuple[Slice, int, str], list[int]] = {}
    for row, (end, how, page) in enumerate(zip(columns[1], columns[6], columns[7], strict=True)):
        groups.setdefault((series.page(page), (end + offset) // window, how), []).append(row)
    known = [np.fromiter(column, np.int64, len(column)) for column in columns[2:6]]
    for (page, slot, how), rows in groups.items():
        duration, delay, first, peak = (column[rows] for column in known)
        entry = Tally()
        if how in {DEVICE_EVENT, HOST_SYNC}:
            entry.durations(f"device_duration:{how}").update(duration)
        else:
            entry.durations(f"device_duration:{HOST_ASYNC}").update(duration)
            entry.counts("timers_dropped").add((how,), len(rows))
        for name, values in (("queue_delay", delay), ("device_first_item", first)):
            if (values >= 0).any():
                entry.durations(name).update(values[values >= 0])
        if (peak >= 0).any():
            entry.sizes("memory_peak:torch").update(peak[peak >= 0])
        series.enter(page, slot, entry)


def count_unfinished(seat: Seat, values: list[Any], durations: NDArray[np.int64], entries: list[Any]) -> None:
    """Count calls whose result was an array still being computed when they returned; nobody timed the device.

    Args:
        seat: of the calls.
        values: what was kept of each result.
        durations: of each call, ns by the host's clock.
        entries: pairs of a tally and the rows that it counts.
    """
    if not seat.kept_bytes or seat.site.sync is not None:
        return
    late = np.fromiter((type(value) is Deferred and value.computing for value in values), bool, len(values))
    for entry, rows in entries:
        if late[rows].any():
            entry.durations(f"device_duration:{HOST_ASYNC}").update(durations[rows][late[rows]])
