"""Ids of streamed items: each takes its own of the ids that its stream was given."""

from __future__ import annotations

from typing import Any

from modelmon.copies import Coded, Nullable
from modelmon.probes.auto_ids import issued, publish


def item_id(prefix: str, call: int, item: int, given: Any, rows: int | None = None) -> Any:
    """Return the id of an item's prediction, or of those of its batch.

    Args:
        prefix: of issued ids, or empty.
        call: number of the stream.
        item: counted from 1.
        given: what was kept of the stream's id: one for all items, or one for each.
        rows: predictions of an item that is a batch; the ids of the last batch are at hand, else those of all items.

    >>> item_id("", 0, 2, ("a", "b")), item_id("", 0, 3, ("a", "b")), item_id("", 0, 3, "a")
    ('b', None, 'a')
    """
    if prefix:
        ids = (prefix, call, item) if rows is None else (f"{prefix}-{call}", item - 1, rows)
        publish(ids)
        return f"{prefix}-{call}-{item - 1}" if rows is None else tuple(issued(*ids))
    return given if given is None or type(given) is str else _at(given, item - 1)


def _at(kept: Any, place: int) -> Any:
    if type(kept) is Nullable:
        return None if place >= len(kept.data) or kept.absent[place] else _at(kept.data, place)
    if type(kept) is Coded:
        code = _at(kept.codes, place)
        return None if code is None or code < 0 else _at(kept.values, code)
    shape = getattr(kept, "shape", None)  # numpy's own arrays have one
    if type(kept) is not tuple and type(kept) is not list and not shape:
        return kept
    if place >= len(kept):
        return None
    return kept[place].item() if shape is not None and len(shape) == 1 else kept[place]
