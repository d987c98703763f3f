"""Parts: what one process or one store knows, frozen; a snapshot is a set of parts.

Two origins never count the same event: a process part holds calls, durations and predicted classes of its process,
a store part holds the join.
Within a part every row is counted in exactly one slice: ``()`` holds the rows that have no attributes, and the whole
of a series is the sum over its slices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelmon.tasks import Task

ClassValue: TypeAlias = "int | float | str"
Slice: TypeAlias = "tuple[tuple[str, str], ...]"
SeriesKey: TypeAlias = "tuple[str, str]"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """Hold one call or prediction that stands for its like, and the trace that it was part of.

    Attributes:
        about: what it is an example of: ``"duration"`` or ``"confusion"``.
        page: the slice of the call.
        own: which of those: the outcome of the call, or the true and the predicted class.
        value: the duration in seconds; 1 where something was counted.
        at: when the call ended, seconds since the epoch.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
    """

    about: Literal["duration", "confusion"]
    page: Slice
    own: tuple[ClassValue, ...]
    value: float
    at: float
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """Hold what one origin knows of one model and version.

    Attributes:
        task: how the outputs are read, or None where nobody said and nothing told.
        classes: the class values by code; class-coded accumulators of this part use these codes.
        ledgers: counts by slice, each row in exactly one; slices are sorted by attribute name.
        shared: counts kept for the whole series only (score histograms).
        active: calls running now, by slice.
        exemplars: a few recent calls whose traces are worth a look.
    """

    task: Task | None = None
    classes: tuple[ClassValue, ...] = ()
    ledgers: Mapping[Slice, Ledger] = field(default_factory=dict)
    shared: Ledger = field(default_factory=Ledger)
    active: Mapping[Slice, int] = field(default_factory=dict)
    exemplars: tuple[Exemplar, ...] = ()


@dataclass(frozen=True, slots=True)
class DevicePart:
    """Hold what one process knows now of one graphics processor; what is not known is not there.

    Attributes:
        name: what its maker calls it.
        vendor: its maker.
        parent: the UUID of the whole device that it is part of, or nothing.
        driver: the driver's version, where known.
        status: ``ok``, ``degraded`` (it works slower than it could) or ``failed`` (it cannot be read);
            empty where it is not read any more, and only who it is is known.
        scope: what power covers: ``gpu``, or the ``module`` with a processor beside it.
        gauges: current values by name, in units without prefixes; none where the last reading is too old.
        powers: model, version, and the watts that it draws here with their standard error, as far as learnt.
    """

    name: str = ""
    vendor: str = ""
    parent: str = ""
    driver: str = ""
    status: Literal["ok", "degraded", "failed", ""] = "ok"
    scope: str = "gpu"
    gauges: Mapping[str, float] = field(default_factory=dict)
    powers: tuple[tuple[str, str, float, float], ...] = ()

    @property
    def who(self) -> DevicePart:
        """Return who it is, without what is now: what was counted of it keeps its name when nobody reads it."""
        return DevicePart(self.name, self.vendor, self.parent, self.driver, status="")


@dataclass(frozen=True, slots=True)
class Part:
    """Hold what one origin knows.

    Attributes:
        origin: who counted: one life of a process, or a store, by a name that no other has.
        epoch: the number of this part among those of its origin, ascending; of two, the greater is the newer.
        kind: ``"process"`` or ``"store"``.
        taken_at: seconds since the epoch, on the origin's clock.
        window: width of a slot in seconds.
        series: what is known by (model, version).
        counts: counts that belong to no series.
        gauges: current values that belong to no series, by name.
        devices: the graphics processors that this process shows, by UUID.
    """

    origin: str
    epoch: int
    kind: Literal["process", "store"]
    taken_at: float
    window: float
    series: Mapping[SeriesKey, SeriesPart] = field(default_factory=dict)
    counts: Tally = field(default_factory=Tally)
    gauges: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, DevicePart] = field(default_factory=dict)

    @property
    def lasting(self) -> bool:
        """Whether a store counted this that outlives its process, so that others may have shown it before."""
        return self.kind == "store" and not self.origin.startswith("memory:")


def latest_devices(parts: Iterable[Part]) -> dict[str, DevicePart]:
    """Return the graphics processors of parts by UUID, each as it was seen last by who reads it, if anybody does."""
    seen = [item for part in sorted(parts, key=lambda part: part.taken_at) for item in part.devices.items()]
    return dict(sorted(seen, key=lambda item: bool(item[1].status)))
