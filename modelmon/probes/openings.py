"""The first step of an async generator, unseen by the event loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def opening(send: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
    """Return what gives the first item of a watched async generator; the loop knows the watching one alone.

    A loop that shuts down closes all async generators it knows at the same time.
    The watching one closes the watched one, which the loop therefore must not close as well.

    Args:
        send: ``asend`` of the watched generator; the hooks are asked when it is called, which runs nothing of its body.
    """
    first, last = sys.get_asyncgen_hooks()
    if first is None and last is None:
        return send(None)
    try:
        sys.set_asyncgen_hooks(None, None)
        return send(None)
    finally:
        sys.set_asyncgen_hooks(first, last)
