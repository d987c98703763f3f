"""How much a run may spend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Say how long to measure.

    Attributes:
        quick: a minute in all, instead of some.
        ten_million: also weigh ten million awaiting predictions.
        large: also let ten million await their labels in an SQLite file.
        steady_calls: calls of the run that watches memory.
    """

    quick: bool = False
    ten_million: bool = False
    steady_calls: int = 10_000_000
    large: bool = False

    def rounds(self, full: int = 61) -> int:
        """Return how many rounds to take, 25 at least."""
        return 25 if self.quick else full

    def rows(self, full: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full
