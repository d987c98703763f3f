"""Quality of sets of labels: what is not a read-off of the matrix of a single label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def subset_accuracy(matching: int, rows: int) -> float:
    """Return the share of rows whose every known label is right.

    >>> subset_accuracy(3, 4)
    0.75
    """
    return matching / rows if rows else math.nan


def hamming_loss(matrices: NDArray[np.int64]) -> float:
    """Return the share of single labels that are wrong, from ``(L, 2, 2)`` matrices."""
    total = int(matrices.sum())
    wrong = int(matrices[:, 0, 1].sum()) + int(matrices[:, 1, 0].sum())
    return wrong / total if total else math.nan
