"""Exponential histograms: our bins under bounds that are powers of a root of two.

Our bins span at most 1 %, so buckets of that width or wider are right but for values within half a bin of a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

FINEST: Final = 6  # 64 buckets to the octave: 1.1 % each
BUCKETS: Final = 160


@dataclass(frozen=True, slots=True)
class Exponential:
    """Hold an exponential histogram of values that are not negative.

    Attributes:
        scale: the base is ``2 ** 2 ** -scale``; bucket ``i`` holds what is above ``base ** i``, to ``base ** (i + 1)``.
        zeros: how many values are zero.
        offset: which bucket is the first.
        counts: how many values there are in each, from the first that holds any to the last.
    """

    scale: int
    zeros: int
    offset: int
    counts: tuple[int, ...]


def exponential(
    bins: Sequence[tuple[float, float, int]], *, buckets: int = BUCKETS, finest: int = FINEST
) -> Exponential:
    """Return bins as an exponential histogram.

    Args:
        bins: (above, up to, how many), none negative.
        buckets: how many there are at most, two or more.
        finest: the greatest scale.

    >>> exponential([(0.0, 0.0, 2), (0.99, 1.0, 1), (3.96, 4.0, 5)], buckets=4)
    Exponential(scale=0, zeros=2, offset=-1, counts=(1, 0, 5))
    """
    zeros = sum(n for _, upto, n in bins if upto <= 0)
    held = [(math.log2((above + upto) / 2), n) for above, upto, n in bins if upto > 0 and n]
    if not held:
        return Exponential(finest, zeros, 0, ())
    scale = finest
    first, last = (_bucket(end, scale) for end in (held[0][0], held[-1][0]))
    while last - first >= buckets:
        scale -= 1
        first, last = (_bucket(end, scale) for end in (held[0][0], held[-1][0]))
    counts = [0] * (last - first + 1)
    for logarithm, n in held:
        counts[_bucket(logarithm, scale) - first] += n
    return Exponential(scale, zeros, first, tuple(counts))


def _bucket(logarithm: float, scale: int) -> int:
    return math.ceil(math.ldexp(logarithm, scale)) - 1
