"""Gains: how much counters grew within a window, recorded once for all alerts that ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.points.attributes import label_name
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import family_of
from modelmon.rules.promql import series, summed
from modelmon.rules.recorded import Recording, span
from modelmon.rules.subjects import OF_STORES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelmon.rules.subjects import Pairs, Subject

_PARTS: Final = {"_bucket": ("le",)}


class Gains:
    """Note which gains the alerts of a file read, and write the rules that record them."""

    def __init__(self, by: Sequence[str]) -> None:
        """Start with none; ``by`` are the labels that stand for one model and version."""
        self.by = tuple(by)
        self._asked: dict[tuple[str, str, float], dict[str, None]] = {}

    def sum(self, subject: Subject, pairs: Pairs, window: float, *own: str, part: str = "") -> str:
        """Return an expression for how much a counter, or a part of a histogram, grew within a window."""
        point = subject.point
        labels = self._asked.setdefault((point, part, window), {})
        named = (*CATALOGUE[point].attributes, *(name for name, _ in pairs), *_PARTS.get(part, ()))
        labels.update(dict.fromkeys(label_name(name) for name in named if name not in self.by))
        return summed(series(_name(point, part, window), pairs, subject.among), (*self.by, *own))

    def recordings(self) -> Iterator[Recording]:
        """Yield a rule for every gain that was asked for."""
        for (point, part, window), labels in self._asked.items():
            expr = _growth(family_of(point).sample + part, span(window), shared=point.startswith(OF_STORES))
            yield Recording(_name(point, part, window), summed(expr, (*self.by, *labels)))


def _name(point: str, part: str, window: float) -> str:
    sample = family_of(point).sample.removesuffix("_total").replace("_", ":", 1)
    return f"{sample}{part}:{span(window)}"


def _growth(of: str, length: str, *, shared: bool) -> str:
    """Return how much each series grew.

    ``increase`` knows nothing of what a series held when it first came, such as the first error of a type.
    Where the target was read more often than the series was there, the series began within the window, and all it holds
    is growth; where it has also fallen, it holds only what came since, and ``increase`` knows what came before too.
    Where the target was not read for the whole window yet, growth is counted from the first reading, and nothing is
    extrapolated: small counts and large ones, which are divided by each other, would be so to a different degree.
    """
    if shared:
        return f"increase({of}[{length}])"
    fell = f"resets({of}[{length}]) > 0"
    away = f"count_over_time({of}[{length}]) < on (job, instance) group_left () sum_over_time(up[{length}])"
    fresh = f"({of} and {away}\nunless {fell})"
    whole = f"increase({of}[{length}]) and ({of} offset {length} or {fell})"
    return f"\n{fresh}\nor {whole}\nor {of} - min_over_time({of}[{length}])\n"
