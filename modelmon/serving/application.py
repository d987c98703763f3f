"""The applications: label intake alone, to be mounted, and intake with metrics, as ``modelmon serve`` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import anyio
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"starlette", "anyio"}:
        raise
    message = 'label intake over HTTP needs starlette: pip install "modelmon[serve]"'
    raise ImportError(message, name=error.name) from error

from modelmon.client import LabelClient
from modelmon.errors import ConfigurationError, StoreError
from modelmon.exporters.exposition import CONTENT_TYPES
from modelmon.exporters.wire import wanted_format
from modelmon.intake import timely, witnessed
from modelmon.monitoring import Monitor
from modelmon.serving.description import description
from modelmon.serving.guards import Guard
from modelmon.serving.metrics import StoreMetrics
from modelmon.serving.posting import Posting
from modelmon.serving.refusals import RefusedError
from modelmon.serving.tokens import Tokens

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from threading import Event

    import numpy as np
    from numpy.typing import NDArray
    from starlette.requests import Request

    from modelmon.events import Labels
    from modelmon.serving.metrics import Counted
    from modelmon.stores.contract import Store
    from modelmon.written.rows import Intake


def label_app(
    target: Monitor | LabelClient | Store | str | os.PathLike[str],
    *,
    token: str | Mapping[str, str] | None = None,
    token_file: str | os.PathLike[str] | None = None,
    insecure: bool = False,
) -> Starlette:
    """Return an ASGI application that takes labels by ``POST /v1/labels``, to be mounted anywhere.

    Args:
        target: where labels go: a monitor, a label client, or the URL, path or object of a store.
        token: the bearer token that a request must carry, or one for each source by its name.
        token_file: a file of ``name:token`` lines instead, read again when it changes.
        insecure: let everybody in who can reach the application, where it stands behind a guard of its own.

    Raises:
        ConfigurationError: when neither a token nor ``insecure=True`` is given.
    """
    if token is None and token_file is None and not insecure:
        msg = "label_app() takes token=..., token_file=..., or insecure=True if everybody may send labels"
        raise ConfigurationError(msg)
    tokens = None if token is None and token_file is None else Tokens(token, file=token_file)
    posting = Posting(_intake(target), Guard(tokens))
    return Starlette(routes=_label_routes(posting))


def store_app(
    client: LabelClient,
    tokens: Tokens | None,
    *,
    local: bool,
    directory: str | None = None,
    windows: Sequence[str] = (),
    ending: Event | None = None,
) -> Starlette:
    """Return the application that ``modelmon serve`` runs: label intake, metrics, health, description.

    Args:
        client: of the store.
        tokens: who may come in; None for everybody.
        local: without tokens, let only requests in that name a loopback host.
        directory: of the machine whose processes are shown too, or None.
        windows: windows such as ``"1d:mature"`` that quality is shown for beside the total.
        ending: once it is set, no delivery begins.
    """
    guard = Guard(tokens, local=local)
    posting, metrics = Posting(client, guard, ending=ending), StoreMetrics(client, directory, windows)

    async def show(request: Request) -> Response:
        wanted = wanted_format(request.headers.get("accept", ""))
        try:
            guard.admit(request)
            counted: Counted = {"intake_labels": dict(posting.labels), "intake_refused": dict(posting.refused)}
            text = await anyio.to_thread.run_sync(metrics.render, counted, wanted)
        except RefusedError as refused:
            return posting.refuse(refused)
        except StoreError as error:
            return posting.refuse(RefusedError(503, f"the store cannot be read ({error.kind})", retry_after=2))
        return Response(text, headers={"Content-Type": CONTENT_TYPES[wanted], "Cache-Control": "no-store"})

    routes = [Route("/metrics", show), Route("/healthz", _healthy)]
    return Starlette(routes=[*_label_routes(posting), *routes])


def _label_routes(posting: Posting) -> list[Route]:
    return [Route("/v1/labels", posting.post, methods=["POST"]), Route("/openapi.json", _describe)]


async def _describe(request: Request) -> Response:
    return JSONResponse(description(request.scope.get("root_path", "")))


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


class _MonitorIntake:
    """Deliver to the store of a monitor, after what its own process predicted."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        recorder = self._monitor._recorder  # noqa: SLF001  (two halves of one intake)

        def deliver(store: Any, now: float) -> NDArray[np.uint8]:
            recorder.entered(len(labels.ids))
            found: NDArray[np.uint8] = store.outcomes(timely(witnessed(recorder, labels), now)[0])
            return found

        return recorder.reach("label", deliver)


def _intake(target: Any) -> Intake:
    if isinstance(target, Monitor):
        return _MonitorIntake(target)
    return target if isinstance(target, LabelClient) else LabelClient(target)
