"""Forms of documents: which columns records have as bytes, and how wide they are.

A document is its earliest deadline (float64), then the records under its key, one after the other::

    size u4 | state u1 | flags u1 | group i4 | high u8 | time f8      of every record; 26 bytes
    predicted i4                                                      of a row
    due f8 | truth f8 | at f8 | value f8 | kind u1 | assumed u1       of a settled row, next
    payload                                                           of a row, next: as its group's layout says
    value f8 | rev f8 f8 | at f8 | kind u1 | has_rev u1 | lost u1     of a register
    tail                                                              what has no fixed width

All numbers are little-endian; what groups, scopes and codes mean stands in the catalogue.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.stores.groups import Layout

DUE = np.dtype("<f8")
CORE = np.dtype([("size", "<u4"), ("state", "u1"), ("flags", "u1"), ("group", "<i4"), ("high", "<u8"), ("time", "<f8")])
PREDICTED = np.dtype("<i4")
SETTLED = np.dtype(
    [("due", "<f8"), ("truth", "<f8"), ("at", "<f8"), ("value", "<f8"), ("kind", "u1"), ("assumed", "u1")]
)
REGISTER = np.dtype(
    [("value", "<f8"), ("rev_high", "<f8"), ("rev_low", "<f8"), ("at", "<f8"), ("kind", "u1"), ("has_rev", "u1")]
)
OPEN_ROW = CORE.itemsize + PREDICTED.itemsize
SETTLED_ROW = OPEN_ROW + SETTLED.itemsize


class Dumped(NamedTuple):
    """Hold the documents of everything in holdings.

    Attributes:
        keys: int64 ``(n,)``, ascending.
        due: float64 ``(n,)``, the earliest deadline of each; infinite where there is none.
        documents: the ``n`` documents.
    """

    keys: NDArray[np.int64]
    due: NDArray[np.float64]
    documents: list[bytes]


def payload_bytes(layout: Layout) -> int:
    """Return how many bytes rows of a layout keep besides their class."""
    if layout.kind == "class":
        return 0
    if layout.kind == "score":
        return 8
    return layout.width * (1 if layout.kind == "flags" else 8)


@cache
def lone_row(*, settled: bool, payload: int) -> np.dtype[Any]:
    """Return the form of a document of one row without a tail.

    >>> lone_row(settled=False, payload=8).itemsize
    46
    """
    core = [(name, CORE[name]) for name in CORE.names or ()]
    fields: list[Any] = [("earliest", DUE), *core, ("predicted", PREDICTED)]
    if settled:
        fields.append(("held", SETTLED))
    if payload:
        fields.append(("payload", "u1", payload))
    return np.dtype(fields)
