"""The same answers inside an application: as ASGI and as WSGI, under whatever path it mounts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.exporters.wire import Request, Response, reason, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Respond = Callable[[list[Request]], list[Response]]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_READING = ("GET", "HEAD")


def _ask(respond: Respond, method: str, headers: dict[str, str]) -> Response:
    if method not in _READING:
        return refusal(405)
    return respond([Request("/metrics", method == "HEAD", headers)])[0]


def make_asgi_app(respond: Respond) -> Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]:
    """Return an ASGI application that answers every path with the metrics."""

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
        response = _ask(respond, scope["method"], headers)
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
