"""``POST /v1/labels``: a body of labels in, what became of each of them out.

Rules:

1. Who may not come in gets an answer before a byte of the body is read.
2. A body has 30 seconds to arrive, and 8 MiB; sixteen are handled at a time, more are told to come again.
3. The answer is sent after the commit; after any other answer, sending the same body again is safe.
4. Everything that takes time happens in a worker thread, never on the event loop.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from modelmon.errors import StoreError
from modelmon.notices import warn
from modelmon.serving.bodies import CAP, JSON, LINES, items_of
from modelmon.serving.refusals import REASONS, RefusedError, refuse
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.written.items import deliver_items

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from modelmon.serving.guards import Guard
    from modelmon.written.rows import Delivered, Intake

AT_ONCE: Final = 16
BODY_S: Final = 30.0
MOST_PROBLEMS: Final = 100


class Posting:
    """Take bodies of labels.

    Attributes:
        labels: labels taken so far, by (source, outcome).
        refused: requests refused so far, by (reason,).
    """

    def __init__(self, intake: Intake, guard: Guard, *, body_seconds: float = BODY_S) -> None:
        """Deliver to ``intake`` what ``guard`` lets in."""
        self._intake = intake
        self._guard = guard
        self._body_seconds = body_seconds
        self._busy = 0
        self.labels: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[tuple[str]] = Counter()

    async def post(self, request: Request) -> Response:
        """Answer one request."""
        try:
            source = self._guard.admit(request)
            kind, encoding = _form(request)
            if self._busy >= AT_ONCE:
                refuse(503, "too many requests at once", retry_after=1)
            self._busy += 1
            try:
                body = await self._read(request)
                delivered = await anyio.to_thread.run_sync(self._deliver, body, kind, encoding)
            finally:
                self._busy -= 1
        except RefusedError as refused:
            return self.refuse(refused)
        return self._answer(source, delivered)

    def refuse(self, refused: RefusedError) -> Response:
        """Count a refusal and return its answer."""
        self.refused[REASONS[refused.status],] += 1
        return JSONResponse({"error": refused.detail}, refused.status, refused.headers)

    async def _read(self, request: Request) -> bytes:
        body = bytearray()
        try:
            with anyio.fail_after(self._body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > CAP:
                        refuse(413, f"more than {CAP} bytes")
        except TimeoutError:
            refuse(408, "the body took too long to arrive")
        except ClientDisconnect:
            refuse(400, "the body ends too early")
        return bytes(body)

    def _deliver(self, body: bytes, kind: str, encoding: str) -> Delivered:
        """Read a body and deliver what it holds; runs in a worker thread."""
        items = items_of(body, kind, encoding)
        try:
            return deliver_items(self._intake, items)
        except StoreError as error:
            warn("serving:store", f"labels over HTTP were not committed ({error.kind}): {error}")
            refuse(503, f"not committed ({error.kind}); send the same again", retry_after=2)
        except Exception as error:
            warn("serving:labels", f"labels over HTTP failed: {error!r}")
            refuse(500, "not committed, because of a fault or the set-up of this service; its log says more")

    def _answer(self, source: str, delivered: Delivered) -> Response:
        names = [LABEL_OUTCOMES[outcome] for outcome in delivered.outcomes.tolist()]
        counts = Counter(names)
        for outcome, n in counts.items():
            self.labels[source, outcome] += n
        answer: dict[str, Any] = {"total": len(names), "outcomes": dict(counts), "items": names}
        if delivered.reasons:
            found = sorted(delivered.reasons.items())[:MOST_PROBLEMS]
            answer["problems"] = [{"item": place, "reason": reason} for place, reason in found]
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _form(request: Request) -> tuple[str, str]:
    """Return the media type and the content encoding of a request.

    Raises:
        RefusedError: when they are none of ours, or the body says that it is too long.
    """
    kind, _, settings = request.headers.get("content-type", "").lower().partition(";")
    charset = settings.replace(" ", "").replace('"', "")
    if kind.strip() not in {JSON, *LINES} or charset not in {"", "charset=utf-8"}:
        refuse(415, f"Content-Type is {JSON}, or application/x-ndjson for one label per line; UTF-8")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > CAP:
        refuse(413, f"more than {CAP} bytes")
    return kind.strip(), request.headers.get("content-encoding", "").strip().lower()
