"""Objects that labels carry and that are no float64 (texts, big integers, label sets), each held once, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_SMALLEST = 4096


class Objects:
    """Intern hashable objects as codes; codes change only in `compact`, and go only there and in `truncate`.

    >>> objects = Objects()
    >>> objects.intern("cat"), objects.intern("dog"), objects.intern("cat"), objects[1]
    (0, 1, 0, 'dog')
    """

    __slots__ = ("_codes", "_full", "_values")

    def __init__(self) -> None:
        """Start empty."""
        self._codes: dict[Any, int] = {}
        self._values: list[Any] = []
        self._full = _SMALLEST

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._values)

    def __getitem__(self, code: int) -> Any:
        """Return the object of a code."""
        return self._values[code]

    @property
    def full(self) -> bool:
        """Whether it is time to drop objects that nobody uses."""
        return len(self._values) > self._full

    def intern(self, value: Any) -> int:
        """Return the code of an object, a new one if it has none."""
        code = self._codes.get(value)
        if code is None:
            code = self._codes[value] = len(self._values)
            self._values.append(value)
        return code

    def codes(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the codes of objects as float64 ``(n,)``, the form in which registers hold values."""
        return np.fromiter(map(self.intern, values), np.float64, len(values))

    def truncate(self, size: int) -> None:
        """Forget all objects but the first ``size``, whose codes stay."""
        for value in self._values[size:]:
            del self._codes[value]
        del self._values[size:]

    def after(self, first: int) -> list[Any]:
        """Return the objects whose codes are ``first`` and above, in order."""
        return self._values[first:]

    def compact(self, used: Iterable[int]) -> NDArray[np.float64]:
        """Drop all objects but those used and return the new code of each old one, nan where dropped."""
        mapping = np.full(len(self._values), np.nan)
        values = self._values
        self._codes, self._values = {}, []
        for code in used:
            mapping[code] = self.intern(values[code])
        self._full = max(_SMALLEST, 2 * len(self._values))
        return mapping


def is_greater(left: Any, right: Any) -> bool:
    """Tell whether one object is above another in canonical order: numbers, then text, then the rest by ``repr``."""
    return _order(left) > _order(right)


def _order(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, float)):
        return (0, value)
    return (1, value) if isinstance(value, str) else (2, repr(value))
