"""Assumptions that this process told a durable store: each is finished where it was cut off, and told to a new store.

Rules:

1. What is assumed changes at once, and when rows are due then lot by lot; a note in the store says that this goes on.
   While it stands, whoever tells the same again does it again.
2. Where the store has begun anew, it is told what it does not know; what others have told it by then holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from modelmon.errors import ConfigurationError
from modelmon.notices import warn
from modelmon.stores import upkeep
from modelmon.stores.assuming import assume

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.stores.series import Assumption
    from modelmon.stores.session import Session

_REMINDING: Final = "reminding"
_NO_IDS = np.empty(0, np.uint64)


class Assumptions:
    """Tell a store what to assume, and remember it."""

    def __init__(self, session: Session, sweep: Callable[[], None]) -> None:
        """Start without any.

        Args:
            session: at work on the store.
            sweep: lets expire what is overdue.
        """
        self._session = session
        self._sweep = sweep
        self._told: dict[tuple[str, str | None], Assumption] = {}
        self._origin = ""

    def tell(self, model: str, version: str | None, assumption: Assumption) -> None:
        """Let rows of a version, or of all versions, join without a label in time.

        Raises:
            ConfigurationError: when it could never be made.
        """
        self._tell(model, version, assumption)
        self._told[model, version] = assumption
        self._origin = self._session.head.origin if self._session.head else ""

    def _tell(self, model: str, version: str | None, assumption: Assumption) -> None:
        session = self._session
        known = session.followed().groups.assumptions.get((model, version)) == assumption
        if not known or session.database.noted(_REMINDING) is not None:
            self._sweep()  # what is overdue is so under what was assumed until now
            session.database.note(_REMINDING, b"1")
            session.transact(_NO_IDS, lambda working: assume(working.holdings, model, version, assumption))
            upkeep.remind_all(session)
            session.database.note(_REMINDING, None)

    def tell_again(self) -> None:
        """Tell a store that has begun anew what it does not know."""
        head = self._session.head
        if not self._told or head is None or head.origin == self._origin:
            return
        known = self._session.followed().groups.assumptions
        for (model, version), assumption in self._told.items():
            if known.get((model, version), assumption) == assumption:
                try:
                    self._tell(model, version, assumption)
                except ConfigurationError as error:  # others predict otherwise by now
                    warn(f"assume:{model}:{version}", f"the store has begun anew, and assumes nothing: {error}")
        self._origin = head.origin
