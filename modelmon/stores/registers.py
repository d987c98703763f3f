"""Registers: the label that each id has in a scope, what orders it, and which values it had and lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.objects import is_greater
from modelmon.stores.rounds import LabelOrder
from modelmon.stores.series import NUMBER, OBJECT, RETRACTED, TEXTUAL
from modelmon.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelmon.stores.objects import Objects

    Numbers = NDArray[np.int64]
    Bools = NDArray[np.bool_]

MOST_LOST = 64
"""Values that one register remembers to have lost; past them the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Given:
    """Hold ``n`` delivered labels.

    Attributes:
        kind: kinds of the values, as registers store them.
        value: the numbers, or object codes.
        order: what orders the labels.
        explicit: whether a rev or a time was given.
    """

    kind: NDArray[np.uint8]
    value: NDArray[np.float64]
    order: LabelOrder
    explicit: Bools

    def take(self, chosen: Any) -> Given:
        """Return the labels at positions, a mask or a slice."""
        order = self.order
        return Given(
            self.kind[chosen],
            self.value[chosen],
            LabelOrder(order.has_rev[chosen], order.rev_high[chosen], order.rev_low[chosen], order.at[chosen]),
            self.explicit[chosen],
        )


class Registers:
    """Hold registers by number."""

    __slots__ = ("_lost", "table")

    def __init__(self) -> None:
        """Start empty."""
        self.table = Table(
            {
                "kind": np.uint8,
                "value": np.float64,
                "has_rev": np.bool_,
                "rev_high": np.float64,
                "rev_low": np.float64,
                "at": np.float64,
                "has_lost": np.bool_,
            }
        )
        self._lost: dict[int, dict[tuple[int, float], None]] = {}

    def create(self, given: Given) -> Numbers:
        """Return new registers that hold these labels."""
        numbers = self.table.allocate(len(given.kind))
        self.table["has_lost"][numbers] = False
        self._write(numbers, given)
        return numbers

    def restore(self, columns: Mapping[str, NDArray[Any]], lost: Mapping[int, list[tuple[int, float]]]) -> Numbers:
        """Return new registers with these columns, and with what each lost, by place."""
        numbers = self.table.allocate(len(columns["kind"]))
        self.table["has_lost"][numbers] = False
        for name, column in columns.items():
            self.table[name][numbers] = column
        for place, values in lost.items():
            self.table["has_lost"][numbers[place]] = True
            self._lost[int(numbers[place])] = dict.fromkeys(values)
        return numbers

    def lost(self, number: int) -> list[tuple[int, float]]:
        """Return the (kind, value) pairs that a register had and lost, the oldest first."""
        return list(self._lost.get(number, ()))

    def replace(self, numbers: Numbers, given: Given) -> None:
        """Let registers take these labels, and remember what they lost."""
        table = self.table
        columns = (numbers, table["kind"][numbers], table["value"][numbers])
        for number, kind, value in zip(*(column.tolist() for column in columns), strict=True):
            if kind != RETRACTED:
                lost = self._lost.setdefault(number, {})
                lost[kind, value] = None
                if len(lost) > MOST_LOST:
                    del lost[next(iter(lost))]
        table["has_lost"][numbers] |= columns[1] != RETRACTED
        self._write(numbers, given)

    def reorder(self, numbers: Numbers, order: LabelOrder) -> None:
        """Let registers keep their values and take this order."""
        table = self.table
        table["has_rev"][numbers] = order.has_rev
        table["rev_high"][numbers] = order.rev_high
        table["rev_low"][numbers] = order.rev_low
        table["at"][numbers] = order.at

    def _write(self, numbers: Numbers, given: Given) -> None:
        self.table["kind"][numbers] = given.kind
        self.table["value"][numbers] = given.value
        self.reorder(numbers, given.order)

    def release(self, numbers: Numbers) -> None:
        """Give registers back."""
        for number in numbers[self.table["has_lost"][numbers]].tolist() if len(numbers) else ():
            del self._lost[number]
        self.table["kind"][numbers] = RETRACTED
        self.table.release(numbers)

    def order(self, numbers: Numbers) -> LabelOrder:
        """Return what orders the labels held; undefined for numbers below 0."""
        table = self.table
        return LabelOrder(
            table["has_rev"][numbers], table["rev_high"][numbers], table["rev_low"][numbers], table["at"][numbers]
        )

    def compare(self, numbers: Numbers, given: Given, objects: Objects) -> tuple[Bools, NDArray[np.int8], Bools]:
        """Compare each label with the value its register holds; a number below 0 is no register.

        Returns:
            Whether they are the same value, the sign of their canonical order, and whether the register once had the
            label's value and lost it.
        """
        n = len(numbers)
        same, greater, lost = np.zeros(n, np.bool_), np.zeros(n, np.int8), np.zeros(n, np.bool_)
        there = np.flatnonzero(numbers >= 0)
        if not len(there):
            return same, greater, lost
        number, kind, value = numbers[there], given.kind[there], given.value[there]
        held_kind, held_value = self.table["kind"][number], self.table["value"][number]
        same[there] = (kind == held_kind) & ((value == held_value) | (kind == RETRACTED))
        greater[there] = np.sign(kind.astype(np.int8) - held_kind.astype(np.int8))
        numeric = (kind == NUMBER) & (held_kind == NUMBER)
        greater[there[numeric]] = np.sign(value[numeric] - held_value[numeric]).astype(np.int8)
        for place in np.flatnonzero(coded(kind) & coded(held_kind) & ~same[there]).tolist():
            mine, theirs = objects[int(value[place])], objects[int(held_value[place])]
            greater[there[place]] = 1 if is_greater(mine, theirs) else -1
        for place in np.flatnonzero(self.table["has_lost"][number]).tolist():
            held, code = self._lost[int(number[place])], float(value[place])
            alike = (OBJECT, TEXTUAL) if kind[place] in (OBJECT, TEXTUAL) else (int(kind[place]),)
            lost[there[place]] = any((one, code) in held for one in alike)
        return same, greater, lost

    def object_codes(self) -> NDArray[np.int64]:
        """Return the codes of all objects that registers hold or remember, repeated ones among them."""
        table = self.table
        kind, value = table["kind"][: table.top], table["value"][: table.top]
        remembered = [int(value) for lost in self._lost.values() for kind, value in lost if kind > NUMBER]
        return np.concatenate([value[kind > NUMBER].astype(np.int64), np.array(remembered, np.int64)])

    def recode(self, mapping: NDArray[np.float64]) -> None:
        """Replace every object code by another."""
        table = self.table
        coded = np.flatnonzero(table["kind"][: table.top] > NUMBER)
        table["value"][coded] = mapping[table["value"][coded].astype(np.int64)]
        for number, lost in self._lost.items():
            self._lost[number] = {
                (kind, float(mapping[int(value)]) if kind > NUMBER else value): None for kind, value in lost
            }


def coded(kind: NDArray[np.uint8]) -> Bools:
    """Return whether values of these kinds are object codes."""
    by_code: Bools = (kind == OBJECT) | (kind == TEXTUAL)
    return by_code
