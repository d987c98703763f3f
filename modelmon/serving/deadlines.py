"""Deadlines: how long a client may take over whatever it does on a connection, where uvicorn itself waits for ever.

A connection is always at one stage: a head is awaited, or a body, or the rest of a body after its answer was sent, or
the client is to read what was sent; or it is our turn, which takes as long as it takes.
Bytes that arrive do not prolong a stage, and a connection that was used before has no more time than a new one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_S: Final = 5.0
BODY_S: Final = 40.0
"""Longer than the application waits for a body, so that it can say so."""
REST_S: Final = 3.0
READ_S: Final = 10.0
READ_PER_S: Final = 16_384
MOST_OPEN: Final = 512
_TICK_S: Final = 0.5


class TimedProtocol(H11Protocol):
    """Hang up on who takes too long, and at once where too many are connected."""

    _stage: tuple[Any, ...] = ()
    _until = math.inf
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch."""
        super().connection_made(transport)
        if len(self.connections) > MOST_OPEN:
            transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self) -> None:
        stage, seconds = self._now_at()
        now = self.loop.time()
        if stage != self._stage:
            self._stage, self._until = stage, now + seconds
        elif now >= self._until:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(_TICK_S, self._watch)

    def _now_at(self) -> tuple[tuple[Any, ...], float]:
        """Return the stage, and how many seconds it may take from its beginning."""
        cycle, unread = self.cycle, self.transport.get_write_buffer_size()
        if unread:
            return ("read",), READ_S + unread / READ_PER_S
        if cycle is None or (cycle.response_complete and self.conn.their_state is h11.IDLE):
            return ("head", cycle), HEAD_S
        if cycle.response_complete:
            return ("rest", cycle), REST_S
        if cycle.more_body:
            return ("body", cycle), BODY_S
        return ("answer", cycle), math.inf
