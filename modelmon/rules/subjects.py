"""Subjects: what a rule may be about, and the point of the catalogue that carries the same number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from modelmon.points.catalogue import CATALOGUE
from modelmon.readings.metrics import METRICS

if TYPE_CHECKING:
    from modelmon.points.instruments import Kind

Sort: TypeAlias = Literal["quality", "distribution", "count", "level", "point"]
Pairs: TypeAlias = "tuple[tuple[str, str], ...]"
OF_STORES: Final = tuple(
    f"modelmon.{name}" for name in ("prediction.", "label.", "join.", "confusion", "class.", "score.", "quality")
)
"""Points of a store: where several processes share it, each of them may begin to show what others counted before."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Say what a name in a rule means.

    Attributes:
        name: the name that users write: an attribute of a model snapshot, or the name of a point.
        sort: ``"quality"`` is read from slots of prediction time; ``"distribution"`` and ``"count"`` are what was added
            within a window; ``"level"`` is what stands now; ``"point"`` is any point, read as its kind says.
        point: the point that carries the number.
        where: attributes of that point that hold for it.
        narrowed: the attribute that ``of=`` sets; nothing where ``of=`` does not apply.
        among: attributes of that point that have one of several values for it, as patterns.
    """

    name: str
    sort: Sort
    point: str
    where: Pairs = ()
    narrowed: str = ""
    among: Pairs = ()

    @property
    def kind(self) -> Kind:
        """How the point that carries it is read: a counter, an up-down counter, a gauge or a histogram."""
        return CATALOGUE[self.point].kind

    @property
    def stored(self) -> bool:
        """Whether it is read of a store, which another process may show, or which cannot be read now."""
        return self.point.startswith(OF_STORES)


_TIMED = (("timing", "device_event|host_sync"),)
"""Whose timing is the device's time: ``host_async`` may have left while the device still worked."""
_ROWS = (
    Subject("duration", "distribution", "modelmon.call.duration", narrowed="outcome"),
    Subject("time_to_first_item", "distribution", "modelmon.stream.time_to_first_item"),
    Subject("time_per_item", "distribution", "modelmon.stream.time_per_item"),
    Subject("device_duration", "distribution", "modelmon.call.device_duration", among=_TIMED),
    Subject("batch_size", "distribution", "modelmon.call.batch_size"),
    Subject("label_delay", "distribution", "modelmon.label.delay"),
    Subject("calls", "count", "modelmon.calls", narrowed="outcome"),
    Subject("errors", "count", "modelmon.calls", (("outcome", "error"),), "error.type"),
    Subject("predictions", "count", "modelmon.predictions", narrowed="predicted"),
    Subject("rejected", "count", "modelmon.predictions.rejected", narrowed="reason"),
    Subject("items", "count", "modelmon.stream.items"),
    Subject("label_events", "count", "modelmon.label.events", narrowed="outcome"),
    Subject("prediction_events", "count", "modelmon.prediction.events", narrowed="outcome"),
    Subject("in_flight", "level", "modelmon.call.active"),
    Subject("awaiting", "level", "modelmon.join.occupancy", (("state", "pending"),)),
)
SUBJECTS = {row.name: row for row in _ROWS if row.point in CATALOGUE}


def subject_named(name: str) -> Subject:
    """Return what a name means.

    Raises:
        KeyError: when nothing has that name; the message names what there is.
    """
    if name in SUBJECTS:
        return SUBJECTS[name]
    if name in METRICS:
        takes = METRICS[name].takes
        narrowed = "class" if takes in {"class", "class or average"} else ""
        if name == "coverage":
            return Subject(name, "quality", "modelmon.label.coverage")
        return Subject(name, "quality", "modelmon.quality", (("metric", name),), narrowed)
    if name in CATALOGUE:
        return Subject(name, "point", name)
    known = ", ".join((*SUBJECTS, *METRICS))
    msg = f"nothing is called {name!r}: a rule is about a point of the catalogue (modelmon.calls, …) or one of {known}"
    raise KeyError(msg)
