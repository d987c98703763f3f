"""Spending: the seconds of CPU that this library takes of its process.

Calls themselves are never timed, since that would cost more than recording them: their number is known exactly, and
what recording one costs is measured now and then on a twin of the wrapper, when somebody asks.
All else is measured where it happens, by the CPU clock of the thread: waiting costs nothing.
"""

from __future__ import annotations

import time
from _thread import _local
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from modelmon.probes.sites import Shape

Share = Literal["call", "drain", "read", "label", "export", "store", "gpu"]

FRESH_S: Final = 10.0
FEW: Final = 2048
_GUESS_NS: Final = 500.0
_KEPT: Final = 5
_MOST: Final = 100_000
_clock: Final = getattr(time, "thread_time_ns", time.perf_counter_ns)
_open: Final = _local()


class Spending:
    """Add up nanoseconds by what they were spent on; any thread notes them, and one at a time reads."""

    __slots__ = ("_costs", "_noted", "_totals")

    def __init__(self) -> None:
        """Start at zero."""
        self._noted: list[tuple[Share, int]] = []
        self._totals: dict[Share, int] = {}
        self._costs: dict[Shape, tuple[float, tuple[float, ...]]] = {}

    def section(self, part: Share) -> Section:
        """Return a context that notes what this thread spends within; inside another one it notes nothing."""
        return Section(self._noted, part)

    def settle(self) -> None:
        """Add up what was noted."""
        taken = self._noted[:]
        del self._noted[: len(taken)]
        for part, nanoseconds in taken:
            self._totals[part] = self._totals.get(part, 0) + nanoseconds

    def bill(self, calls: Mapping[Shape, int]) -> None:
        """Add what it cost to record so many calls, by their shape."""
        for shape, n in calls.items():
            if n > 0:
                self._totals["call"] = self._totals.get("call", 0) + round(n * self._cost(shape, n))

    def totals(self) -> dict[Share, int]:
        """Return nanoseconds by what they were spent on."""
        self.settle()
        return dict(self._totals)

    def _cost(self, shape: Shape, n: int) -> float:
        """Return nanoseconds per call; few calls are not worth measuring for."""
        at, found = self._costs.get(shape, (0.0, ()))
        now = time.monotonic()
        if n >= FEW and (not found or now - at >= FRESH_S):
            from modelmon.probes.twins import cost_of  # noqa: PLC0415  (only where somebody asks)

            found = (*found[1 - _KEPT :], cost_of(shape, _clock))
            self._costs[shape] = (now, found)
        return sorted(found)[len(found) // 2] if found else _GUESS_NS


class Section:
    """Note what a thread spends between entering and leaving."""

    __slots__ = ("_begun", "_noted", "_part")

    def __init__(self, noted: list[tuple[Share, int]], part: Share) -> None:
        """Prepare."""
        self._noted = noted
        self._part = part
        self._begun = -1

    def __enter__(self) -> None:
        """Begin, unless this thread is in a section already."""
        if not getattr(_open, "is_open", False):
            _open.is_open = True
            self._begun = _clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note what was spent."""
        if self._begun >= 0:
            spent, self._begun = _clock() - self._begun, -1
            _open.is_open = False
            if len(self._noted) < _MOST:
                self._noted.append((self._part, spent))
