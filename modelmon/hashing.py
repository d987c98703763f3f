"""Hash canonical ids as whole columns: 128 seeded bits for text, the number itself for integers.

1. The hash of a text does not depend on the width of the column it stands in: words of zeros add nothing.
2. Text that is the canonical decimal form of an int64 hashes as that integer does, so 17 and ``"17"`` meet.
3. A text's upper half is never zero, an integer's always: the two kinds cannot meet.
4. Words are read as little-endian, so that sampling agrees between machines.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint64]
    Texts: TypeAlias = NDArray[np.bytes_]

_WORD = 8
_BLOCK = 8192  # rows hashed at a time, so that temporaries stay in the cache
_DECIMAL_WIDTH = 20  # bytes of the longest int64 with its sign
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xFF51AFD7ED558CCD
_MIX_2 = 0xC4CEB9FE1A85EC53
_ZERO, _NINE, _MINUS = ord("0"), 9, ord("-")


def mix(words: Words) -> Words:
    """Spread every bit of each word over the whole word (the finaliser of MurmurHash3), in place."""
    words ^= words >> np.uint64(33)
    words *= np.uint64(_MIX_1)
    words ^= words >> np.uint64(33)
    words *= np.uint64(_MIX_2)
    words ^= words >> np.uint64(33)
    return words


@lru_cache(maxsize=32)
def _keys(seed: int, count: int) -> Words:
    """Derive ``count`` odd multipliers from a seed (SplitMix64)."""
    state = np.uint64((seed ^ (seed >> 64)) & _MASK)
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    keys: Words = mix(steps + mix(np.full(1, state))) | np.uint64(1)
    return keys


def hash_texts(texts: Texts, seed: int) -> tuple[Words, Words]:
    """Hash a column of texts without NUL.

    Args:
        texts: ``(n,)`` of a bytes dtype.
        seed: any integer; its lower 128 bits count.

    Returns:
        The lower and upper words, uint64 ``(n,)`` each, the upper never zero.
    """
    n = len(texts)
    low, high = np.empty(n, np.uint64), np.empty(n, np.uint64)
    width = -(-max(texts.dtype.itemsize, 1) // _WORD)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        padded = np.ascontiguousarray(texts[block].astype(f"S{width * _WORD}"))
        words = padded.view("<u8").reshape(-1, width)
        _hash_block(np.ascontiguousarray(words.T, np.uint64), seed, low[block], high[block])
    return low, high


def _hash_block(words: Words, seed: int, low: Words, high: Words) -> None:
    """Hash the columns of ``words`` (width, rows) into ``low`` and ``high``."""
    width = len(words)
    keys = _keys(seed, 3 * width + 2)
    low[:], high[:] = keys[0], keys[1]
    for row, (first, second, third) in zip(words, keys[2:].reshape(width, 3), strict=True):
        mixed = row * first  # an odd factor keeps words apart, and a word of zeros stays zero
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(_MIX_1)
        mixed ^= mixed >> np.uint64(29)
        low += mixed * second
        high += mixed * third
    mix(low)
    mix(high)
    high[high == 0] = 1


def read_decimals(texts: Texts) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Find the texts that are canonical decimal forms of an int64.

    Returns:
        Their positions, ascending, and the integers.
    """
    width = texts.dtype.itemsize
    empty = np.empty(0, np.intp)
    if not width or not len(texts):
        return empty, np.empty(0, np.int64)
    matrix = np.ascontiguousarray(texts).view(np.uint8).reshape(-1, width)
    first = matrix[:, 0]
    candidates = (first - np.uint8(_ZERO) <= _NINE) | (first == _MINUS)
    if width > _DECIMAL_WIDTH:
        candidates &= matrix[:, _DECIMAL_WIDTH] == 0
    positions = np.flatnonzero(candidates)
    if not len(positions):
        return empty, np.empty(0, np.int64)
    matrix = np.ascontiguousarray(matrix[positions, :_DECIMAL_WIDTH].T)
    canonical, values = _read_digits(matrix)
    return positions[canonical], values[canonical].view(np.int64)


def _read_digits(matrix: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], Words]:
    """Read columns of characters (width, rows) that begin with a digit or a minus sign."""
    negative = matrix[0] == _MINUS
    total = np.where(negative, 0, matrix[0] - np.uint8(_ZERO)).astype(np.uint64)
    canonical = np.ones(matrix.shape[1], bool)
    ended = np.zeros(matrix.shape[1], bool)
    length = np.ones(matrix.shape[1], np.int64)
    lead = matrix[1] if len(matrix) > 1 else np.zeros(matrix.shape[1], np.uint8)
    canonical &= (matrix[0] != _ZERO) | (lead == 0)
    canonical &= ~negative | (lead - np.uint8(_ZERO + 1) < _NINE)
    before = total
    for row in matrix[1:]:
        ended |= row == 0
        digit = row - np.uint8(_ZERO)
        canonical &= ended | (digit <= _NINE)
        before = np.where(ended, before, total)
        total = np.where(ended, total, total * np.uint64(10) + digit)
        length += ~ended
    digits = length - negative
    limit = np.uint64(1 << 63) - np.where(negative, np.uint64(0), np.uint64(1))
    canonical &= (digits < _DECIMAL_WIDTH - 1) | ((digits == _DECIMAL_WIDTH - 1) & (total <= limit))
    return canonical, np.where(negative, np.uint64(0) - total, total)
