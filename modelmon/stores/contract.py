"""What a store is: where predictions await labels, and the counts they turn into.

A store that never waits is not safe for threads by itself: whoever owns it calls it under one lock.
One that waits for input and output (``blocking``) has a lock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelmon.clocks import Clock
    from modelmon.columns import Ids
    from modelmon.events import Labels, Predictions
    from modelmon.parts import Part
    from modelmon.stores.series import Assumption
    from modelmon.tasks import Task

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """Hold what governs the join; spans are seconds.

    Attributes:
        ttl: how long a prediction awaits its label.
        early_ttl: how long a label waits for its prediction.
        correction_horizon: how long after the join a label may still be corrected.
        forget_after: how long closed, expired and evicted predictions are remembered.
        window: width of the slots keyed by prediction time.
        history: how long slots are kept apart before they fold into the total.
        max_awaiting: most predictions that may await a label; past it a sample by id is kept.
        max_awaiting_bytes: the same in bytes, or None.
        sample_rate: share of ids kept from the start, in (0, 1].
        on_conflict: which of two different predictions under one key counts, ``"first"`` or ``"last"``.
        strict: the owner raises what the store counts.
    """

    ttl: float = 30 * _DAY
    early_ttl: float = _DAY
    correction_horizon: float = 30 * _DAY
    forget_after: float = 7 * _DAY
    window: float = 3600.0
    history: float = 90 * _DAY
    max_awaiting: int = 1_000_000
    max_awaiting_bytes: int | None = None
    sample_rate: float = 1.0
    on_conflict: str = "first"
    strict: bool = False


class Store(Protocol):
    """Join predictions with labels, and count.

    Attributes:
        durable: what was acknowledged survives the process.
        shared: other processes use the same state.
        blocking: calls may wait for input and output.
    """

    durable: bool
    shared: bool
    blocking: bool

    def open(self, settings: JoinSettings, clock: Clock) -> None:
        """Begin; the clock is read for every event, and made never to go back."""
        ...

    def predict(self, predictions: Predictions) -> Mapping[str, int]:
        """Take predictions of one model and version and return how many had each outcome."""
        ...

    def label(self, labels: Labels) -> Mapping[str, int]:
        """Take labels and return how many had each outcome; each has exactly one."""
        ...

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        """Take labels and return the outcome of each, as an index of ``LABEL_OUTCOMES``."""
        ...

    def forget(self, ids: Ids) -> int:
        """Erase every prediction and label under these ids and return how many there were; counts stay."""
        ...

    def declare(self, model: str, version: str, task: Task | None) -> None:
        """Make a model and version appear, with zeros and its declared classes, before its first prediction."""
        ...

    def assume(self, model: str, version: str | None, assumption: Assumption) -> None:
        """Let rows of a version (None: of all without an assumption of their own) join without a label in time.

        Raises:
            ConfigurationError: when it could never be made.
        """
        ...

    def part(self) -> Part:
        """Return what is counted as of now, frozen."""
        ...

    def sweep(self) -> None:
        """Let everything whose deadline has passed expire."""
        ...

    def check_invariants(self) -> None:
        """Check the conservation laws.

        Raises:
            InvariantError: naming the law and the two numbers that differ.
        """
        ...

    def close(self) -> None:
        """Finish; a closed store takes nothing more."""
        ...
