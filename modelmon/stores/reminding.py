"""Reminders: which documents to look at when, a few hundred keys to a reminder.

A document says when it is due next, and a reminder written with it says the same: nobody walks through all documents.
A document that changed since has another deadline and another reminder, and the old one finds that and does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.database import Reminder

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_ENTRY = np.dtype([("key", "<i8"), ("due", "<f8")])
_BUCKETS = 512
_NARROWEST = 1.0
MOST_ENTRIES = 4096


def reminders(keys: Numbers, due: Floats, ttl: float) -> list[tuple[float, bytes]]:
    """Return reminders of documents, those due at about the same time together; never due has none.

    Args:
        keys: int64 ``(n,)``.
        due: float64 ``(n,)``, when each is due.
        ttl: how long predictions await labels: it sets how wide "about the same time" is.
    """
    some = np.isfinite(due)
    keys, due = keys[some], due[some]
    if not len(keys):
        return []
    entries = np.empty(len(keys), _ENTRY)
    entries["key"], entries["due"] = keys, due
    width = max(_NARROWEST, ttl / _BUCKETS)
    whole = [entries]
    if due.min() // width < due.max() // width:
        bucket = np.floor(due / width)
        order = np.argsort(bucket, kind="stable")
        whole = np.split(entries[order], np.flatnonzero(np.diff(bucket[order])) + 1)
    parts = [part[start : start + MOST_ENTRIES] for part in whole for start in range(0, len(part), MOST_ENTRIES)]
    return [(float(part["due"].min()), part.tobytes()) for part in parts]


def split(found: Sequence[Reminder], now: float) -> tuple[Numbers, Floats, list[tuple[float, bytes]]]:
    """Take reminders apart.

    Returns:
        The keys and deadlines of what is due before ``now``, and reminders of all else that they held.
    """
    if not found:
        return np.empty(0, np.int64), np.empty(0), []
    parts = [np.frombuffer(reminder.body, _ENTRY) for reminder in found]
    later = [part[part["due"] >= now] for part in parts]
    due = np.concatenate([part[part["due"] < now] for part in parts])
    again = [(float(part["due"].min()), part.tobytes()) for part in later if len(part)]
    return due["key"].copy(), due["due"].copy(), again
