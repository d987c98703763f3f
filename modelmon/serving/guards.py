"""The guard: who may come in, asked before anything of a body is read."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import TYPE_CHECKING, Final, NoReturn

from modelmon.serving.refusals import refuse
from modelmon.serving.throttle import Throttle

if TYPE_CHECKING:
    from starlette.requests import Request

    from modelmon.serving.tokens import Tokens

ANYONE: Final = "anyone"
_HOST: Final = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")


class Guard:
    """Let requests in that carry a token; without tokens all, or those for a loopback address alone."""

    def __init__(self, tokens: Tokens | None, *, local: bool = False) -> None:
        """Take the tokens.

        Args:
            tokens: of the sources; None: nobody has to show one.
            local: without tokens, only requests that name a loopback host are let in, so that no web page which
                somebody here looks at can reach us under a name of its own.
        """
        self._tokens = tokens
        self._local = local
        self._throttle = Throttle()

    def admit(self, request: Request) -> str:
        """Return the source that a request comes from.

        Raises:
            RefusedError: when it may not come in.
        """
        if self._tokens is None:
            if self._local and not is_loopback(_host(request.headers.get("host", ""))):
                refuse(403, "this service answers under a loopback address only")
            return ANYONE
        source = self._tokens.source(request.headers.get("authorization", ""))
        if source is None:  # only now: behind a proxy everybody has the address of whoever guesses there
            self._turn_away(request.client.host if request.client else "")
        return source

    def _turn_away(self, address: str) -> NoReturn:
        wait = self._throttle.wait(address)
        if wait:
            refuse(429, "too many requests without a valid token", retry_after=math.ceil(wait))
        self._throttle.failed(address)
        refuse(401, "a valid bearer token is needed")


def is_loopback(host: str) -> bool:
    """Tell whether a host can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host(header: str) -> str:
    """Return the host of a ``Host`` header without its port; nothing where that is no host and port."""
    found = _HOST.fullmatch(header)
    return (found[1] or found[2] or "") if found else ""
