"""Exact sums over the errors of a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.exact import ExactSum

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Floats, State

_EPS = float(np.finfo(np.float64).eps)
_LARGEST = float(np.finfo(np.float64).max)
_SUMS = ("truth", "truth_squared", "error", "error_squared", "error_absolute", "error_relative")


class Residuals:
    """Exact sums of truths and errors; an error is predicted minus true.

    >>> residuals = Residuals()
    >>> residuals.update(np.array([1.0, 2.0]), np.array([1.5, 1.0]))
    >>> residuals.n, residuals.error.value(), residuals.error_absolute.value()
    (2, -0.5, 1.5)
    """

    __slots__ = ("n", "skipped", *_SUMS)

    def __init__(self) -> None:
        """Begin empty."""
        self.n = 0
        """Number of rows in the sums."""
        self.skipped = 0
        """Number of rows left out because the truth or the prediction was not finite."""
        self.truth = ExactSum()
        self.truth_squared = ExactSum()
        self.error = ExactSum()
        self.error_squared = ExactSum()
        self.error_absolute = ExactSum()
        self.error_relative = ExactSum()
        """Sum of the error's size over the truth's, as a ratio."""

    def update(self, truth: Floats, predicted: Floats, sign: int = 1) -> None:
        """Add rows, or take them away.

        Args:
            truth: float64[n].
            predicted: float64[n].
            sign: +1 or -1.
        """
        finite = np.isfinite(truth) & np.isfinite(predicted)
        if not finite.all():
            self.skipped += sign * int(finite.size - np.count_nonzero(finite))
            truth, predicted = truth[finite], predicted[finite]
        with np.errstate(over="ignore"):
            error = np.clip(predicted - truth, -_LARGEST, _LARGEST)
            size = np.abs(error)
            relative = np.minimum(size / np.maximum(np.abs(truth), _EPS), _LARGEST)
        self.n += sign * int(truth.size)
        self.truth.add(truth, sign)
        self.truth_squared.add_product(truth, truth, sign)
        self.error.add(error, sign)
        self.error_squared.add_product(error, error, sign)
        self.error_absolute.add(size, sign)
        self.error_relative.add(relative, sign)

    def _sums(self) -> dict[str, ExactSum]:
        return {name: getattr(self, name) for name in _SUMS}

    @property
    def is_empty(self) -> bool:
        """Whether no row counts."""
        return not self.n and not self.skipped

    def merge(self, other: Residuals) -> None:
        """Add the sums of ``other``."""
        self.n += other.n
        self.skipped += other.skipped
        for name, total in other._sums().items():
            getattr(self, name).merge(total)

    def copy(self) -> Residuals:
        """Return an independent copy."""
        twin = Residuals()
        twin.merge(self)
        return twin

    def to_state(self) -> State:
        """Return the sums as plain numbers and lists."""
        return {
            "n": self.n,
            "skipped": self.skipped,
            **{name: total.to_state() for name, total in self._sums().items()},
        }

    @classmethod
    def from_state(cls, state: State) -> Residuals:
        """Rebuild the sums that ``to_state`` wrote."""
        residuals = cls()
        residuals.n, residuals.skipped = state["n"], state["skipped"]
        for name in _SUMS:
            setattr(residuals, name, ExactSum.from_state(state[name]))
        return residuals

    def __eq__(self, other: object) -> bool:
        """Compare everything kept."""
        return self.to_state() == other.to_state() if isinstance(other, Residuals) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of rows."""
        return f"Residuals(n={self.n})"
