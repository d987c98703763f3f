"""Sums: the parts of many processes added up to one.

What a process counted by itself is keyed by values, never by codes, so adding up is exact.
Widths of slots that differ are kept apart, a part for each.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from modelmon.parts import Part, SeriesPart, latest_devices
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.parts import SeriesKey, Slice
    from modelmon.tasks import Task

OTHER: Final = "__other__"
SLICES: Final = 1000
"""Slices of a series that are kept apart of processes that ended; each process keeps up to 100 apart."""
PASSING: Final = ("store_spooled",)
"""Counts of what is now, which end with the process."""


def can_add(part: Part) -> bool:
    """Tell whether a part holds only what can be added up exactly."""
    return part.kind == "process" and not any(series.classes for series in part.series.values())


def added(parts: Iterable[Part], origin: str, *, living: bool) -> tuple[Part, ...]:
    """Return parts added up, one for each width of slots.

    Args:
        parts: of different processes.
        origin: of the sum.
        living: keep what is now: calls that run, rows on their way.
    """
    by_width: dict[float, list[Part]] = {}
    for part in parts:
        by_width.setdefault(part.window, []).append(part)
    return tuple(_added(found, origin, width, living=living) for width, found in sorted(by_width.items()))


def ended(part: Part) -> Part:
    """Return a part of a process that has ended: nothing of it runs any more, and it reads no device."""
    series = {key: SeriesPart(held.task, held.classes, held.ledgers, held.shared) for key, held in part.series.items()}
    counts = Tally({name: held for name, held in part.counts.items() if name not in PASSING})
    devices = {name: device.who for name, device in part.devices.items()}
    return Part(part.origin, part.epoch, part.kind, part.taken_at, part.window, series, counts, devices=devices)


def without_slots(part: Part, before: float) -> Part:
    """Return a part of which slots that ended before a time are kept in the total only."""
    first = int(before // part.window)
    for series in part.series.values():
        for ledger in (*series.ledgers.values(), series.shared):
            ledger.drop(first)
    return part


class _Series:
    """Add up what processes know of one model and version."""

    __slots__ = ("_active", "_ledgers", "_shared", "_tasks")

    def __init__(self) -> None:
        self._tasks: set[Task] = set()
        self._ledgers: dict[Slice, Ledger] = {}
        self._shared = Ledger()
        self._active: Counter[Slice] = Counter()

    def add(self, part: SeriesPart) -> None:
        if part.task is not None:
            self._tasks.add(part.task)
        for page, ledger in part.ledgers.items():
            where = page
            if page not in self._ledgers and len(self._ledgers) >= SLICES:
                where = tuple((name, OTHER) for name, _ in page)
            self._ledgers.setdefault(where, Ledger()).merge(ledger.copy())
        self._shared.merge(part.shared.copy())
        self._active.update(part.active)

    def part(self) -> SeriesPart:
        task = max(self._tasks, key=repr, default=None)
        return SeriesPart(task, (), self._ledgers, self._shared, dict(self._active))


def _added(parts: list[Part], origin: str, width: float, *, living: bool) -> Part:
    series: dict[SeriesKey, _Series] = {}
    counts = Tally()
    gauges: dict[str, float] = {}
    parts = parts if living else [ended(part) for part in parts]
    for part in parts:
        counts.merge(part.counts.copy())
        for name, value in part.gauges.items():
            gauges[name] = max(value, gauges.get(name, value))
        for key, held in part.series.items():
            series.setdefault(key, _Series()).add(held)
    # The sum of the numbers of all parts only grows, as each of them does.
    return Part(
        origin=f"{origin}:{_spelled(width)}",
        epoch=sum(part.epoch for part in parts),
        kind="process",
        taken_at=max(part.taken_at for part in parts),
        window=width,
        series={key: held.part() for key, held in series.items()},
        counts=counts,
        gauges=gauges,
        devices=latest_devices(parts),
    )


def _spelled(width: float) -> str:
    """Return a width as text, in few digits where they are enough to tell it from all others."""
    few = f"{width:g}"
    return few if float(few) == width else repr(width)
