"""Protocol buffers for Prometheus: the only way in which it takes native histograms.

A native histogram has as many buckets as its values need, each 9 % wide, so quantiles need no bounds that somebody
chose beforehand; the buckets under chosen bounds stand beside it, for servers that keep those.
Rules:

1. Messages are ``io.prometheus.client.MetricFamily``, each after its length; fields of proto3 that are zero may be left
   out, but an optional one that stands for something is written.
2. A value is counted in the bucket that holds the upper end of its own bin, which is at most 1 % above it, so the same
   value always counts in the same bucket and no bucket ever shrinks.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from modelmon.exporters.series import examples, named, trace_of
from modelmon.points.catalogue import HistogramValue
from modelmon.points.families import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Attributes, Point
    from modelmon.points.families import Family
    from modelmon.readings.distributions import Distribution

SCHEMA: Final = 3
"""A factor of two has two to the power of so many buckets."""
ZERO: Final = 2.0**-128
"""Values up to here count as zero."""
_STEPS: Final = tuple(0.5 * 2 ** (step / 2**SCHEMA) for step in range(2**SCHEMA))
_TYPES: Final = {"counter": 0, "gauge": 1, "unknown": 3, "histogram": 4}
_VALUES: Final = {"counter": 3, "gauge": 2, "unknown": 5}
_LENGTH, _DOUBLE = 2, 1
_MORE: Final = 0x80


def encode(points: Iterable[Point]) -> bytes:
    """Return all points as messages, one for each family."""
    families: dict[str, list[bytes]] = {}
    for point in points:
        family = family_of(point.name)
        metrics = families.get(point.name)
        if metrics is None:
            metrics = families[point.name] = [_head(family)]
        metrics.append(_bytes(4, _metric(point, family)))
    messages = [b"".join(metrics) for metrics in families.values()]
    return b"".join(_varint(len(message)) + message for message in messages)


def bucket_of(value: float) -> int:
    """Return the number of the bucket that holds a value above zero: bucket 0 ends at 1, each is 9 % wider.

    >>> bucket_of(1.0), bucket_of(1.01), bucket_of(2.0), bucket_of(0.5)
    (0, 1, 8, -8)
    """
    fraction, exponent = math.frexp(value)  # fraction in [0.5, 1)
    return bisect_left(_STEPS, fraction) + (exponent - 1) * len(_STEPS)


def native(values: Distribution) -> tuple[int, dict[int, int]]:
    """Return how many values are zero, and how many lie in each bucket, by its number, ascending."""
    zeros, buckets = 0, dict[int, int]()
    for _, upto, n in values.bins:
        if upto <= ZERO:
            zeros += n
        else:
            place = bucket_of(upto)
            buckets[place] = buckets.get(place, 0) + n
    return zeros, buckets


def _head(family: Family) -> bytes:
    name = family.sample if family.type == "counter" else family.name
    return _text(1, name) + _text(2, family.help) + _number(3, _TYPES[family.type])


def _metric(point: Point, family: Family) -> bytes:
    value, labels = point.value, _labels(point.name, point.attributes)
    if isinstance(value, HistogramValue):
        return labels + _bytes(7, _histogram(point, value))
    shown = examples(point).get(0)
    example = b"" if shown is None else _bytes(2, _exemplar(shown))
    return labels + _bytes(_VALUES[family.type], _double(1, float(value)) + example)


def _histogram(point: Point, value: HistogramValue) -> bytes:
    made = [_number(1, value.count), _double(2, value.sum)]
    shown = examples(point)
    for place, (bound, count) in enumerate(zip((*value.bounds, math.inf), value.counts, strict=True)):
        example = _bytes(3, _exemplar(shown[place])) if place in shown else b""
        made.append(_bytes(3, _number(1, count) + _double(2, bound) + example))
    if value.distribution is not None:
        made += _native(value.distribution)
    return b"".join(made)


def _native(values: Distribution) -> Iterator[bytes]:
    zeros, buckets = native(values)
    yield _number(5, _zigzag(SCHEMA)) + _double(6, ZERO) + _number(7, zeros)
    spans: list[list[int]] = []
    end = before = 0
    deltas = []
    for place, n in buckets.items():
        if not spans or place != end:
            spans.append([place - end, 0])
        spans[-1][1] += 1
        end = place + 1
        deltas.append(_varint(_zigzag(n - before)))
        before = n
    for offset, length in spans:
        yield _bytes(12, _number(1, _zigzag(offset)) + _number(2, length))
    if not spans:
        yield _bytes(12, b"")  # an empty span says that it is native all the same
    yield _bytes(13, b"".join(deltas))


def _exemplar(exemplar: Exemplar) -> bytes:
    labels = b"".join(_label(1, *pair) for pair in trace_of(exemplar))
    seconds, part = divmod(round(exemplar.at * 1e9), 10**9)
    return labels + _double(2, exemplar.value) + _bytes(3, _number(1, seconds) + _number(2, part))


@lru_cache(maxsize=32_768)
def _labels(name: str, attributes: Attributes) -> bytes:
    return b"".join(_label(1, *pair) for pair in named(name, attributes))


@lru_cache(maxsize=8192)
def _label(field: int, name: str, value: str) -> bytes:
    return _bytes(field, _text(1, name) + _text(2, value))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode("utf-8", "backslashreplace"))


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | _DOUBLE) + struct.pack("<d", value)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _varint(value: int) -> bytes:
    if value < _MORE:
        return _SMALL[value]
    made = bytearray()
    while value >= _MORE:
        made.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    made.append(value)
    return bytes(made)


_SMALL: Final = tuple(bytes([value]) for value in range(_MORE))
