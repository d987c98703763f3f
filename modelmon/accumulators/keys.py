"""Integer keys of scores, in the order of the scores.

Two keys serve a score histogram.
The fine key is the float's own bits put in order: one key per float, from which the float can be read back.
The coarse key is made to be cut short (shifted right): it spends its range where models put their scores.
Within [0, 1] it is logarithmic towards 0 and, as 1 - x, towards 1, with a linear part of 16 octaves' weight laid over,
so that clusters in the middle are resolved too; octaves below 2**-40 weigh 1/8.
Outside it is logarithmic in the magnitude: octaves from 2**-4 to 2**16 weigh 8, those beyond 2**-40 and 2**40 1/64.
0 and 1, where saturated models pile up, have a zone each that no shift merges with a neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Flags, Floats, Ints


ZONE_BITS = 60
_ZONE = 1 << ZONE_BITS
_ZERO_ZONE, _ONE_ZONE = 0, 2
_MIRROR = -(1 << 63)
_LINEAR = 2.0**56
_HALF = 0.5


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


_TINY, _NEAR, _FAR, _HUGE = (_bits(2.0**power) for power in (-40, -4, 16, 40))
_TINY_DIVISOR, _EXTREME_DIVISOR = 3, 6
_TINY_KEY = _TINY >> _TINY_DIVISOR
_HALF_KEY = _bits(0.5) - _TINY + _TINY_KEY


def fine_keys(scores: Floats) -> Ints:
    """Return one int64 key per distinct score, ascending with it; -0.0 and 0.0 share theirs.

    Args:
        scores: float64[n], no nan.
    """
    bits = (scores + 0.0).view(np.int64)
    if not bits.size or int(bits.min()) >= 0:
        return bits
    return np.where(bits >= 0, bits, _MIRROR - bits)


def scores_of(keys: Ints) -> Floats:
    """Return the scores of fine keys."""
    return np.where(keys >= 0, keys, _MIRROR - keys).view(np.float64)


def coarse_keys(scores: Floats) -> Ints:
    """Return int64 keys that never descend as the scores ascend, made to be shifted right.

    Args:
        scores: float64[n], no nan.
    """
    if not scores.size:
        return np.empty(0, np.int64)
    if float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0:
        return _unit_keys(scores)
    magnitude = _outer_keys(np.abs(scores))
    keys = np.where(scores < 0.0, -1 - magnitude, 3 * _ZONE + magnitude)
    inside = np.flatnonzero((scores >= 0.0) & (scores <= 1.0))
    keys[inside] = _unit_keys(scores[inside])
    return keys


def _unit_keys(scores: Floats) -> Ints:
    lower = scores < _HALF
    # 1 - x is exact for x in [0.5, 1].
    side = _inner_keys(np.where(lower, scores, 1.0 - scores))
    keys = np.where(lower, side, 2 * _HALF_KEY - side)
    keys += (scores * _LINEAR).astype(np.int64)
    keys += _ZONE
    ends = np.flatnonzero((scores == 0.0) | (scores == 1.0))
    if ends.size:
        keys[ends] = np.where(scores[ends] == 0.0, _ZERO_ZONE * _ZONE, _ONE_ZONE * _ZONE)
    return keys


def _inner_keys(magnitude: Floats) -> Ints:
    bits = magnitude.view(np.int64)
    keys: Ints = bits - (_TINY - _TINY_KEY)
    tiny = np.flatnonzero(bits < _TINY)
    if tiny.size:
        keys[tiny] = bits[tiny] >> _TINY_DIVISOR
    return keys


def _outer_keys(magnitude: Floats) -> Ints:
    bits = magnitude.view(np.int64)
    keys: Ints = np.clip(bits, _TINY, _HUGE) - _TINY
    keys += 7 * (np.clip(bits, _NEAR, _FAR) - _NEAR)
    keys += np.minimum(bits, _TINY) >> _EXTREME_DIVISOR
    keys += (np.maximum(bits, _HUGE) - _HUGE) >> _EXTREME_DIVISOR
    return keys


def hold_one_score(keys: Ints, shift: int) -> Flags:
    """Tell which coarse keys, shifted right by ``shift``, stand for one score only: exactly 0 or exactly 1."""
    zone = keys >> (ZONE_BITS - shift)
    single: Flags = (zone == _ZERO_ZONE) | (zone == _ONE_ZONE)
    return single
