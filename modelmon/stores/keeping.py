"""The durable store: what the memory store does, in transactions of a database.

How it works.
A batch of events is one transaction: the documents of its ids are fetched into holdings, the memory store's own code
applies the events there, and what changed is written back together with one journal entry of what is to be counted.
So an event is stored and counted, or neither; and what was acknowledged has been committed.

Rules:

1. Everything here may wait for input and output, and is safe for threads: one transaction at a time, under one lock.
2. A failure leaves nothing behind in this process; what it knew of the store is read anew.
3. The same events delivered again change nothing, so that whoever got an error may repeat the call.
"""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from modelmon.errors import BusyError, ConfigurationError, ModelmonError, StoreError
from modelmon.forking import renew_in_child
from modelmon.notices import warn
from modelmon.stores import batches, upkeep
from modelmon.stores.assumptions import Assumptions
from modelmon.stores.holdings import KEY_SEED
from modelmon.stores.limits import SLACK
from modelmon.stores.reading import Reading, is_long
from modelmon.stores.session import Session
from modelmon.stores.states import LABEL_OUTCOMES, PREDICTION_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modelmon.clocks import Clock
    from modelmon.columns import Ids
    from modelmon.events import Labels, Predictions
    from modelmon.parts import Part
    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.database import Database
    from modelmon.stores.series import Assumption
    from modelmon.stores.working import Working
    from modelmon.tasks import Task

    Outcome = NDArray[np.uint8]

AT_ONCE = 8192
"""Events in one transaction; more take several."""
MOST_REMEMBERED = 10
"""Documents kept per prediction that may await a label; past that the oldest settled ones go."""
_SWEEP_EVERY_S = 1.0
_OTHER_TASK = (
    "model {0!r}, version {1!r}: the store counts it as {2}, and this process declares {3}; "
    "predictions that do not fit are invalid: give the other task another version"
)
_FULL = (
    "{0!r}: {1} predictions awaited a label, and max_awaiting and max_awaiting_bytes allow {2}: only a sample of the "
    "ids is kept until no more than {3} await, and labels of the others are answered evicted or unsampled"
)
_NO_IDS = np.empty(0, np.uint64)


