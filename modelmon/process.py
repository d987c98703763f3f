"""What this process counted by itself: calls, durations, predicted classes, and the library's own troubles."""

from __future__ import annotations

from dataclasses import fields
from itertools import count
from typing import TYPE_CHECKING

from modelmon.callcounts import SeriesCounts
from modelmon.errors import InvariantError
from modelmon.parts import Part
from modelmon.stores.contract import JoinSettings
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelmon.columns import Ids
    from modelmon.events import Labels
    from modelmon.parts import SeriesKey
    from modelmon.settings import Settings


class ProcessCounts:
    """Count calls by model and version, and give frozen parts of it."""

    __slots__ = ("_epochs", "_origin", "_series", "_settings")

    def __init__(self, origin: str, settings: Settings) -> None:
        """Start at zero; ``origin`` is a name that no other process has."""
        self._origin = origin
        self._settings = settings
        self._series: dict[SeriesKey, SeriesCounts] = {}
        self._epochs = count(1)

    def series(self, key: SeriesKey) -> SeriesCounts:
        """Return the counts of one model and version, at zero if new."""
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = SeriesCounts()
        return found

    def items(self) -> Iterable[tuple[SeriesKey, SeriesCounts]]:
        """Return all counts by (model, version)."""
        return self._series.items()

    def judge(self, labels: Labels) -> None:
        """Look for traced predictions that labels say are wrong, among the models that they are for."""
        for (model, version), held in self._series.items():
            if held.exemplars.awaits and labels.model in {None, model} and labels.version in {None, version}:
                declared = (held.task.declared if held.task is not None else None) or ()
                counted = [ledger.total["predicted"] for ledger in held.ledgers.values() if "predicted" in ledger.total]
                seen = dict.fromkeys(key[0] for counts in counted for key, _ in counts.items() if key)
                held.exemplars.judge(labels, held.task, (*declared, *seen))

    def forget(self, ids: Ids) -> None:
        """Keep nothing of predictions under these ids."""
        for held in self._series.values():
            if held.exemplars.awaits:
                held.exemplars.forget(ids)

    def part(
        self,
        now: float,
        started: Mapping[SeriesKey, int],
        own: Mapping[tuple[str, str], int],
        failures: Mapping[tuple[str, str], int],
        gauges: Mapping[str, float] | None = None,
    ) -> Part:
        """Return what is counted as of now, frozen.

        Args:
            now: seconds since the epoch.
            started: calls begun, by model and version.
            own: the library's own troubles, by (name, what).
            failures: failed exports, by (exporter, reason).
            gauges: the library's own current values, by name.
        """
        first_kept = int((now - self._settings.history) // self._settings.window)
        series = {}
        for key, held in self._series.items():
            held.fold(first_kept)
            series[key] = held.part(max(0, started.get(key, 0) - held.ended))
        return Part(
            origin=self._origin,
            epoch=next(self._epochs),
            kind="process",
            taken_at=now,
            window=self._settings.window,
            series=series,
            counts=self._tally(own, failures),
            gauges=dict(gauges or {}),
        )

    def check(self, started: Mapping[SeriesKey, int]) -> None:
        """Check that every call begun has one outcome, was dropped, or runs.

        Raises:
            InvariantError: naming the numbers.
        """
        for key, begun in started.items():
            held = self.series(key)
            counted = sum(n for _, n in held.calls())
            if held.ended > begun or counted + held.lost != held.ended:
                ended = f"{held.ended} ended, {counted} counted by outcome, {held.lost} dropped"
                msg = f"calls of {key}: {begun} started, {ended}"
                raise InvariantError(msg)

    def _tally(self, own: Mapping[tuple[str, str], int], failures: Mapping[tuple[str, str], int]) -> Tally:
        counts = Tally()
        for (name, what), n in own.items():
            counts.counts(f"self:{name}").add((what,), n)
        for series in self._series.values():
            for name, n in series.overflows().items():
                if n:
                    counts.counts("self:overflow").add((name,), n)
        for pair, n in failures.items():
            counts.counts("exporter_failures").add(pair, n)
        return counts


def join_settings(settings: Settings) -> JoinSettings:
    """Return the settings that govern the join."""
    return JoinSettings(**{field.name: getattr(settings, field.name) for field in fields(JoinSettings)})
