"""Promises: what one call predicted under receipts, kept until the call's object goes, and signed when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.forking import load
from modelmon.notices import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.parts import Slice
    from modelmon.receipts.making import Batch
    from modelmon.signing import Keys
    from modelmon.tasks import Task


class Promises:
    """Keep the predictions of one call, and write receipts of them."""

    __slots__ = ("_issued", "_kept", "_keys", "_name", "_read", "_task", "_time", "_too_long")

    def __init__(  # noqa: PLR0917  (one caller, which has just these)
        self,
        name: tuple[str, str],
        task: Task | None,
        keys: Keys,
        time: Callable[[], float],
        issued: Callable[[], Any],
        too_long: Callable[[], Any],
    ) -> None:
        """Start without any.

        Args:
            name: model and version.
            task: how predictions are read; None where they tell.
            keys: what signs.
            time: seconds since the epoch.
            issued: called for each receipt written.
            too_long: called for each that nobody would read.
        """
        self._name = name
        self._task = task
        self._keys = keys
        self._time = time
        self._issued = issued
        self._too_long = too_long
        self._kept: list[tuple[float, Any, Any, Slice]] = []
        self._read: list[Batch] = []

    def keep(self, kept: Any, ident: Any, page: Slice) -> None:
        """Keep what was predicted just now."""
        self._kept.append((self._time(), kept, ident, page))

    def receipt(self, identity: Any) -> str:
        """Return a receipt of the prediction under an id; empty where none could be read, or be read again."""
        making = load("modelmon.receipts.making")  # numpy loads at the first receipt
        for kept in self._kept[len(self._read) :]:
            self._read.append(making.Batch(self._task, *kept))
        for batch in reversed(self._read):
            token: str = batch.receipt(identity, *self._name, self._keys)
            if token:
                return token if self._fits(token, making.LONGEST) else ""
        return ""

    def _fits(self, token: str, longest: int) -> bool:
        if len(token) <= longest:
            self._issued()
            return True
        self._too_long()
        msg = f"model {self._name[0]!r}: no receipt of {len(token)} characters, more than the {longest} that are read: "
        warn(f"receipts:{self._name[0]}", msg + "it holds every declared class; numbers for classes are short")
        return False
