"""Count predictions that could not be read, by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Refusals:
    """Collect refused rows while outputs are being read.

    Attributes:
        reasons: refused rows by reason.
        sizes: int64, refused rows of each call.
    """

    __slots__ = ("reasons", "sizes")

    def __init__(self, calls: int) -> None:
        """Start without any, for a number of calls."""
        self.reasons: dict[str, int] = {}
        self.sizes: NDArray[np.int64] = np.zeros(calls, np.int64)

    def add(self, reason: str, rows: int, call: int) -> None:
        """Refuse rows of one call."""
        if rows:
            self.reasons[reason] = self.reasons.get(reason, 0) + rows
            self.sizes[call] += rows

    def add_rows(self, reason: str, calls: NDArray[np.int64]) -> None:
        """Refuse one row of each of the calls, which may repeat."""
        if len(calls):
            self.reasons[reason] = self.reasons.get(reason, 0) + len(calls)
            np.add.at(self.sizes, calls, 1)
