"""Delivering labels, and reading what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.clocks import ageing
from modelmon.errors import ConfigurationError, RejectedError
from modelmon.forking import load_counting
from modelmon.reports import JoinReport
from modelmon.timespans import seconds
from modelmon.watching import disabled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from modelmon.recorder import Recorder
    from modelmon.snapshot import Snapshot


class Labelling:
    """Deliver labels to the current recorder's store, and answer with snapshots."""

    __slots__ = ()
    _recorder: Recorder

    def label(
        self,
        id: Any,
        truth: Any,
        *,
        at: Any = None,
        rev: float | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Deliver the label of one prediction.

        Args:
            id: the prediction's id.
            truth: what turned out to be true, as the task's classes or numbers.
            at: when it became known, seconds since the epoch or an aware datetime; orders corrections.
            rev: explicit revision; a greater one wins over a smaller, whatever the order of arrival.
            model: reach only this model's prediction; every model's under the id if None.
            version: with ``model``: only this version's.

        Returns:
            The report of one label: exactly one outcome is 1.

        Raises:
            ValueError: for keywords that cannot be, before any effect.
            StoreError: when the label was not committed.
        """
        revs = None if rev is None else (rev,)
        return self._deliver(self._age(), (id,), (truth,), at=at, revs=revs, model=model, version=version)

    def labels(
        self,
        ids: Any = None,
        truths: Any = None,
        *,
        receipts: Any = None,
        at: Any = None,
        revs: Any = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Deliver many labels at once; see ``label``.

        Args:
            ids: ``n`` ids: a sequence, array or series.
            truths: ``n`` truths.
            receipts: ``n`` texts that ``call.receipt`` gave, instead of ids; each names its model by itself.
            at: one or ``n`` times at which they became known.
            revs: ``n`` explicit revisions.
            model: reach only this model's predictions.
            version: with ``model``: only this version's.

        Returns:
            How many labels had which outcome; ``total`` is ``n``.

        Raises:
            ValueError: when lengths differ or keywords cannot be, before any effect.
            StoreError: when the labels were not committed.
        """
        return self._labels(self._age(), ids, truths, receipts=receipts, at=at, revs=revs, model=model, version=version)

    def assume_label(
        self, truth: Any, *, after: float | str | timedelta, model: str, version: str | None = None
    ) -> None:
        """Assume a label where none comes in time: "no chargeback within 14 days is no fraud".

        A label that comes later wins, whatever its order, for as long as corrections are taken; where that one is
        retracted, the assumption holds again. ``snapshot()[model].assumed`` counts such predictions apart.
        The last assumption told for a model holds for what still awaits a label then, in every process of the store.

        Args:
            truth: any truth that a label may have; None assumes nothing from now on.
            after: how long after the prediction, at most ``ttl``: seconds, or text such as ``"14d"``.
            model: the model's name.
            version: only this version; every version without an assumption of its own if None.

        A store that cannot be reached is told as soon as it can.

        Raises:
            ConfigurationError: when that could never be assumed.
        """
        if disabled():
            return
        assumption = assumption_of(truth, after)
        from modelmon.intake import check_scope  # noqa: PLC0415  (numpy is loaded by now)

        try:
            check_scope(model, version)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        self._recorder.promise(lambda store: store.assume(model, version, assumption))

    def retract(
        self,
        ids: Any,
        *,
        at: Any = None,
        rev: float | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Take back the labels of some ids: they were wrong, and nothing replaces them.

        Args:
            ids: one id, or ``n``.
            at: when this became known.
            rev: explicit revision of the retraction.
            model: take back only labels given for this model.
            version: with ``model``: only those given for this version.

        Raises:
            ValueError: for keywords that cannot be, before any effect.
            StoreError: when it was not committed.
        """
        if disabled():
            return JoinReport()
        age = self._age()
        load_counting()
        from modelmon.intake import retraction  # noqa: PLC0415  (numpy loads at the first need)

        return self._commit(retraction(ids, at=at, rev=rev, model=model, version=version, age=age))

    async def alabel(
        self,
        id: Any,
        truth: Any,
        *,
        at: Any = None,
        rev: float | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Deliver one label without blocking the event loop; see ``label``."""
        how = {"at": at, "revs": None if rev is None else (rev,), "model": model, "version": version}
        return await self._aside(self._deliver, self._age(), (id,), (truth,), **how)

    async def alabels(
        self,
        ids: Any = None,
        truths: Any = None,
        *,
        receipts: Any = None,
        at: Any = None,
        revs: Any = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Deliver labels without blocking the event loop; see ``labels``."""
        how = {"receipts": receipts, "at": at, "revs": revs, "model": model, "version": version}
        return await self._aside(self._labels, self._age(), ids, truths, **how)

    def forget(self, ids: Any) -> int:
        """Erase everything kept under some ids, for privacy; the counts they turned into stay.

        Args:
            ids: one id, or ``n``.

        Returns:
            How many predictions and labels were erased.

        Raises:
            StoreError: when they were not.
        """
        if disabled():
            return 0
        load_counting()
        from modelmon.intake import many_ids  # noqa: PLC0415  (numpy loads at the first need)

        wanted, recorder = many_ids(ids), self._recorder
        recorder.hold(lambda held: held.process.forget(wanted))
        return recorder.reach("label", lambda store, _: store.forget(wanted))

    def snapshot(self) -> Snapshot:
        """Return all that is known now, frozen.

        Raises:
            BusyError: in a signal handler or finaliser that interrupted this library in the same thread.
            StoreError: when a store that other processes or this machine's disk keep cannot be read.
        """
        load_counting()
        from modelmon.snapshot import Snapshot  # noqa: PLC0415  (numpy loads at the first read)

        if disabled():
            return Snapshot()
        return Snapshot(self._recorder.parts())

    def check_invariants(self) -> None:
        """Check the conservation laws of the join, and that calls started = calls ended + calls active.

        Raises:
            InvariantError: naming the law and the two numbers that differ.
        """
        self._recorder.check_invariants()

    def _age(self) -> Callable[[], float]:
        """Return what tells how long ago a label call began, before anything is loaded for it."""
        return ageing(self._recorder.clock)

    def _labels(
        self,
        age: Callable[[], float],
        ids: Any,
        truths: Any,
        *,
        receipts: Any,
        at: Any,
        revs: Any,
        model: str | None,
        version: str | None,
    ) -> JoinReport:
        if receipts is None:
            return self._deliver(age, ids, truths, at=at, revs=revs, model=model, version=version)
        if ids is not None or model is not None or version is not None:
            msg = "a receipt names id, model and version by itself: give truths, at= and revs= only"
            raise ValueError(msg)
        return self._redeem(age, receipts, truths, at=at, revs=revs)

    def _deliver(
        self,
        age: Callable[[], float],
        ids: Any,
        truths: Any,
        *,
        at: Any,
        revs: Any,
        model: str | None,
        version: str | None,
    ) -> JoinReport:
        if disabled():
            return JoinReport()
        load_counting()
        from modelmon.intake import delivery  # noqa: PLC0415  (numpy loads at the first need)

        return self._commit(delivery(ids, truths, at=at, revs=revs, model=model, version=version, age=age))

    def _redeem(self, age: Callable[[], float], receipts: Any, truths: Any, *, at: Any, revs: Any) -> JoinReport:
        if disabled():
            return JoinReport()
        load_counting()
        from modelmon.redeeming import redeem  # noqa: PLC0415  (numpy loads at the first need)

        return self._checked(JoinReport(redeem(self._recorder, receipts, truths, age, at=at, revs=revs)))

    def _commit(self, labels: Any) -> JoinReport:
        from modelmon.intake import commit  # noqa: PLC0415  (loaded already, with the labels)

        return self._checked(JoinReport(commit(self._recorder, labels)))

    def _checked(self, report: JoinReport) -> JoinReport:
        if self._recorder.settings.strict and report["invalid"]:
            msg = f"{report['invalid']} of {report.total} label(s) were invalid: {report!r}"
            raise RejectedError(msg)
        return report

    async def _aside(self, deliver: Callable[..., JoinReport], *arguments: Any, **keywords: Any) -> JoinReport:
        if not self._recorder.locked(lambda: self._recorder.store.blocking):
            return deliver(*arguments, **keywords)
        import asyncio  # noqa: PLC0415  (loaded only where a store does input and output)

        return await asyncio.to_thread(deliver, *arguments, **keywords)


def assumption_of(truth: Any, after: Any) -> Any:
    """Read what is to be assumed, and how many seconds after a prediction.

    Raises:
        ConfigurationError: when that could never be assumed.
    """
    load_counting()
    from modelmon.stores.assuming import read_assumption  # noqa: PLC0415  (numpy loads at the first need)

    return read_assumption(truth, seconds(after, "after"))
