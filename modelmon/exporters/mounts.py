"""The same answers inside an application: as ASGI and as WSGI, under whatever path it mounts them.

A scrape may wait for a store, so under asyncio it runs on a thread: one at a time, whoever goes away meanwhile, and
what is asked during one is answered together after it. Other loops run it where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.exporters.wire import Request, Response, reason, refusal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Waiting = tuple[Request, Future[Response]]
    Respond = Callable[[list[Request]], list[Response]]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_READING = ("GET", "HEAD")


def _ask(respond: Respond, method: str, headers: dict[str, str]) -> Response:
    if method not in _READING:
        return refusal(405)
    return respond([_request(method, headers)])[0]


def _request(method: str, headers: dict[str, str]) -> Request:
    return Request("/metrics", method == "HEAD", headers)


class _Scrapes:
    """Answer what is asked on loops of asyncio, each by one thread at a time."""

    __slots__ = ("_respond", "_tasks", "_waiting")

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._tasks: set[Task[None]] = set()
        self._waiting: dict[AbstractEventLoop, list[Waiting]] = {}

    async def ask(self, method: str, headers: dict[str, str]) -> Response:
        """Return the answer without holding up the loop."""
        import asyncio  # noqa: PLC0415  (who mounts nothing has no need of it)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another library's
            return _ask(self._respond, method, headers)
        if method not in _READING:
            return refusal(405)
        answer: Future[Response] = loop.create_future()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = []
            task = loop.create_task(self._work(loop, waiting))  # its own, so that nobody's leaving ends it
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append((_request(method, headers), answer))
        return await answer

    async def _work(self, loop: AbstractEventLoop, waiting: list[Waiting]) -> None:
        try:
            while waiting:
                await self._answer(waiting)
        finally:  # without awaiting anything, so that nobody is put on a list that nobody looks at
            del self._waiting[loop]
            for _, answer in waiting:
                answer.cancel()

    async def _answer(self, waiting: list[Waiting]) -> None:
        from asyncio import to_thread  # noqa: PLC0415  (as above)

        asked = waiting[:]
        try:
            responses = await to_thread(self._respond, [request for request, _ in asked])
        except Exception:  # as the endpoint answers what goes wrong
            responses = [refusal(500)] * len(asked)
        del waiting[: len(asked)]
        for (_, answer), response in zip(asked, responses, strict=True):
            if not answer.done():  # else whoever asked has gone
                answer.set_result(response)


def make_asgi_app(respond: Respond) -> Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]:
    """Return an ASGI application that answers every path with the metrics."""
    scrapes = _Scrapes(respond)

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        response = await scrapes.ask(scope["method"], headers)
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers()]
        await send({"type": "http.response.start", "status": response.status, "headers": pairs})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    return app


def make_wsgi_app(respond: Respond) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return a WSGI application that answers every path with the metrics."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        headers = {
            "accept": environ.get("HTTP_ACCEPT", ""),
            "authorization": environ.get("HTTP_AUTHORIZATION", ""),
        }
        response = _ask(respond, method, headers)
        start_response(f"{response.status} {reason(response.status)}", list(response.headers()))
        return [b"" if method == "HEAD" else response.body]

    return app
