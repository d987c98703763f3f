"""Energy where no driver counts it: power, integrated by trapezoids between readings."""

from __future__ import annotations

from typing import Final

_LONGEST_NS: Final = 15_000_000_000


class PowerIntegral:
    """Add up power over time; a gap longer than 15 s adds nothing, since nobody knows what was drawn in it.

    >>> integral = PowerIntegral()
    >>> integral.add(0, 100.0), integral.add(1_000_000_000, 300.0)
    (0.0, 200.0)
    """

    __slots__ = ("_joules", "_last")

    def __init__(self) -> None:
        """Begin at no joules."""
        self._joules = 0.0
        self._last: tuple[int, float] | None = None

    def add(self, at_ns: int, watts: float | None) -> float | None:
        """Return the joules so far, or None where power is not known now."""
        if watts is None:
            return None
        if self._last is not None and 0 < at_ns - self._last[0] <= _LONGEST_NS:
            self._joules += (at_ns - self._last[0]) / 1e9 * (watts + self._last[1]) / 2
        self._last = (at_ns, watts)
        return self._joules
