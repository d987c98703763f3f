"""Series: what the lines of a point are called in Prometheus, and which of them show an example."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

from modelmon.points.attributes import label_name
from modelmon.points.catalogue import CATALOGUE, HistogramValue
from modelmon.points.families import family_of, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Attributes, Point

Labels = tuple[tuple[str, str], ...]


def labels_of(point: Point) -> Labels:
    """Return a point's labels; those it leaves out are empty, so that a family has the same on all points."""
    return named(point.name, point.attributes)


def named(name: str, attributes: Attributes) -> Labels:
    """Return the labels of an instrument's point with these attributes."""
    given = {label_name(attribute): value for attribute, value in attributes}
    for attribute in CATALOGUE[name].attributes:
        given.setdefault(label_name(attribute), "")
    return tuple(sorted(given.items()))


@lru_cache(maxsize=32_768)
def apart(attributes: Attributes, taken: frozenset[str]) -> Attributes:
    """Return attributes under names that no label in ``taken`` has; those that have one get the prefix ``attr_``.

    >>> apart((("model", "m"), ("job", "x"), ("attr_job", "y")), frozenset({"job"}))
    (('model', 'm'), ('attr_attr_job', 'x'), ('attr_job', 'y'))
    """
    known = {label_name(name) for name, _ in attributes}
    if known.isdisjoint(taken):
        return attributes
    named = []
    for raw, value in attributes:
        name = raw
        if label_name(raw) in taken:
            while label_name(name) in taken | known:
                name = f"attr_{name}"
            known.add(label_name(name))
        named.append((name, value))
    return tuple(named)


def samples(point: Point) -> Iterator[tuple[str, Labels, float]]:
    """Yield the lines of one point as (name, labels, value), in the order in which they are written."""
    sample, labels, value = family_of(point.name).sample, labels_of(point), point.value
    if not isinstance(value, HistogramValue):
        yield sample, labels, value
        return
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        yield f"{sample}_bucket", (*labels, ("le", number(float(bound)))), count
    yield f"{sample}_count", labels, value.count
    yield f"{sample}_sum", labels, value.sum


def examples(point: Point) -> dict[int, Exemplar]:
    """Return the call that each line of a point shows as its example, by the line's place; of several the last.

    Only counters and the buckets of histograms may show one.
    """
    if isinstance(point.value, HistogramValue):
        bounds, counts = point.value.bounds, point.value.counts
        held = {bisect_left(bounds, one.value): one for one in point.exemplars}
        return {place: one for place, one in held.items() if counts[place]}
    if point.exemplars and point.value and family_of(point.name).type == "counter":
        return {0: point.exemplars[-1]}
    return {}


def trace_of(exemplar: Exemplar) -> Labels:
    """Return the labels of an example: the trace that it was part of."""
    return (("span_id", exemplar.span_id), ("trace_id", exemplar.trace_id))
