"""``POST /v1/labels``: a body of labels in, what became of each of them out.

Rules:

1. Who may not come in gets an answer before a byte of the body is read.
2. A body has 30 seconds to arrive, and 8 MiB; sixteen are handled at a time and hold 32 MiB together, more are told to
   come again.
   They arrive side by side, but one at a time is unpacked, read and delivered, so that memory stays bounded.
3. Each model and version in a body is a transaction, so there are at most 64; before each it is asked whether the
   client still waits and the service goes on.
4. The answer is sent after the commit; after any other answer, sending the same body again is safe.
5. Everything that takes time happens in a worker thread, never on the event loop.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import RunVar
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from modelmon.clocks import SystemClock, ageing
from modelmon.errors import StoreError
from modelmon.notices import warn
from modelmon.serving.bodies import CAP, JSON, LINES, items_of
from modelmon.serving.refusals import REASONS, RefusedError, refuse
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.written.items import deliver_items

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response

    from modelmon.serving.guards import Guard
    from modelmon.written.rows import Delivered, Intake

    Note = Callable[[str, tuple[str, ...], int], object]

AT_ONCE: Final = 16
MOST_HELD: Final = 32 << 20
MOST_SCOPES: Final = 64
BODY_S: Final = 30.0
MOST_PROBLEMS: Final = 100
_limiter: Final[RunVar[anyio.CapacityLimiter]] = RunVar("modelmon_deliveries")
"""Of the event loop, as locks of event loops are."""


class Posting:
    """Take bodies of labels.

    Attributes:
        labels: labels taken so far, by (source, outcome).
        refused: requests refused so far, by (reason,).
    """

    def __init__(
        self,
        intake: Intake,
        guard: Guard,
        *,
        body_seconds: float = BODY_S,
        ending: threading.Event | None = None,
        note: Note | None = None,
    ) -> None:
        """Deliver to ``intake`` what ``guard`` lets in, until ``ending`` is set; have ``note`` count it too."""
        self._intake = intake
        self._guard = guard
        self._body_seconds = body_seconds
        self._ending = ending or threading.Event()
        self._note = note or _nobody
        self._busy = 0
        self._held = 0
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
            body = bytearray()
            try:
                await self._read(request, body)
                age = ageing(SystemClock())  # waiting for other bodies is no part of a label's delay
                deliver = partial(self._deliver, body, kind, encoding, request.is_disconnected, age)
                delivered = await anyio.to_thread.run_sync(deliver, limiter=_one_by_one())
            finally:
                self._busy -= 1
                self._held -= len(body)
        except RefusedError as refused:  # whose frames hold what was read, and each other
            return self.refuse(refused.with_traceback(None))
        return self._answer(source, delivered)

    def refuse(self, refused: RefusedError) -> Response:
        """Count a refusal and return its answer."""
        reason = REASONS[refused.status]
        self.refused[reason,] += 1
        self._note("intake_refused", (reason,), 1)
        return JSONResponse({"error": refused.detail}, refused.status, refused.headers)

    async def _read(self, request: Request, body: bytearray) -> None:
        try:
            with anyio.fail_after(self._body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > CAP:
                        refuse(413, f"more than {CAP} bytes")
                    if self._held > MOST_HELD:
                        refuse(503, "too many bytes of requests at once", retry_after=1)
        except TimeoutError:
            refuse(408, "the body took too long to arrive")
        except ClientDisconnect:
            refuse(400, "the body ends too early")

    def _deliver(
        self,
        body: bytearray,
        kind: str,
        encoding: str,
        gone: Callable[[], Coroutine[Any, Any, bool]],
        age: Callable[[], float],
    ) -> Delivered:
        """Read a body and deliver what it holds; runs in a worker thread, one at a time."""

        def permit(scopes: int) -> None:
            if self._ending.is_set():
                refuse(503, "not committed: this service ends; send the same again", retry_after=2)
            if scopes > MOST_SCOPES:
                refuse(400, f"more than {MOST_SCOPES} models and versions in one request: send several")
            if anyio.from_thread.run(gone):
                refuse(400, "the client did not wait for the answer")

        permit(0)
        return self._commit(items_of(body, kind, encoding), permit, age)

    def _commit(self, items: list[Any], permit: Callable[[int], None], age: Callable[[], float]) -> Delivered:
        try:
            return deliver_items(self._intake, items, permit=permit, age=age)
        except RefusedError:
            raise
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
            self._note("intake_labels", (source, outcome), n)
        answer: dict[str, Any] = {"total": len(names), "outcomes": dict(counts), "items": names}
        if delivered.reasons:
            found = sorted(delivered.reasons.items())[:MOST_PROBLEMS]
            answer["problems"] = [{"item": place, "reason": reason} for place, reason in found]
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _nobody(_name: str, _key: tuple[str, ...], _n: int) -> None:
    """Note nothing."""


def _one_by_one() -> anyio.CapacityLimiter:
    """Return what makes deliveries wait for each other, and use one thread whose memory is used again."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(1)
        _limiter.set(limiter)
        return limiter


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
