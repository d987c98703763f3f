"""Run in a process of its own: exceptions out of signal handlers at any instant of watched calls.

Prints how many signals struck, how many calls began, and how many ended.
"""

# ruff: noqa: T201, PERF203

from __future__ import annotations

import signal
import sys

from probe_desk import Desk, endings


class AlarmError(Exception):
    """Come out of a signal handler."""


def ring(*_: object) -> None:
    """Raise in whatever runs now."""
    raise AlarmError


def streamed(x):
    """Yield once."""
    yield x


FUNCTIONS = {
    "scalar": lambda x: 0.5 if x else None,
    "list": lambda x: [x],
    "error": lambda x: 1 / 0 if x else None,
    "stream": streamed,
}


def main(name: str, turns: int) -> None:
    """Interrupt calls of one kind."""
    watched, site = Desk().watch(FUNCTIONS[name], id="x")
    signal.signal(signal.SIGALRM, ring)
    struck = 0
    for turn in range(turns):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.00005 + turn * 1e-6)
            spin(watched, streams=name == "stream")
        except AlarmError:
            struck += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    seat = site.seat
    print(struck, seat.started - seat.lost, len(endings(site)), len(seat.buffer) % seat.stride)


def spin(watched, *, streams: bool) -> None:
    """Call some thousand times."""
    for _ in range(3000):
        try:
            result = watched("a")
            if streams:
                list(result)
        except ZeroDivisionError:
            pass


main(sys.argv[1], int(sys.argv[2]))
