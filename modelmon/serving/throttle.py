"""How often an address may fail to show a token: some times at once, then once a second."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 20
PER_SECOND: Final = 1.0
_MOST: Final = 4096


class Throttle:
    """Count failures by address; what is remembered is bounded, the address that failed longest ago goes first.

    >>> now = [0.0]
    >>> throttle = Throttle(clock=lambda: now[0])
    >>> for _ in range(20): throttle.failed("10.0.0.1")
    >>> throttle.wait("10.0.0.1"), throttle.wait("10.0.0.2")
    (1.0, 0.0)
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nobody."""
        self._clock = clock
        self._owed: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Return after how many seconds the address may try again; 0 for now."""
        owed = self._owing(_network(address))
        return max(0.0, (owed - BURST + 1) / PER_SECOND)

    def failed(self, address: str) -> None:
        """Count a failure."""
        network = _network(address)
        self._owed[network] = (self._owing(network) + 1, self._clock())
        self._owed.move_to_end(network)
        if len(self._owed) > _MOST:
            self._owed.popitem(last=False)

    def _owing(self, network: str) -> float:
        owed, since = self._owed.get(network, (0.0, 0.0))
        return max(0.0, owed - (self._clock() - since) * PER_SECOND)


def _network(address: str) -> str:
    """Return what an address is counted under: of IPv6 the upper half, since who has one has the others too.

    An IPv4 address that a socket for both kinds shows as IPv6 stands for itself.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
