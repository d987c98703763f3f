"""A snapshot read into points.

Rules:

1. A model whose calls have attributes is shown slice by slice and never also in total, so that sums over slices are
   right; what is shown for the whole only (areas under curves, score bins) has no slice attributes.
2. What is undefined gives no point.
3. Numbers that belong to no model carry neither model nor version.
4. What a store counts is shown only where a store was read, the zeros of what it has not counted yet too: a counter
   that fell to zero while its store could not be read would count everything again once that comes back.
5. A model whose points cannot be made is left out, counted and told of; the others are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from modelmon.errors import ModelmonError
from modelmon.faults import is_signalled
from modelmon.points.calls import fill_calls, fill_predictions, predicted_names
from modelmon.points.devices import fill_devices, fill_hardware, fill_powers
from modelmon.points.failures import fail
from modelmon.points.joins import fill_coverage, fill_joins
from modelmon.points.matrices import fill_matrices, fill_scores
from modelmon.points.qualities import fill_quality
from modelmon.points.selective import notice_missing
from modelmon.points.sheets import CELL_CLASSES, Sheet, series_attributes
from modelmon.points.windows import views

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence, ValuesView

    from modelmon.accumulators.counts import Counts
    from modelmon.parts import DevicePart, Slice
    from modelmon.points.catalogue import Point
    from modelmon.readings.distributions import Distribution
    from modelmon.readings.model import ModelSnapshot

_STORE = ("predict", "label", "read", "sweep")
_SELF = {
    "modelmon.store.errors": "store_errors",
    "modelmon.store.spooled": "store_spooled",
    "modelmon.self.restarts": "self:restarts",
    "modelmon.self.dropped": "self:dropped",
    "modelmon.self.internal_errors": "self:internal_errors",
    "modelmon.self.sanitized": "self:sanitized",
    "modelmon.self.overflow": "self:overflow",
    "modelmon.intake.labels": "intake_labels",
    "modelmon.intake.refused": "intake_refused",
    "modelmon.receipts": "self:receipts",
    "modelmon.exporter.failures": "exporter_failures",
    "modelmon.exporter.refused": "self:refused",
}
_LAG = "store_lag"
_AGE = "exporter_age:"


class Whole(Protocol):
    """What is read of a snapshot, which stands above the points that it can tell."""

    @property
    def stored(self) -> bool:
        """Whether a store was read, be it this process's own memory."""
        ...

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """Moves of labels that belong to no model yet, by (from, to)."""
        ...

    @property
    def occupancy(self) -> Counter[str]:
        """Where labels that belong to no model yet are now."""
        ...

    def values(self) -> ValuesView[ModelSnapshot]:
        """Return every model and version."""
        ...

    def counts(self, name: str) -> Counts:
        """Return counts that belong to no model."""
        ...

    def durations(self, name: str) -> Distribution:
        """Return durations that belong to no model."""
        ...

    @property
    def devices(self) -> dict[str, DevicePart]:
        """Graphics processors by UUID."""
        ...

    @property
    def greatest(self) -> dict[str, float]:
        """The greatest of each current value that belongs to no model, by name."""
        ...


def points(snapshot: Whole, *, windows: Sequence[str] = (), slices: bool = True, cells: bool = True) -> list[Point]:
    """Return every exported number of a snapshot.

    Args:
        snapshot: what to read.
        windows: windows such as ``"1h"`` or ``"1d:mature"``; quality and coverage are shown for each beside the total.
        slices: show a sliced model slice by slice; else as a whole, for back ends that take few attributes.
        cells: show the cells of small confusion matrices; else the sums of each class alone.
    """
    # Undefined is nan by design; an application that turns warnings into errors shall not lose a scrape over it.
    with np.errstate(all="ignore"):
        most = CELL_CLASSES if cells else 0
        return [*_model_points(snapshot, windows, slices=slices, most=most), *_process_points(snapshot)]


def _model_points(snapshot: Whole, windows: Sequence[str], *, slices: bool, most: int) -> list[Point]:
    found: list[Point] = []
    for whole in snapshot.values():
        found += _if_any(snapshot, whole, windows, slices=slices, most=most)
    return found


def _if_any(snapshot: Whole, whole: ModelSnapshot, windows: Sequence[str], *, slices: bool, most: int) -> list[Point]:
    try:
        return _points_of(snapshot, whole, windows, slices=slices, most=most)
    except Exception as error:
        if is_signalled(error) or isinstance(error, ModelmonError):
            raise
        fail(whole.model, whole.version, error)
        return []


def _points_of(
    snapshot: Whole, whole: ModelSnapshot, windows: Sequence[str], *, slices: bool, most: int
) -> list[Point]:
    found: list[Point] = []
    names = predicted_names(whole)
    for page, view in (_views(whole) if slices else {(): whole}).items():
        sheet = Sheet(series_attributes(*whole.key, page))
        fill_calls(sheet, view)
        fill_predictions(sheet, view, names)
        if snapshot.stored:
            _fill_joined(sheet, view, whole, windows, most)
        found += sheet.points
    sheet = Sheet(series_attributes(*whole.key, ()))
    fill_scores(sheet, whole)
    fill_devices(sheet, whole)
    fill_powers(sheet, whole, snapshot.devices)
    for seen in views(whole, windows, whole) if snapshot.stored else ():
        fill_quality(sheet, seen.model, window=seen.window, shared=True)
    notice_missing(whole)
    return found + sheet.points


def _views(whole: ModelSnapshot) -> dict[Slice, ModelSnapshot]:
    """Return every slice of a model as a model of its own; a model without slices is its only one."""
    pages = whole.selection.slices
    return whole.slices() if len(pages) > 1 else {pages[0] if pages else (): whole}


def _fill_joined(sheet: Sheet, view: ModelSnapshot, whole: ModelSnapshot, windows: Sequence[str], most: int) -> None:
    """Add what a store knows."""
    fill_joins(sheet, view)
    fill_matrices(sheet, view, most)
    for seen in views(view, windows, whole):
        fill_coverage(sheet, seen.coverage, seen.window)
        fill_quality(sheet, seen.model, window=seen.window, shared=False)


def _process_points(snapshot: Whole) -> list[Point]:
    sheet = Sheet()
    for name, counted in _SELF.items():
        for key, n in snapshot.counts(counted).items():
            sheet.add(name, n, *map(str, key))
    _fill_seconds(sheet, snapshot)
    fill_hardware(sheet, snapshot)
    for kind in _STORE:
        latency = snapshot.durations(f"store_latency:{kind}")
        if latency.count:
            sheet.distribute("modelmon.store.latency", latency, kind)
    # Labels that wait for a prediction belong to no model yet.
    for (before, after), n in snapshot.transitions.items():
        sheet.add("modelmon.join.transitions", n, before, after)
    for state, n in snapshot.occupancy.items():
        sheet.add("modelmon.join.occupancy", n, state)
    return sheet.points


def _fill_seconds(sheet: Sheet, snapshot: Whole) -> None:
    """Add what the library takes, and how far behind it is."""
    for key, nanoseconds in snapshot.counts("self:overhead").items():
        sheet.add("modelmon.self.overhead", nanoseconds / 1e9, *map(str, key))
    for name, value in sorted(snapshot.greatest.items()):
        if name == _LAG:
            sheet.add("modelmon.store.lag", value)
        elif name.startswith(_AGE):
            sheet.add("modelmon.exporter.last_success_age", value, name.removeprefix(_AGE))
