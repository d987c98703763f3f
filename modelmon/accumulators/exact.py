"""Sums of float64 without rounding, so that order never matters and a removed term leaves no trace.

How it works: the sum is the rational number units x 2**exponent, both Python integers.
An array is added by extraction: with sigma a power of two that outweighs the whole array,
(x + sigma) - sigma keeps the leading bits of each x as multiples of one common unit,
few enough that their float sum is exact in any order.
What is left of each x is exact as well: the next round takes it, until nothing is left, usually after two or three.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.accumulators.sparse import Flags, Floats, Ints, State

_FEW = 12
_HUGE = 2.0**900
_SPLITTER = 134217729.0
_SAFE_LOW, _SAFE_HIGH = 2.0**-480, 2.0**480


class ExactSum:
    """The exact sum of finite float64 terms.

    >>> total = ExactSum()
    >>> total.add(np.array([1e16, 1.0, -1e16]))
    >>> total.value()
    1.0
    """

    __slots__ = ("_exponent", "_units")

    def __init__(self) -> None:
        """Begin at zero."""
        self._units = 0
        self._exponent = 0

    def add(self, values: Floats, sign: int = 1) -> None:
        """Add every term, or take it away.

        Args:
            values: float64[n], finite.
            sign: +1 or -1.

        Raises:
            ValueError: A term is nan or infinite; nothing was added.
        """
        if values.size <= _FEW:
            terms = values.tolist()
            if not all(map(math.isfinite, terms)):
                _refuse()
        else:
            terms = [part for parts in partial_sums(values) for part in parts]
        for term in terms:
            self.add_term(term, sign)

    def add_product(self, x: Floats, y: Floats, sign: int = 1) -> None:
        """Add every product x[i] * y[i] without rounding it.

        Args:
            x: float64[n], finite.
            y: float64[n], finite.
            sign: +1 or -1.

        Raises:
            ValueError: A factor is nan or infinite; nothing was added.
        """
        if x.size <= _FEW:
            self._add_ratio_products(x, y, sign)
            return
        safe = _is_safe(x) & _is_safe(y)
        if not safe.all():
            self._add_ratio_products(x[~safe], y[~safe], sign)
            x, y = x[safe], y[safe]
        product = x * y
        self.add(product, sign)
        self.add(_product_error(x, y, product), sign)

    def _add_ratio_products(self, x: Floats, y: Floats, sign: int) -> None:
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            _refuse()
        for one, two in zip(x.tolist(), y.tolist(), strict=True):
            a, b = one.as_integer_ratio()
            c, d = two.as_integer_ratio()
            self._shift_in(sign * a * c, 2 - b.bit_length() - d.bit_length())

    def add_term(self, term: float, sign: int = 1) -> None:
        """Add one finite term, or take it away."""
        if term:
            units, denominator = term.as_integer_ratio()
            self._shift_in(sign * units, 1 - denominator.bit_length())

    def _shift_in(self, units: int, exponent: int) -> None:
        gap = exponent - self._exponent
        if gap >= 0:
            self._units += units << gap
        else:
            self._units = (self._units << -gap) + units
            self._exponent = exponent

    def fraction(self) -> Fraction:
        """Return the sum as it is."""
        return Fraction(self._units, 1 << -self._exponent)

    def value(self) -> float:
        """Return the float64 nearest to the sum, infinite beyond the largest."""
        try:
            return self._units / (1 << -self._exponent)
        except OverflowError:
            return math.inf if self._units > 0 else -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether the sum is zero."""
        return not self._units

    def merge(self, other: ExactSum) -> None:
        """Add the sum of ``other``."""
        self._shift_in(other._units, other._exponent)

    def copy(self) -> ExactSum:
        """Return an independent copy."""
        twin = ExactSum()
        twin._units, twin._exponent = self._units, self._exponent
        return twin

    def _canonical(self) -> tuple[int, int]:
        if not self._units:
            return 0, 0
        zeros = min((self._units & -self._units).bit_length() - 1, -self._exponent)
        return self._units >> zeros, self._exponent + zeros

    def to_state(self) -> State:
        """Return the sum as a hexadecimal integer and the power of two that scales it."""
        units, exponent = self._canonical()
        return {"units": hex(units), "exponent": exponent}

    @classmethod
    def from_state(cls, state: State) -> ExactSum:
        """Rebuild the sum that ``to_state`` wrote."""
        total = cls()
        total._shift_in(int(state["units"], 16), int(state["exponent"]))
        return total

    def __eq__(self, other: object) -> bool:
        """Compare the sums exactly."""
        if not isinstance(other, ExactSum):
            return NotImplemented
        return self._canonical() == other._canonical()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the nearest float."""
        return f"ExactSum({self.value()!r})"


def add_grouped(sums: list[ExactSum], values: Floats, groups: Ints, *, sign: int = 1) -> None:
    """Add values[i] to sums[groups[i]].

    Args:
        sums: One sum per group.
        values: float64[n], finite.
        groups: int64[n], codes below len(sums).
        sign: +1 or -1.

    Raises:
        ValueError: A value is nan or infinite; nothing was added.
    """
    if values.size <= _FEW:
        if not np.isfinite(values).all():
            _refuse()
        for value, group in zip(values.tolist(), groups.tolist(), strict=True):
            sums[group].add_term(value, sign)
        return
    for parts in list(partial_sums(values, groups, len(sums))):
        for place, part in enumerate(parts):
            sums[place].add_term(part, sign)


def partial_sums(values: Floats, groups: Ints | None = None, size: int = 1) -> Iterator[list[float]]:
    """Yield exactly representable partial sums, a list of one per group each time, which add up to the exact sums.

    Raises:
        ValueError: A value is nan or infinite.
    """
    rest = values
    while rest.size:
        largest = max(float(rest.max()), -float(rest.min()))
        if not math.isfinite(largest):
            _refuse()
        if not largest:
            return
        if largest >= _HUGE:
            huge = np.flatnonzero(np.abs(rest) >= _HUGE)
            for row in huge.tolist():
                parts = [0.0] * size
                parts[0 if groups is None else int(groups[row])] = float(rest[row])
                yield parts
            rest = np.delete(rest, huge)
            groups = None if groups is None else np.delete(groups, huge)
            continue
        sigma = math.ldexp(1.0, math.frexp(largest)[1] + rest.size.bit_length())
        leading = (rest + sigma) - sigma
        if groups is None:
            yield [float(leading.sum())]
        else:
            yield np.bincount(groups, weights=leading, minlength=size).tolist()
        rest = rest - leading
        left = np.flatnonzero(rest)
        if left.size < rest.size:
            rest, groups = rest[left], None if groups is None else groups[left]


def _is_safe(x: Floats) -> Flags:
    size = np.abs(x)
    safe: Flags = ((size >= _SAFE_LOW) & (size <= _SAFE_HIGH)) | (size == 0.0)
    return safe


def _product_error(x: Floats, y: Floats, product: Floats) -> Floats:
    # Dekker: halves of 26 bits multiply without rounding, so the rounding error of the product is computed exactly.
    spread = _SPLITTER * x
    x_high = spread - (spread - x)
    x_low = x - x_high
    if y is x:
        return ((x_high * x_high - product) + 2.0 * (x_high * x_low)) + x_low * x_low
    spread = _SPLITTER * y
    y_high = spread - (spread - y)
    y_low = y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _refuse() -> None:
    message = "an exact sum takes finite terms only"
    raise ValueError(message)
