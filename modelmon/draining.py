"""The drain: from a seat's flat buffers to this process's ledgers, and on to the store.

1. Only the holder of the recorder's lock drains; records that arrive meanwhile stay for the next drain.
2. A drain never raises for what a user's model returned; what cannot be read is counted under its reason.
3. Every record taken out of a buffer ends one call, whatever happens to it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from modelmon.events import Predictions
from modelmon.grouping import Groups
from modelmon.identity import OTHER
from modelmon.issuing import LONE, lone_numbers, numbered, written
from modelmon.outputs import read
from modelmon.probes.hooks import told
from modelmon.probes.seats import FAILURE_FIELDS, GIVEN_FIELDS, STREAM_FIELDS, UNREADABLE
from modelmon.taking import held_bytes, landed_calls, landed_given, take
from modelmon.tallies import Tally
from modelmon.timings import STRIDE, count_timings, count_unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelmon.callcounts import SeriesCounts
    from modelmon.columns import Column
    from modelmon.outputs import Reading
    from modelmon.probes.seats import Seat, Site

_SECOND: Final = 1_000_000_000


class Sink(Protocol):
    """Take predictions that await labels: a store, or what stands before it."""

    def predict(self, predictions: Predictions) -> Mapping[str, int]:
        """Take predictions of one model and version."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """Pair one reading of both clocks, to turn stamps into wall time.

    Attributes:
        offset: nanoseconds to add to a monotonic stamp.
        window: width of a slot in nanoseconds.
    """

    offset: int
    window: int

    def wall(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return nanoseconds since the epoch."""
        return stamps + self.offset


def drain_seat(seat: Seat, limit: int, moment: Moment, series: SeriesCounts, *, store: Sink, wait: bool = True) -> None:
    """Take up to ``limit`` records of each kind from a seat and count them.

    Args:
        seat: whose records.
        limit: most records of each kind.
        moment: both clocks, read just now.
        series: where to count.
        store: where predictions with ids await labels.
        wait: read copies from a device that have not landed yet; else such records stay for the next drain.
    """
    if seat.traces:
        series.exemplars.note(seat.traces, moment.offset, awaits=seat.site.id is not None)
    _drain_calls(seat, landed_calls(seat, limit, wait=wait) if seat.kept_bytes else limit, moment, series, store)
    if seat.failures:
        _drain_failures(seat, limit, moment, series)
    if seat.streams:
        _drain_streams(seat, limit, moment, series)
    if seat.given:
        _drain_given(seat, landed_given(seat, limit, wait=wait) if seat.kept_bytes else limit, moment, series, store)
    if seat.timed:
        count_timings(take(seat.timed, STRIDE, limit), moment.offset, moment.window, series)
    if seat.rejections:
        reasons: dict[str, int] = {}
        for reason, n in take(seat.rejections, 1, limit)[0]:
            reasons[reason] = reasons.get(reason, 0) + n
        series.reject(reasons, _slot_now(moment, seat))
        blamed, seat.blamed = seat.blamed, {}
        series.blame(told(seat.site, blamed))
    if seat.kept_bytes:
        seat.kept_bytes = held_bytes(seat)


