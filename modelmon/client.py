"""The label client: labels for a store, from a process that never imports the model.

>>> from modelmon import LabelClient, MemoryStore
>>> with LabelClient(MemoryStore()) as client:  # usually a URL, such as "sqlite:///var/lib/app/labels.db"
...     client.labels(["order-17", "order-18"], ["fraud", "ok"])
JoinReport(early=2)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from modelmon.clocks import StoreClock, SystemClock, ageing
from modelmon.errors import ConfigurationError
from modelmon.forking import load, load_counting
from modelmon.reports import JoinReport
from modelmon.signing import Keys
from modelmon.stores.connection import Connection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelmon.clocks import Clock
    from modelmon.events import Labels
    from modelmon.snapshot import Snapshot
    from modelmon.stores.contract import Store


class LabelClient(Connection):
    """Deliver labels to a store that other processes write predictions to, and read what became of them.

    Safe for threads.
    A report is returned after the store's commit, so it may acknowledge a message of a queue.

    Attributes:
        scope: model and version that labels reach where a call does not say; None for all.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | Store,
        model: str | None = None,
        version: str | None = None,
        *,
        clock: Clock | None = None,
        receipt_key: Any = None,
    ) -> None:
        """Prepare; a durable store connects at its first use.

        Args:
            store: the URL or path of a store, or a store that nobody has opened.
            model: what labels reach where a call does not say; every model's predictions under an id if None.
            version: with ``model``: only this version's.
            clock: an object with ``time()`` and ``monotonic_ns()``; the machine's if None.
            receipt_key: verifies receipts, as the setting of ``Monitor``; the environment's if None.

        Raises:
            ConfigurationError: when this is no store, one of this process alone, or no key.
            ValueError: for a version without a model.
        """
        load_counting()
        from modelmon.intake import check_scope  # noqa: PLC0415  (numpy loads with the first client)
        from modelmon.stores.contract import JoinSettings  # noqa: PLC0415  (the same)

        check_scope(model, version)
        self.scope = (model, version)
        self._keys = None if receipt_key is None else Keys.of(receipt_key)
        self._clock = clock or SystemClock()
        self._now = StoreClock(self._clock)
        self._name = _shown(store)
        opened = _opened(store)
        # A store that lasts keeps the settings that its monitors gave it; one in memory has none yet.
        lasting = opened.durable or opened.shared
        opened.open(None if lasting else JoinSettings(), self._clock)
        super().__init__(opened)

    def __repr__(self) -> str:
        """Show the store, without its secrets, and the model."""
        scope = "".join(f", {part!r}" for part in self.scope if part is not None)
        return f"<LabelClient {self._name}{scope}>"

    def label(
        self,
        id: Any,  # noqa: A002 - the public contract has arguments named id
        truth: Any,
        *,
        at: Any = None,
        rev: float | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Deliver the label of one prediction; see ``Monitor.label``.

        Raises:
            ValueError: for keywords that cannot be, before any effect.
            StoreError: when the label was not committed; repeating the call is safe.
        """
        return self.labels((id,), (truth,), at=at, revs=None if rev is None else (rev,), model=model, version=version)

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
        textual: bool = False,
    ) -> JoinReport:
        """Deliver many labels at once; see ``Monitor.labels``.

        Args:
            ids: ``n`` ids: a sequence, array or series.
            truths: ``n`` truths.
            receipts: ``n`` texts that ``call.receipt`` gave, instead of ids; each names its model by itself.
            at: one or ``n`` times at which they became known.
            revs: ``n`` explicit revisions.
            model: reach only this model's predictions.
            version: with ``model``: only this version's.
            textual: the truths came as text and match the model's classes by their text.

        Returns:
            How many labels had which outcome; ``total`` is ``n``.

        Raises:
            ValueError: when lengths differ or keywords cannot be, before any effect.
            StoreError: when the labels were not committed; repeating the call is safe.
        """
        age = ageing(self._clock)
        from modelmon.intake import delivery  # noqa: PLC0415  (loaded already)

        if receipts is not None:
            redeeming = load("modelmon.redeeming")
            now = self._now.now()
            return JoinReport(redeeming.redeem_at(self._hold, now, receipts, truths, age, self._keys, at, revs))
        model, version = self._reach(model, version)
        scope: Any = {"model": model, "version": version}
        return self._report(delivery(ids, truths, at=at, revs=revs, textual=textual, age=age, **scope))

    def retract(
        self,
        ids: Any,
        *,
        at: Any = None,
        rev: float | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> JoinReport:
        """Take back the labels of one id or many; see ``Monitor.retract``.

        Raises:
            ValueError: for keywords that cannot be, before any effect.
            StoreError: when it was not committed; repeating the call is safe.
        """
        age = ageing(self._clock)
        from modelmon.intake import retraction  # noqa: PLC0415  (loaded already)

        model, version = self._reach(model, version)
        return self._report(retraction(ids, at=at, rev=rev, model=model, version=version, age=age))

    def forget(self, ids: Any) -> int:
        """Erase everything kept under one id or many, for privacy, and return how much that was; counts stay."""
        from modelmon.intake import many_ids  # noqa: PLC0415  (loaded already)

        wanted = many_ids(ids)
        erased: int = self._hold(lambda store: store.forget(wanted))
        return erased

    def snapshot(self) -> Snapshot:
        """Return what the store knows now, frozen: the join and its quality, of all processes that use the store."""
        from modelmon.snapshot import Snapshot  # noqa: PLC0415  (loaded already)

        return Snapshot((self._hold(lambda store: store.part()),))

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        """Deliver columns of labels and return the outcome of each.

        Args:
            labels: as ``modelmon.intake.delivery`` makes them.

        Returns:
            uint8 ``(n,)``, indices of ``modelmon.stores.states.LABEL_OUTCOMES``.

        Raises:
            StoreError: when they were not committed; repeating the call is safe.
        """
        return self._outcomes(labels)[0]

    def _outcomes(self, labels: Labels) -> tuple[NDArray[np.uint8], int]:
        """Return the outcome of each label, and how many were refused because they are dated ahead."""
        from modelmon.intake import say_ahead, timely  # noqa: PLC0415  (loaded already)

        labels, ahead = timely(labels, self._now.now())
        found: NDArray[np.uint8] = self._hold(lambda store: store.outcomes(labels))
        say_ahead(ahead)
        return found, ahead

    def _report(self, labels: Labels) -> JoinReport:
        import numpy as np  # noqa: PLC0415  (loaded already)

        from modelmon.intake import say_invalid  # noqa: PLC0415  (loaded already)
        from modelmon.stores.states import LABEL_OUTCOMES  # noqa: PLC0415  (loaded already)

        outcomes, ahead = self._outcomes(labels)
        counts = np.bincount(outcomes, minlength=len(LABEL_OUTCOMES)).tolist()
        report = JoinReport(dict(zip(LABEL_OUTCOMES, counts, strict=True)))
        say_invalid(labels, report["invalid"], ahead)
        return report

    def _reach(self, model: str | None, version: str | None) -> tuple[str | None, str | None]:
        if model is None and version is not None and self.scope[0] is not None:
            return self.scope[0], version
        return self.scope if model is None and version is None else (model, version)


def _opened(store: Any) -> Any:
    if isinstance(store, (str, os.PathLike)):
        if store == "memory":
            msg = 'store="memory" is a store of one process: give the URL of a store that the model\'s processes use'
            raise ConfigurationError(msg)
        from modelmon.stores.addresses import make_store  # noqa: PLC0415  (loads no store but the one asked for)

        return make_store(store)
    if not callable(getattr(store, "outcomes", None)):
        msg = f"store={store!r} is no store: give a URL such as sqlite:///var/lib/app/labels.db, a path, or a store"
        raise ConfigurationError(msg)
    return store


def _shown(store: Any) -> str:
    if isinstance(store, (str, os.PathLike)):
        from modelmon.stores.addresses import redacted  # noqa: PLC0415  (small, but only clients need it)

        return redacted(store)
    return type(store).__name__
