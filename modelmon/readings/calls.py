"""Readings of calls: how many, how they ended, how long they took, and what they predicted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmon.accumulators.counts import Counts
from modelmon.accumulators.durations import Histogram
from modelmon.identity import class_order
from modelmon.readings.distributions import Distribution
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from modelmon.parts import ClassValue, SeriesKey
    from modelmon.readings.selection import Selection
    from modelmon.tasks import Task

OUTCOMES = ("ok", "error", "cancelled", "abandoned")
TIMINGS = ("device_event", "host_sync", "host_async")
_TRUSTED = TIMINGS[:2]


@dataclass(frozen=True, repr=False, eq=False)
class SeriesReadings:
    """Hold what readings of one model and version read from."""

    key: SeriesKey
    selection: Selection

    @property
    def model(self) -> str:
        """The model's name."""
        return self.key[0]

    @property
    def version(self) -> str:
        """The model's version."""
        return self.key[1]

    @property
    def task(self) -> Task | None:
        """How the outputs are read, or None where nobody said and nothing told."""
        return self.selection.task

    @property
    def classes(self) -> tuple[ClassValue, ...]:
        """The classes in reading order: as declared, else numbers, then text, ``"__other__"`` last."""
        return self.selection.classes

    def _counts(self, name: str) -> Counts:
        return self.selection.gather(name, Counts) or Counts()

    def _single(self, name: str) -> Counter[str]:
        return Counter({str(key[0]): n for key, n in self._counts(name).items()})


class CallReadings(SeriesReadings):
    """Read what happened when the model was called, in this and other processes."""

    @property
    def calls(self) -> int:
        """Calls that ended."""
        return self._counts("calls").total

    @property
    def outcomes(self) -> Counter[str]:
        """Calls by outcome: ok, error, cancelled, abandoned."""
        outcomes: Counter[str] = Counter()
        for (outcome, _), n in self._counts("calls").items():
            outcomes[str(outcome)] += n
        return outcomes

    @property
    def errors(self) -> Counter[str]:
        """Calls that raised, by the exception's class name."""
        errors: Counter[str] = Counter()
        for (outcome, name), n in self._counts("calls").items():
            if outcome == "error":
                errors[str(name)] += n
        return errors

    @property
    def in_flight(self) -> int:
        """Calls running when the snapshot was taken."""
        return self.selection.active

    @property
    def predictions(self) -> int:
        """Predicted values seen."""
        return self._counts("predicted").total

    @property
    def predicted(self) -> Counter[ClassValue]:
        """Predicted values by class, or predicted labels by label; declared ones read 0 until they come."""
        name = "predicted_labels" if isinstance(self.task, Multilabel) else "predicted"
        counts = {key[0]: n for key, n in self._counts(name).items() if key}
        declared = (self.task.declared if self.task is not None else None) or ()
        order = (*declared, *sorted(set(counts).difference(declared), key=class_order))
        return Counter({value: counts.get(value, 0) for value in order})

    @property
    def rejected(self) -> Counter[str]:
        """Outputs that could not be read as predictions, by reason."""
        return self._single("rejected")

    @property
    def items(self) -> int:
        """Items that streams delivered."""
        return self._counts("items").total

    @property
    def duration(self) -> Distribution:
        """Time that calls took, whatever their outcome, in seconds."""
        return _merged([self.selection.gather(f"duration:{outcome}", Histogram) for outcome in OUTCOMES])

    @property
    def durations(self) -> dict[str, Distribution]:
        """Time that calls took in seconds, by outcome, for the outcomes that occurred."""
        held = {outcome: self._distribution(f"duration:{outcome}") for outcome in OUTCOMES}
        return {outcome: distribution for outcome, distribution in held.items() if distribution.count}

    @property
    def time_to_first_item(self) -> Distribution:
        """Time from the first request of a stream to its first item, in seconds."""
        return self._distribution("time_to_first_item")

    @property
    def time_per_item(self) -> Distribution:
        """Mean time between the items of one stream, in seconds."""
        return self._distribution("time_per_item")

    @property
    def device_duration(self) -> Distribution:
        """Time from when a device reached a call's work until it had done it, in seconds, of calls where that is known.

        Known is what the device's own clock said, and the host's where it waited (``sync="device"``).
        """
        return _merged([self.selection.gather(f"device_duration:{timing}", Histogram) for timing in _TRUSTED])

    @property
    def device_durations(self) -> dict[str, Distribution]:
        """The same by who timed it, for the clocks that occurred.

        ``host_async`` is the time of calls that may have returned while the device still worked.
        """
        held = {timing: self._distribution(f"device_duration:{timing}") for timing in TIMINGS}
        return {timing: distribution for timing, distribution in held.items() if distribution.count}

    @property
    def device_time_to_first_item(self) -> Distribution:
        """Time from when a device reached a stream's work until it had done that of the first item, in seconds."""
        return self._distribution("device_first_item")

    @property
    def queue_delay(self) -> Distribution:
        """Time that calls waited for the device to reach their work, in seconds."""
        return self._distribution("queue_delay")

    @property
    def untimed(self) -> Counter[str]:
        """Calls that a device should have timed and did not, by reason."""
        return self._single("timers_dropped")

    @property
    def memory_peak(self) -> float:
        """The most bytes torch's allocator was seen to rise to within a call; nan where none was seen."""
        return self._distribution("memory_peak:torch").maximum

    @property
    def batch_size(self) -> Distribution:
        """Rows in one call."""
        return self._distribution("batch_size")

    def _distribution(self, name: str) -> Distribution:
        return Distribution(self.selection.gather(name, Histogram))


def _merged(found: list[Histogram | None]) -> Distribution:
    held = [histogram for histogram in found if histogram is not None]
    if len(held) <= 1:
        return Distribution(held[0] if held else None)
    whole = held[0].copy()
    for histogram in held[1:]:
        whole.merge(histogram)
    return Distribution(whole)