def _drain_calls(seat: Seat, limit: int, moment: Moment, series: SeriesCounts, store: Sink) -> None:
    columns = dict(zip(seat.fields, take(seat.buffer, seat.stride, limit, series), strict=True))
    n = len(columns["start"])
    if not n:
        return
    starts, ends = _integers(columns["start"]), _integers(columns["end"])
    seat.follow(starts, ends)
    durations = np.maximum(ends - starts, 0)
    wall = moment.wall(ends)
    groups = Groups(series, columns.get("slice"), wall // moment.window)
    entries = groups.entries()
    for entry, rows in entries:
        taken = durations[rows]
        entry.counts("calls").add(("ok", ""), len(taken))
        entry.durations("duration:ok").update(taken)
    count_unfinished(seat, columns["value"], durations, entries)
    reading = fitting(_read(seat, series, columns["value"], columns.get("id")), seat.site, series)
    sizes = _integers(columns["size"]) if "size" in columns else reading.sizes
    _count_sizes(sizes, entries)
    _count_predictions(reading, groups, entries, series)
    _submit(seat, reading, wall, groups, store)
    if series.exemplars.traced:
        series.exemplars.read(columns["start"], reading)


def _count_sizes(sizes: NDArray[np.int64], entries: list[tuple[Tally, Any]]) -> None:
    """Count the rows of each call, where known; nearly always all are alike, which one entry can say."""
    first = int(sizes[0])
    alike = bool((sizes == first).all())
    for entry, rows in entries:
        taken = sizes[rows]
        if not alike:
            entry.sizes("batch_size").update(taken[taken >= 0])
        elif first >= 0:
            entry.sizes("batch_size").add(first, len(taken))


def _read(seat: Seat, series: SeriesCounts, values: list[Any], ids: list[Any] | None) -> Reading:
    """Read kept outputs; what the probe found unreadable is among the rejections already, and is left out here."""
    marked = bool(seat.rejections or series.rejected)
    if marked:
        values = [None if value is UNREADABLE else value for value in values]
    if seat.site.id == "auto" and ids is not None and set(map(type, ids)) <= {int}:
        lone = read(seat.site.task, values) if set(map(type, values)) <= LONE else None
        if lone is not None and len(lone) == len(values):
            return replace(lone, ids=written(seat.prefix, lone_numbers(ids)))
        given = read(seat.site.task, values, numbered(values, ids, seat.site.task))
        if given.ids is None or given.ids.integers is None:
            return given
        return replace(given, ids=written(seat.prefix, given.ids.integers))
    if ids is None or not marked:
        return read(seat.site.task, values, ids, scored=ids is not None)
    known = sum(1 for value, given in zip(values, ids, strict=True) if given is UNREADABLE and value is not None)
    reading = read(seat.site.task, values, [None if given is UNREADABLE else given for given in ids])
    bad = reading.rejected.pop("bad_id", 0) - known
    if bad > 0:
        reading.rejected["bad_id"] = bad
    return reading


def fitting(reading: Reading, site: Site, series: SeriesCounts) -> Reading:
    """Return a reading; of models past the budget, which share one series, only under the task of what it holds."""
    if site.model != OTHER:
        return reading
    if not len(reading):
        return replace(reading, task=None)
    return reading if series.task is None or series.task == reading.task else reading.refused("overflow")


def _count_predictions(
    reading: Reading, groups: Groups, entries: list[tuple[Tally, Any]], series: SeriesCounts
) -> None:
    if series.task is None:
        series.task = reading.task
    count_predicted(reading, series, [entry for entry, _ in entries], groups.codes)
    groups.enter(entries)
    if reading.rejected:
        series.reject(reading.rejected, groups.last_slot)


def _submit(seat: Seat, reading: Reading, wall: NDArray[np.int64], groups: Groups, store: Sink) -> None:
    if reading.ids is None or not len(reading):
        return
    times = wall[reading.rows] / _SECOND
    store.predict(predictions(seat.site.model, seat.site.version, reading, times, groups.slices(reading.rows)))


def count_predicted(
    reading: Reading, series: SeriesCounts, entries: Sequence[Tally], codes: NDArray[np.int64] | None
) -> None:
    """Count a reading's predictions by class into the entry of each call's group (all into the first without codes)."""
    n = len(reading)
    if not n:
        return
    group = np.zeros(n, np.int64) if codes is None else codes[reading.rows]
    if reading.classes is None:
        for which, count in enumerate(np.bincount(group, minlength=len(entries)).tolist()):
            if count:
                entries[which].counts("predicted").add((), count)
                _count_flags(reading, entries[which], group == which)
        return
    values = series.classes(reading.classes.values)
    cells = np.bincount(group * len(values) + reading.classes.codes, minlength=len(entries) * len(values))
    for cell in np.flatnonzero(cells).tolist():
        which, code = divmod(cell, len(values))
        entries[which].counts("predicted").add((values[code],), int(cells[cell]))


def _count_flags(reading: Reading, entry: Tally, rows: NDArray[np.bool_]) -> None:
    if reading.flags is not None:
        said = reading.flags[rows].sum(axis=0, dtype=np.int64).tolist()
        for label, n in zip(reading.columns, said, strict=True):
            entry.counts("predicted_labels").add((label,), n)


def predictions(
    model: str,
    version: str,
    reading: Reading,
    times: NDArray[np.float64],
    slices: Column,
) -> Predictions:
    """Return a reading as the columns a store takes; the reading has ids and a task."""
    if reading.ids is None or reading.task is None:
        msg = "only a reading with ids and a task can await labels"
        raise ValueError(msg)
    return Predictions(
        model=model,
        version=version,
        task=reading.task,
        ids=reading.ids,
        times=times,
        slices=slices,
        classes=reading.classes,
        scores=reading.scores,
        columns=reading.columns,
        flags=reading.flags,
        best=reading.best,
    )


def _drain_given(seat: Seat, limit: int, moment: Moment, series: SeriesCounts, store: Sink) -> None:
    """Count predictions given apart from a call's return: streamed items, contexts."""
    times, values, ids, pages = take(seat.given, len(GIVEN_FIELDS), limit)
    if not times:
        return
    wall = moment.wall(_integers(times))
    groups = Groups(series, pages, wall // moment.window)
    known = None if all(given is None for given in ids) else ids
    reading = fitting(_read(seat, series, values, known), seat.site, series)
    _count_predictions(reading, groups, groups.entries(), series)
    _submit(seat, reading, wall, groups, store)


def _drain_failures(seat: Seat, limit: int, moment: Moment, series: SeriesCounts) -> None:
    starts, ends, outcomes, error_types, pages = take(seat.failures, len(FAILURE_FIELDS), limit, series)
    seat.follow(starts, ends)
    keyed = []
    for start, end, outcome, error_type, page in zip(starts, ends, outcomes, error_types, pages, strict=True):
        slot = (end + moment.offset) // moment.window
        keyed.append((series.page(page), slot, outcome, series.error_type(error_type), max(end - start, 0)))
    keyed.sort()
    for (page, slot, outcome, error_type), members in groupby(keyed, lambda record: record[:4]):
        taken = [record[4] for record in members]
        entry = Tally()
        entry.counts("calls").add((outcome, error_type), len(taken))
        entry.durations(f"duration:{outcome}").update(np.array(taken, np.int64))
        series.enter(page, slot, entry)


def _drain_streams(seat: Seat, limit: int, moment: Moment, series: SeriesCounts) -> None:
    columns = dict(zip(STREAM_FIELDS, take(seat.streams, len(STREAM_FIELDS), limit, series), strict=True))
    seat.follow(columns["start"], columns["end"])
    for start, first, last, end, items, outcome, error_type, page in zip(*columns.values(), strict=True):
        finish = last if outcome == "abandoned" and last is not None else end
        entry = Tally()
        entry.counts("calls").add((outcome, series.error_type(error_type)), 1)
        entry.durations(f"duration:{outcome}").add(max(finish - start, 0))
        entry.counts("items").add((), items)
        if first is not None:
            entry.durations("time_to_first_item").add(max(first - start, 0))
            if items > 1 and last is not None and last > first:  # one instant, of however many items, tells no pace
                entry.durations("time_per_item").add((last - first) // (items - 1))
        series.enter(series.page(page), (end + moment.offset) // moment.window, entry)


def _integers(values: Sequence[int]) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64, len(values))


def _slot_now(moment: Moment, seat: Seat) -> int:
    return (seat.clock() + moment.offset) // moment.window