class DatabaseStore:
    """Keep predictions and labels in a database that outlives this process and that others share."""

    durable = True
    shared = True
    blocking = True

    def __init__(self, database: Database) -> None:
        """Prepare; nothing is opened before the first use."""
        self._database = database
        self._session = Session(database)
        self._assumptions = Assumptions(self._session, self._sweep)
        self._opened_by = 0
        self.renew()
        renew_in_child(self)

    def __repr__(self) -> str:
        """Show the database, without secrets."""
        return f"<{type(self).__name__} on {self._database!r}>"

    @property
    def resets(self) -> int:
        """How often this process found that the store had lost what it had confirmed, and began anew."""
        return int(getattr(self._database, "resets", 0))

    def renew(self) -> None:
        """Forget what this process knows of the store; a forked child begins so."""
        self._lock = threading.RLock()
        self._swept = 0.0
        self._session.forget()
        self._reading = Reading(self._database)

    def interrupted(self) -> None:
        """Leave nothing under way, and read anew what is known of the store: a signal struck amid a call."""
        with self._lock:
            self._session.forget()
            self._reading.forget()
            # a connection may have an answer under way that nobody waits for any more
            getattr(self._database, "interrupted", self._database.close)()

    def open(self, settings: JoinSettings | None, clock: Clock) -> None:
        """Begin; nothing is connected before the first use.

        Args:
            settings: what governs the join; None for the settings that the store holds.
            clock: what tells the time; the machine's own gives way to that of the database's server.

        Raises:
            ConfigurationError: when this process has opened it with other settings.
        """
        session = self._session
        mine = self._opened_by == os.getpid()
        if mine and settings is not None and session.given not in (None, settings):
            msg = "this store belongs to a monitor with other settings: give each monitor a store object of its own"
            raise ConfigurationError(msg)
        self._opened_by = os.getpid()
        session.given = settings or (session.given if mine else None)
        session.set_clock(clock)

    def predict(self, predictions: Predictions) -> dict[str, int]:
        """Take predictions of one model and version and return how many had each outcome.

        Raises:
            StoreError: when they were not committed, or not all of them; the same call may be repeated.
        """
        outcomes = [batches.predicting(part) for part in batches.parts(predictions, AT_ONCE)]
        with self._held():
            found = [self._session.transact(batches.low_words(part.ids), act) for part, act in outcomes]
            self._tidy()
        return batches.tallied(found, PREDICTION_OUTCOMES)

    def label(self, labels: Labels) -> dict[str, int]:
        """Take labels and return how many had each outcome; each has exactly one.

        Raises:
            StoreError: when they were not committed, or not all of them; the same call may be repeated.
        """
        return batches.tallied([self.outcomes(labels)], LABEL_OUTCOMES)

    def outcomes(self, labels: Labels) -> Outcome:
        """Take labels and return the outcome of each, as an index of ``LABEL_OUTCOMES``; see `label`."""
        with self._held():
            found = [
                self._session.transact(batches.low_words(part.ids), act, durable=True)
                for part, act in map(batches.labelling, batches.parts(labels, AT_ONCE))
            ]
            self._tidy()
        return np.concatenate(found) if found else np.empty(0, np.uint8)

    def forget(self, ids: Ids) -> int:
        """Erase every prediction and label under these ids and return how many there were; counts stay."""
        wanted = ids.take(ids.valid)
        with self._held():
            return sum(
                self._session.transact(low, batches.forgetting(low, high), durable=True)
                for low, high in (
                    wanted.take(slice(start, start + AT_ONCE)).hashes(KEY_SEED)
                    for start in range(0, len(wanted), AT_ONCE)
                )
            )

    def declare(self, model: str, version: str, task: Task | None) -> None:
        """Make a model and version appear before its first prediction."""
        with self._held():
            known = {page.key: page.task for page in self._session.catalogue.groups.series}
            if (model, version) in known and (task is None or known[model, version] is not None):
                held = known[model, version]
                if task is not None and held != task:
                    warn(f"task:{model}:{version}", _OTHER_TASK.format(model, version, held, task))
                return

            def act(working: Working) -> None:
                working.holdings.groups.declare((model, version), task, working.holdings.objects)

            self._session.transact(_NO_IDS, act)

    def assume(self, model: str, version: str | None, assumption: Assumption) -> None:
        """Let rows of a version (None: of all without an assumption of their own) join without a label in time.

        Raises:
            ConfigurationError: when it could never be made.
        """
        with self._held():
            self._assumptions.tell(model, version, assumption)

    def governing(self) -> JoinSettings:
        """Return the settings in force: those given, else those that the store holds."""
        with self._held():
            self._session.followed()
            return self._session.settings

    def part(self) -> Part:
        """Return what is counted as of now, frozen."""
        with self._held():
            self._sweep()
            return self._reading.part(self._session.settings)

    def sweep(self) -> None:
        """Let everything whose deadline has passed expire."""
        with self._held():
            self._sweep()

    def check_invariants(self) -> None:
        """Check the conservation laws on what is counted, and on what is held."""
        with self._held():
            self._sweep()
            self._reading.check(self._session.settings)

    def lease(self, holder: str, seconds: float, name: str = "exporter") -> bool:
        """Take or extend a lease kept in the store; return whether ``holder`` has it now."""
        with self._held():
            self._database.open()
            return self._database.lease(name, holder, seconds)

    def release(self, holder: str, name: str = "exporter") -> None:
        """Give a lease back, if ``holder`` has it."""
        with self._held():
            self._database.open()
            self._database.release(name, holder)

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name, durably; None takes it away."""
        with self._held():
            self._database.open()
            self._database.note(name, value)

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name; None where there is none."""
        with self._held():
            self._database.open()
            return self._database.noted(name)

    def close(self) -> None:
        """Let go of the connection; whoever uses the store afterwards opens it again."""
        with self._held():
            self._database.close()
            self._opened_by = 0

    @contextmanager
    def _held(self) -> Iterator[None]:
        if self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  (what threading.Condition relies on)
            msg = "modelmon was interrupted in this thread (signal handler, finaliser); use the store from normal code"
            raise BusyError(msg)
        with self._lock:
            try:
                yield
            except ModelmonError:  # told by whoever knows what it left
                raise
            except BaseException:  # a signal's, usually, which struck anywhere
                self.interrupted()
                raise

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        horizon: float | None = math.inf
        while horizon is not None:
            horizon = upkeep.sweep_some(self._session, horizon)
        if self._session.shortened:
            upkeep.remind_all(self._session)

    def _tidy(self) -> None:
        """Do now and then what no single event asks for; trouble with that is not the event's."""
        try:
            self._keep_up()
        except StoreError as error:
            warn(f"store:{error.kind}", f"{self!r} could not tidy up and will try again: {error}")

    def _keep_up(self) -> None:
        """Let rows expire, evict and forget where there is no room, fold the journal."""
        session = self._session
        working, head = session.settings, session.head
        if head is None:
            return
        self._assumptions.tell_again()
        if session.shortened:
            upkeep.remind_all(session)
        if head.due < head.now and time.monotonic() - self._swept > _SWEEP_EVERY_S:
            self._swept = time.monotonic()
            upkeep.sweep_some(session)
        if session.awaiting > session.most_awaiting():
            self._sweep()  # what is overdue makes room before anything is evicted
        if session.awaiting > session.most_awaiting():
            awaiting, most = session.awaiting, session.most_awaiting()
            if upkeep.make_room(session):
                warn(f"store:full:{self!r}", _FULL.format(self, awaiting, most, most // SLACK))
        most = MOST_REMEMBERED * max(AT_ONCE, working.max_awaiting)
        if head.documents - session.awaiting > most:
            upkeep.forget_oldest(session, most // 16)
        if is_long(head, self._reading.folded):
            self._reading.fold(session.settings)
