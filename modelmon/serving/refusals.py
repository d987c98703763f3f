"""Refusals: why a request gets no more than a status and a sentence."""

from __future__ import annotations

from typing import Final, NoReturn

REASONS: Final = {
    400: "malformed",
    401: "unauthorized",
    403: "host",
    408: "timeout",
    413: "too_large",
    415: "media_type",
    429: "throttled",
    500: "internal",
    503: "unavailable",
}
"""What refusals are counted as, by status."""


_ENDING: Final = frozenset({401, 403, 408, 429})


class RefusedError(Exception):
    """Carry the refusal of a request to where it is answered.

    Attributes:
        status: the HTTP status.
        detail: a sentence for whoever sent the request.
        retry_after: after how many seconds another try makes sense; 0 where it does not.
    """

    def __init__(self, status: int, detail: str, *, retry_after: int = 0) -> None:
        """Hold all of it."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the answer; to strangers the connection ends, and the rest of a body is not read."""
        extra = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}  # noqa: PLR2004
        if self.retry_after:
            extra["Retry-After"] = str(self.retry_after)
        if self.status in _ENDING:
            extra["Connection"] = "close"
        return {"Cache-Control": "no-store", **extra}


def refuse(status: int, detail: str, *, retry_after: int = 0) -> NoReturn:
    """Refuse a request.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(status, detail, retry_after=retry_after)
