"""Match the rows of calls with the ids that the calls were given."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.columns import Ids
from modelmon.copies import PLAIN, Coded, Deferred, Nullable, Rejection
from modelmon.idtexts import id_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_DIGITS = "S20"


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """Hold the ids of some calls, one after the other.

    Attributes:
        ids: all ids.
        sizes: int64 ``(calls,)``, how many ids each call has; -1 where it has none, so that all its rows lack one.
        lone: per call whether its id came as a scalar, None where it came to nothing.
    """

    ids: Ids
    sizes: NDArray[np.int64]
    lone: Sequence[bool | None]

    def places(
        self, calls: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Find the ids of calls.

        Args:
            calls: int64 ``(c,)``, which calls.
            rows: int64 ``(c,)``, how many rows each has.

        Returns:
            Per row the position of its id, -1 where it has none; and per row whether its call has as many ids as rows,
            None where all have.
        """
        given = np.where(self.sizes < 0, 0, self.sizes)
        offsets = np.cumsum(given) - given
        if len(calls) == len(self.sizes) == len(self.ids) and bool((rows == 1).all()) and bool((self.sizes == 1).all()):
            return calls, None
        none = self.sizes[calls] < 0
        fitting = none | (self.sizes[calls] == rows)
        starts = np.cumsum(rows) - rows
        within = np.arange(int(rows.sum()), dtype=np.int64) - np.repeat(starts, rows)
        places = np.where(np.repeat(none | ~fitting, rows), -1, np.repeat(offsets[calls], rows) + within)
        return places, None if fitting.all() else np.repeat(fitting, rows)

    def take(self, places: NDArray[np.int64]) -> Ids:
        """Return the ids at the places, no id at -1."""
        if len(places) == len(self.ids) and bool((places == np.arange(len(places))).all()):
            return self.ids
        absent = places < 0
        if not absent.any():
            return self.ids.take(places)
        if not len(self.ids):
            return Ids(np.zeros(len(places), np.int64), None, np.zeros(len(places), bool))
        found = self.ids.take(np.where(absent, 0, places))
        return Ids(found.integers, found.text, found.valid & ~absent)


def identify(ids: Sequence[Any]) -> Identification:
    """Read the ids of calls.

    Args:
        ids: the kept id or ids of each call.
    """
    kinds = set(map(type, ids))
    n = len(ids)
    if kinds <= PLAIN - {type(None)}:
        return Identification(Ids(*id_arrays(tuple(ids))), np.ones(n, np.int64), [True] * n)
    given = [each.array() if type(each) is Deferred else each for each in ids]
    lone = [None if each is None or type(each) is Rejection else type(each) in PLAIN for each in given]
    sizes = np.array(list(map(_size, given)), np.int64)
    held = [each for each in given if each is not None and type(each) is not Rejection]
    return Identification(_laid(held), sizes, lone)


def _size(given: Any) -> int:
    kind = type(given)
    if given is None or kind is Rejection:
        return -1
    if kind in PLAIN:
        return 1
    if kind is Nullable:
        return len(given.data)
    return len(given.codes) if kind is Coded else len(given)


def _laid(held: list[Any]) -> Ids:
    """Lay ids of several calls one after the other."""
    if all(type(each) is np.ndarray and each.dtype.kind == "i" and each.ndim == 1 for each in held) and held:
        return Ids(*id_arrays(np.concatenate(held).astype(np.int64, copy=False)))
    if all(type(each) is tuple or type(each) in PLAIN for each in held):
        flat = chain.from_iterable(each if type(each) is tuple else (each,) for each in held)
        return Ids(*id_arrays(tuple(flat)))
    found = [id_arrays(each) for each in held]
    valid = np.concatenate([part[2] for part in found])
    if all(part[0] is not None for part in found):
        return Ids(np.concatenate([part[0] for part in found if part[0] is not None]), None, valid)
    texts = [part[1] if part[1] is not None else _digits(part[0]) for part in found]
    return Ids(None, np.concatenate(texts), valid)


def _digits(integers: Any) -> NDArray[np.bytes_]:
    texts: NDArray[np.bytes_] = integers.astype(_DIGITS)
    return texts
