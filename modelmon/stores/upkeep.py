"""Upkeep of a durable store: what expires, what is evicted or forgotten for room, how the journal is folded."""

from __future__ import annotations

import math
import os
from binascii import hexlify
from typing import TYPE_CHECKING, Final

import numpy as np

from modelmon.stores import limits
from modelmon.stores.documents import dues_of
from modelmon.stores.reminding import split
from modelmon.stores.states import EARLY, FORGOTTEN, PENDING

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modelmon.stores.session import Session
    from modelmon.stores.working import Working

_AT_ONCE = 8192
_REMINDERS = 16
_SAMPLED = 65_536
_ROOM: Final = "room"
_ROOM_S: Final = 120.0
"""Name of the lease on making room, and of the note that it goes on; and how long the lease is."""


def sweep_some(session: Session, horizon: float = math.inf) -> float | None:
    """Let some of what is due expire, and return the horizon of all that was due by then; None: nothing is left.

    Args:
        session: at work on the store.
        horizon: what this returned before; without it time goes on while one sweeps, and there is always more.
    """

    def act(working: Working) -> float | None:
        now = min(working.now, horizon)
        found = session.database.due(now, _REMINDERS)
        if not found:
            return None
        keys, due, working.reminders = split(found, now)
        working.reminded = [reminder.number for reminder in found]
        _take_reminded(session, working, keys, due)
        limits.sweep(working.holdings, working.now)
        return now

    return session.attempt(act)


def _take_reminded(session: Session, working: Working, keys: NDArray[np.int64], due: NDArray[np.float64]) -> None:
    """Fetch the documents that reminders are about, but those that have another reminder by now."""
    wanted = np.unique(keys)
    if not len(wanted):
        return
    documents = session.database.fetch(wanted)
    held = dues_of(documents)
    meant = np.zeros(len(wanted), np.bool_)
    place = np.searchsorted(wanted, keys)
    meant[place[held[place] == due]] = True
    chosen = np.flatnonzero(meant)
    working.take(wanted[chosen], [documents[number] for number in chosen.tolist()])


def make_room(session: Session) -> bool:
    """Halve the sample until what awaits labels has room, and return whether that was for this process to do.

    One process does it at a time, and finishes what another one was cut off from, so that no row goes for nothing.
    """
    database, holder = session.database, hexlify(os.urandom(16)).decode()
    if not database.lease(_ROOM, holder, _ROOM_S):
        return False
    try:
        session.recount()
        if session.awaiting <= session.most_awaiting():
            return False
        rate = math.inf
        if database.noted(_ROOM) is not None:
            rate, _ = evict(session, rate, share=1.0)
        database.note(_ROOM, b"1")
        while session.awaiting > session.most_awaiting():
            rate, left = evict(session, rate)
            if not left:  # what is counted as awaiting was lost, as damaged documents are
                session.write_off()
        database.note(_ROOM, None)
    finally:
        database.release(_ROOM, holder)
    return True


def evict(session: Session, above: float, share: float = 0.5) -> tuple[float, int]:
    """Halve the sample, or a rate ``above`` that is less, and let the awaiting rows outside go.

    That rate holds for the whole walk, whatever others, whose bounds may be wider, make of the sample meanwhile.

    Returns:
        The rate, and how many rows still await.
    """
    left = 0

    def halve(working: Working) -> float:
        working.rate = min(working.holdings.rate, above) * share
        return working.rate

    rate = session.attempt(halve)

    def lot(working: Working) -> None:
        nonlocal left
        working.holdings.rate = rate
        limits.evict(working.holdings, working.now)
        table = working.holdings.records.records
        left += int(np.count_nonzero(table["state"][: table.top] == PENDING))

    _walk(session, lot)
    return rate, left


def remind_all(session: Session) -> None:
    """Note anew when each document is due, after something has changed that all deadlines follow from."""
    _walk(session, lambda working: limits.sweep(working.holdings, working.now))
    session.reminded, session.shortened = session.given, False


def _walk(session: Session, act: Callable[[Working], object]) -> None:
    """Work on all documents, some at a time, each lot in a transaction of its own."""
    cursor: int | None = None
    while True:

        def lot(working: Working, after: int | None = cursor) -> int | None:
            keys, documents, following = session.database.scan(after, _AT_ONCE)
            working.take(keys, documents)
            act(working)
            return following

        cursor = session.attempt(lot)
        if cursor is None:
            return


def forget_oldest(session: Session, excess: int) -> None:
    """Forget about as many documents as are too many: those that await nothing, the ones due first."""
    threshold = _due_within(session, excess)
    cursor: int | None = None
    while excess > 0:

        def act(working: Working, after: int | None = cursor, most: int = excess) -> tuple[int | None, int]:
            keys, documents, following = session.database.scan(after, _AT_ONCE)
            working.take(keys, documents)
            return following, _forget_until(working, threshold, most)

        cursor, forgotten = session.attempt(act)
        excess -= forgotten
        if cursor is None:
            return


def _due_within(session: Session, wanted: int) -> float:
    """Return before when about that many documents are due, judged by the first ones there are."""
    working = session.begin()
    try:
        _, documents, _ = session.database.scan(None, _SAMPLED)
    finally:
        session.database.abandon()
    due = dues_of([document for document in documents if document])
    share = min(1.0, wanted / max(1, working.head.documents))
    return float(np.quantile(due, share)) if len(due) else float("inf")


def _forget_until(working: Working, threshold: float, most: int) -> int:
    """Forget settled rows and early labels due before a threshold, and return how many."""
    holdings = working.holdings
    table = holdings.records.records
    state = table["state"][: table.top]
    chosen = np.flatnonzero(((state > PENDING) & (state < FORGOTTEN)) | (state == EARLY))
    chosen = chosen[holdings.records.due(chosen) <= threshold][:most]
    if len(chosen):
        holdings.counting.counts.counts("self:overflow").add(("remembered",), len(chosen))
        limits.forget(holdings, chosen)
    return len(chosen)
