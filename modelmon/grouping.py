"""Sorting the calls of a drain by slice and slot; nearly always there is one of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.columns import Column
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.callcounts import SeriesCounts
    from modelmon.parts import Slice


class Groups:
    """Sort calls into (slice, slot) pairs.

    Attributes:
        pairs: the slices and slots there are.
        codes: int64 ``(calls,)``, the pair of each call; None where there is one pair.
        last_slot: the slot of the last call.
    """

    __slots__ = ("codes", "last_slot", "pairs", "series")

    def __init__(self, series: SeriesCounts, pages: Sequence[Slice] | None, slots: NDArray[np.int64]) -> None:
        """Sort calls, of which there is one or more.

        Args:
            series: where they are counted; bounds the slices.
            pages: the slice of each call, or None where none has any.
            slots: int64 ``(calls,)``, the slot of each.
        """
        self.series = series
        self.last_slot = int(slots[-1])
        first = int(slots.min())
        if pages is None and first == int(slots.max()):
            self.pairs: list[tuple[Slice, int]] = [((), first)]
            self.codes: NDArray[np.int64] | None = None
            return
        if pages is None:
            wanted: list[Slice] = [()]
            page_codes = np.zeros(len(slots), np.int64)
        else:
            where: dict[Slice, int] = {}
            page_codes = np.fromiter(
                (where.setdefault(series.page(page), len(where)) for page in pages), np.int64, len(slots)
            )
            wanted = list(where)
        span = int(slots.max()) - first + 1
        found, self.codes = np.unique(page_codes * span + (slots - first), return_inverse=True)
        self.pairs = [(wanted[code // span], first + code % span) for code in found.tolist()]

    def entries(self) -> list[tuple[Tally, Any]]:
        """Return an empty entry for each pair with the rows (an index) that belong to it."""
        if self.codes is None:
            return [(Tally(), slice(None))]
        return [(Tally(), np.flatnonzero(self.codes == which)) for which in range(len(self.pairs))]

    def enter(self, entries: list[tuple[Tally, Any]]) -> None:
        """Add each entry to its pair's ledger."""
        for (page, slot), (entry, _) in zip(self.pairs, entries, strict=True):
            self.series.enter(page, slot, entry)

    def slices(self, source: NDArray[np.int64]) -> Column:
        """Return the slice of each prediction row, by its call."""
        if self.codes is None:
            return Column(np.zeros(len(source), np.int32), (self.pairs[0][0],))
        where: dict[Slice, int] = {}
        page_of_pair = np.array([where.setdefault(page, len(where)) for page, _ in self.pairs], np.int32)
        return Column(page_of_pair[self.codes[source]], tuple(where))
