"""A desk in place of the recorder: it gives seats, never drains them, and shows what they hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from modelmon.probes import Seat, Site, watch

if TYPE_CHECKING:
    from collections.abc import Callable


class Desk:
    """Give seats and keep them."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """Start with no relief asked for."""
        self.clock = clock
        self.reliefs = 0

    def seat(self, site: Site) -> Seat:
        """Return a new seat."""
        return Seat(site, clock=self.clock, relieve=self.relieve)

    def relieve(self, _seat: Seat) -> None:
        """Count how often a seat asks for relief."""
        self.reliefs += 1

    def site(self, model: str = "m", **settings: Any) -> Site:
        """Return a new site with a seat here."""
        return Site(model, home=self, **settings)

    def watch(self, function: Any, **settings: Any) -> tuple[Any, Site]:
        """Watch a function at a new site."""
        site = self.site(**settings)
        return watch(function, site), site


def calls(site: Site) -> list[dict[str, Any]]:
    """Return the calls that returned, as mappings by column."""
    seat = site.seat
    return [
        dict(zip(seat.fields, seat.buffer[i : i + seat.stride], strict=True))
        for i in range(0, len(seat.buffer), seat.stride)
    ]


def outcomes(site: Site) -> list[tuple[str, str]]:
    """Return (outcome, error type) of every ended call; none may be active."""
    ended = endings(site)
    assert site.seat.started == len(ended) + site.seat.lost, "a call is still active, or ended twice"
    return ended


def endings(site: Site) -> list[tuple[str, str]]:
    """Return (outcome, error type) of every ended call."""
    seat = site.seat
    ended = [("ok", "")] * (len(seat.buffer) // seat.stride)
    ended += zip(seat.failures[2::5], seat.failures[3::5], strict=True)
    ended += zip(seat.streams[5::8], seat.streams[6::8], strict=True)
    return ended
