"""Splitting whole numbers by shares, so that the parts always add up to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def split(whole: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers in proportion to shares, none negative, whose sum is ``whole``: by largest remainder.

    >>> split(10, [1, 1, 1]), split(0, [1]), split(7, [0, 2])
    ([4, 3, 3], [0], [0, 7])

    Args:
        whole: what to split, 0 or more.
        shares: 0 or more each, and not all 0.
    """
    total = sum(shares)
    parts, remainders = [], []
    left = whole
    for share in shares:
        wanted = whole * (share / total)
        part = min(int(wanted), left)
        parts.append(part)
        remainders.append(wanted - part)
        left -= part
    order = sorted((place for place, share in enumerate(shares) if share > 0), key=lambda place: -remainders[place])
    for turn in range(left):  # one each, but for what floats lose of great numbers
        if turn >= len(order):
            parts[order[0]] += left - turn
            break
        parts[order[turn]] += 1
    return parts
