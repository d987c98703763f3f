"""Selections: which parts of a series, which slots of time and which slices a reading is about.

Nothing is added up before somebody asks for it, and what was added up once is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.accumulators.scores import ClassScores
from modelmon.identity import class_order
from modelmon.memos import memo
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelmon.parts import ClassValue, Exemplar, SeriesPart, Slice
    from modelmon.tasks import Task

    Spans = Mapping[float, tuple[int, int]]

Kind = TypeVar("Kind")

_CODED = (Confusion, LabelMatrix, ClassScores)
_LAST = 2**63


@dataclass(frozen=True, slots=True)
class Source:
    """Hold what one origin knows of the series, and the width of its slots in seconds."""

    part: SeriesPart
    width: float


@dataclass(frozen=True)
class Selection:
    """Choose from the sources of one series.

    Attributes:
        sources: what every origin knows.
        now: when the snapshot was taken, seconds since the epoch.
        spans: first and last slot to read, by width of slot; None reads everything ever counted.
        pages: the slices to read; None reads all.
    """

    sources: tuple[Source, ...]
    now: float
    spans: Spans | None = None
    pages: frozenset[Slice] | None = None
    _gathered: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @memo
    def task(self) -> Task | None:
        """How the outputs are read; where origins disagree, the one that sorts last."""
        tasks = {source.part.task for source in self.sources if source.part.task is not None}
        return max(tasks, key=repr, default=None)

    @memo
    def classes(self) -> tuple[ClassValue, ...]:
        """The classes in reading order: as declared, then numbers, then text, ``"__other__"`` last."""
        declared = (self.task.declared if self.task is not None else None) or ()
        seen = {value for source in self.sources for value in source.part.classes}
        return (*declared, *sorted(seen.difference(declared), key=class_order))

    @memo
    def slices(self) -> tuple[Slice, ...]:
        """The slices there are within this selection, the one without attributes first."""
        found = {page for source in self.sources for page in source.part.ledgers if self._reads(page)}
        return tuple(sorted(found))

    @property
    def is_sliced(self) -> bool:
        """Whether some slices of the series are left out."""
        return self.pages is not None and any(
            page not in self.pages for source in self.sources for page in source.part.ledgers
        )

    @property
    def active(self) -> int:
        """Calls running when the snapshot was taken."""
        return sum(n for source in self.sources for page, n in source.part.active.items() if self._reads(page))

    def exemplars(self, about: str, *own: ClassValue) -> tuple[Exemplar, ...]:
        """Return the calls that stand for their like, oldest first; of slots there are none.

        Args:
            about: what they are examples of.
            own: the first of what tells these apart.
        """
        if self.spans is not None:
            return ()
        held = (exemplar for source in self.sources for exemplar in source.part.exemplars)
        found = [one for one in held if one.about == about and one.own[: len(own)] == own and self._reads(one.page)]
        return tuple(sorted(found, key=lambda one: one.at))

    def gather(self, name: str, kind: type[Kind]) -> Kind | None:
        """Add up one accumulator over slices, slots and origins; None if nobody has it.

        The result is for reading only: it may be the very object that a part holds.
        """
        found = self._gather(name, (ledger for source in self.sources for ledger in self._ledgers(source)))
        return found if isinstance(found, kind) else None

    def gather_shared(self, name: str, kind: type[Kind]) -> Kind | None:
        """Add up one accumulator that is kept for whole series; None if nobody has it, or slices are left out."""
        if self.is_sliced:
            return None
        found = self._gather(name, ((source, source.part.shared) for source in self.sources))
        return found if isinstance(found, kind) else None

    def during(self, seconds: float) -> Selection:
        """Choose the slots that end after ``seconds`` before now; below one slot, the current one."""
        spans = {}
        for width in {source.width for source in self.sources}:
            since = self.now if seconds < width else self.now - seconds
            first, last = (self.spans or {}).get(width, (-_LAST, _LAST))
            current = math.floor(self.now / width) if seconds < width else _LAST
            spans[width] = (max(first, math.floor(since / width)), min(last, current))
        return Selection(self.sources, self.now, spans, self.pages)

    def maturing(self, seconds: float, maturity: float) -> Selection:
        """Choose the newest slots that ended at least ``maturity`` ago and together last ``seconds``, at least one.

        Without a maturity (nan) none is old enough.
        """
        spans = {}
        for width in {source.width for source in self.sources}:
            first, last = (self.spans or {}).get(width, (-_LAST, _LAST))
            if math.isnan(maturity):
                spans[width] = (0, -1)
                continue
            ended = math.floor((self.now - maturity) / width)
            since = ended - max(1, math.ceil(seconds / width)) if math.isfinite(seconds) else -_LAST
            spans[width] = (max(first, since), min(last, ended - 1))
        return Selection(self.sources, self.now, spans, self.pages)

    def each_slot(self, name: str) -> Iterator[tuple[float, float, Any]]:
        """Yield (start, width, accumulator) of every slot chosen that has it, slice by slice."""
        for source in self.sources:
            for _, ledger in self._ledgers(source):
                for number in self._numbers(ledger, source.width):
                    held = ledger.slots[number].get(name)
                    if held is not None:
                        yield number * source.width, source.width, held

    def by_slot(self) -> dict[float, Selection]:
        """Return a selection of each slot that holds anything, by its start in seconds, oldest first."""
        starts: dict[float, dict[float, tuple[int, int]]] = {}
        for source in self.sources:
            ledgers = [source.part.shared, *(ledger for _, ledger in self._ledgers(source))]
            for number in {number for ledger in ledgers for number in self._numbers(ledger, source.width)}:
                starts.setdefault(number * source.width, {})[source.width] = (number, number)
        return {start: Selection(self.sources, self.now, starts[start], self.pages) for start in sorted(starts)}

    def of_pages(self, pages: Iterable[Slice]) -> Selection:
        """Choose slices."""
        return Selection(self.sources, self.now, self.spans, frozenset(pages))

    def _gather(self, name: str, ledgers: Iterable[tuple[Source, Ledger]]) -> Any:
        if name not in self._gathered:
            found = [
                self._relabelled(held[name], source.part.classes)
                for source, ledger in ledgers
                for held in self._tallies(ledger, source.width)
                if name in held
            ]
            self._gathered[name] = _added(name, found)
        return self._gathered[name]

    def _relabelled(self, held: Any, classes: tuple[ClassValue, ...]) -> Any:
        if not isinstance(held, _CODED) or classes == self.classes[: len(classes)]:
            return held
        places = {value: place for place, value in enumerate(self.classes)}
        moved = held.copy()
        moved.relabel(np.array([places[value] for value in classes], dtype=np.int64), len(self.classes))
        return moved

    def _ledgers(self, source: Source) -> Iterator[tuple[Source, Ledger]]:
        ledgers = source.part.ledgers
        for page in ledgers if self.pages is None else self.pages & ledgers.keys():
            yield source, ledgers[page]

    def _tallies(self, ledger: Ledger, width: float) -> Iterator[Tally]:
        if self.spans is None:
            yield ledger.total
        else:
            for number in self._numbers(ledger, width):
                yield ledger.slots[number]

    def _numbers(self, ledger: Ledger, width: float) -> Iterator[int]:
        first, last = (-_LAST, _LAST) if self.spans is None else self.spans.get(width, (0, -1))
        return (number for number in ledger.slots if first <= number <= last)

    def _reads(self, page: Slice) -> bool:
        return self.pages is None or page in self.pages


def _added(name: str, found: list[Any]) -> Any:
    if len(found) <= 1:
        return found[0] if found else None
    tally = Tally()
    for held in found:
        tally.merge({name: held})
    return tally[name]
