"""Settlements: what became of a stretch of time and its energy, and the sums behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from modelmon.attribution.splitting import split

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from modelmon.attribution.learning import Power

Key: TypeAlias = "Hashable"
Method: TypeAlias = Literal["exclusive", "power_weighted", "time_share"]
Source: TypeAlias = Literal["utilization", "calls"]

_WINDOW_NS: Final = 1_500_000_000


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the energy and time between the last settlement and this one.

    Attributes:
        until_ns: the end of what is settled.
        energy: microjoules by (model, method).
        busy: nanoseconds in which the device worked, by (model, source).
        unattributed: microjoules that no call was given.
        drawn: microjoules that the device drew; what is given and what is not add up to it.
        resets: how often the counter went back.
        glitches: how often it jumped further than a device can draw.
        powers: what each model draws, as far as that is known.
    """

    until_ns: int
    energy: Mapping[tuple[Key, Method], int] = field(default_factory=dict)
    busy: Mapping[tuple[Key, Source], int] = field(default_factory=dict)
    unattributed: int = 0
    drawn: int = 0
    resets: int = 0
    glitches: int = 0
    powers: Mapping[Key, Power] = field(default_factory=dict)


class Book:
    """Add up what was given."""

    __slots__ = ("busy", "drawn", "energy", "unattributed")

    def __init__(self) -> None:
        """Start at zero."""
        self.energy: dict[tuple[int, Method], int] = {}
        self.busy: dict[tuple[int, Source], int] = {}
        self.unattributed = self.drawn = 0

    def add(self, column: int, method: Method, microjoules: int) -> None:
        """Give a model energy."""
        self.energy[column, method] = self.energy.get((column, method), 0) + microjoules

    def lose(self, microjoules: int) -> None:
        """Give energy to no model."""
        self.drawn += microjoules
        self.unattributed += microjoules

    def work(
        self, columns: Sequence[int], shares: Sequence[float], util: float | None, lasting: int, ran: float
    ) -> None:
        """Share the time in which the device worked: as it says itself, or else as long as calls ran."""
        if not columns:
            return
        said = util is not None and lasting <= _WINDOW_NS  # it speaks of the last second at most
        source: Source = "utilization" if said else "calls"
        whole = round(util * lasting if said and util is not None else ran)
        for column, part in zip(columns, split(whole, shares), strict=True):
            self.busy[column, source] = self.busy.get((column, source), 0) + part
