"""Whether labels are missing more from one class than from another, and what can be done about it.

Post-stratification weighs each labelled row by how many accepted rows it stands for in its stratum (predicted class,
and bin of the score where there is one). That is right where labels are missing at random within a stratum; where they
are missing by the very truth they would tell, nothing in the data can mend it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

FEWEST_EXPECTED = 5.0
STRATA = 20
FEWEST_LABELS = 30
_SCALE = 2.0**40
_TERMS = 10_000
_ACCURACY = 1e-15


class Association(NamedTuple):
    """Hold a chi-square test of whether all classes have the same coverage.

    Attributes:
        statistic: chi-square; nan where it cannot be tested.
        degrees: degrees of freedom.
        p_value: how probable a statistic as great is if coverage is the same; nan where it cannot be tested.
        effect: Cramér's V, 0 (the same) to 1 (the class alone decides).
        spread: the greatest coverage of a tested class less the least.
        rows: rows tested.
    """

    statistic: float
    degrees: int
    p_value: float
    effect: float
    spread: float
    rows: int


def association(labelled: Ints, accepted: Ints) -> Association:
    """Test whether classes have the same coverage.

    Classes of which fewer than five labelled or unlabelled rows are to be expected are put together, and left out where
    even together they are too few.

    >>> association(np.array([90, 40]), np.array([100, 100])).p_value < 1e-9
    True
    """
    table = _pooled(np.stack([labelled, accepted - labelled], axis=1).astype(np.float64))
    rows, margins = table.sum(), table.sum(axis=0)
    if len(table) < len(margins) or not margins.all():
        return Association(math.nan, 0, math.nan, math.nan, math.nan, int(rows))
    expected = table.sum(axis=1)[:, None] * margins / rows
    statistic = float(((table - expected) ** 2 / expected).sum())
    degrees = len(table) - 1
    coverage = table[:, 0] / table.sum(axis=1)
    spread = float(coverage.max() - coverage.min())
    return Association(
        statistic, degrees, chi_square_tail(statistic, degrees), math.sqrt(statistic / rows), spread, int(rows)
    )


def _pooled(table: Floats) -> Floats:
    rows = table.sum()
    if not rows:
        return table[:0]
    rarer = float(table.sum(axis=0).min()) / float(rows)
    enough = table.sum(axis=1) * rarer >= FEWEST_EXPECTED
    rest = table[~enough].sum(axis=0)
    kept: Floats = table[enough]
    return np.vstack([kept, rest]) if rest.sum() * rarer >= FEWEST_EXPECTED else kept


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return the probability that chi-square with these degrees of freedom is at least ``statistic``.

    >>> round(chi_square_tail(3.841458820694124, 1), 12)
    0.05
    """
    shape, x = degrees / 2, statistic / 2
    if x <= 0:
        return 1.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    return 1.0 - front * _series(shape, x) if x < shape + 1 else front * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    """Return the lower incomplete gamma function by its power series, without the factor in front."""
    term = total = 1 / shape
    for step in range(1, _TERMS):
        term *= x / (shape + step)
        total += term
        if term < total * _ACCURACY:
            break
    return total


def _fraction(shape: float, x: float) -> float:
    """Return the upper incomplete gamma function by Lentz's continued fraction, without the factor in front."""
    tiny = 1e-300
    b = x + 1 - shape
    c, d = 1 / tiny, 1 / b
    total = d
    for step in range(1, _TERMS):
        a = -step * (step - shape)
        b += 2
        d = 1 / _apart(a * d + b, tiny)
        c = _apart(b + a / c, tiny)
        total *= d * c
        if abs(d * c - 1) < _ACCURACY:
            break
    return total


def _apart(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def weighed_by_class(cells: Ints, accepted: Ints) -> Floats:
    """Weigh a confusion matrix so that each predicted class counts all its accepted rows.

    Args:
        cells: int64 ``(k, n)``, labelled rows, true classes down, predicted across.
        accepted: int64 ``(n,)``, accepted rows by predicted class.

    Returns:
        float64 ``(k, n)``; nan in the column of a class that was accepted and never labelled.
    """
    labelled = cells.sum(axis=0)
    weight = np.divide(accepted, labelled, out=np.full(len(labelled), np.nan), where=labelled > 0)
    weight[(accepted == 0) & (labelled == 0)] = 0.0
    weighed: Floats = cells * weight
    return weighed


def weighed_by_score(labelled: Ints, accepted: Ints) -> Floats:
    """Weigh binary rows so that each bin of scores counts all its accepted rows, class by predicted class.

    Neighbouring bins are merged until each of at most 20 strata of a class has labels enough.

    Args:
        labelled: int64 ``(n, 2, 2)``, by bin, true class and predicted class.
        accepted: int64 ``(n, 2)``, by bin and predicted class.

    Returns:
        float64 ``(2, 2)``, true classes down, predicted across; nan as in `weighed_by_class`.
    """
    matrix = np.zeros((2, 2))
    for predicted in range(2):
        cells, rows = labelled[:, :, predicted], accepted[:, predicted]
        group = strata(cells.sum(axis=1), rows)
        truths = np.zeros((int(group.max(initial=0)) + 1, 2), np.int64)
        np.add.at(truths, group, cells)
        total = np.bincount(group, rows, len(truths))
        matrix[:, predicted] = weighed_by_class(truths.T, total.astype(np.int64)).sum(axis=1)
    return matrix


def strata(labelled: Ints, accepted: Ints) -> Ints:
    """Return the stratum of each bin, int64 ``(n,)``, ascending from 0."""
    fewest_rows = accepted.sum() / STRATA
    group = np.zeros(len(labelled), np.int64)
    number, labels, rows, opened = 0, 0, 0, 0
    for place, (more_labels, more_rows) in enumerate(zip(labelled.tolist(), accepted.tolist(), strict=True)):
        group[place] = number
        labels, rows = labels + more_labels, rows + more_rows
        if labels >= FEWEST_LABELS and rows >= fewest_rows:
            number, labels, rows, opened = number + 1, 0, 0, place + 1
    group[opened:] = max(number - 1, 0)  # what is left has too few labels to stand alone
    return group


def whole(matrix: Floats) -> Ints:
    """Return a matrix of weighed rows as integers in the same proportions, for metrics that only know proportions."""
    total = matrix.sum()
    return np.rint(matrix * (_SCALE / total)).astype(np.int64) if total > 0 else np.zeros(matrix.shape, np.int64)
