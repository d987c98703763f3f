"""The applications: label intake alone, to be mounted, and intake with metrics, as ``modelmon serve`` runs it."""

from __future__ import annotations

from _thread import start_new_thread
from contextlib import suppress
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
from modelmon.watching import disabled

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from threading import Event

    import numpy as np
    from numpy.typing import NDArray
    from starlette.requests import Request

    from modelmon.events import Labels
    from modelmon.recorder import Recorder
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

    What came in and what was refused is counted among a monitor's points; clients and stores have none to count it in.

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
    intake = _intake(target)
    note = intake.note if isinstance(intake, _MonitorIntake) else None
    posting = Posting(intake, Guard(tokens), note=note)
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
        self._publishing: Recorder | None = None

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        recorder = self._monitor._recorder  # noqa: SLF001  (two halves of one intake)

        def deliver(store: Any, now: float) -> NDArray[np.uint8]:
            recorder.entered(len(labels.ids))
            found: NDArray[np.uint8] = store.outcomes(timely(witnessed(recorder, labels), now)[0])
            return found

        _publish(recorder)
        return recorder.reach("label", deliver)

    def note(self, name: str, key: tuple[str, ...], n: int) -> None:
        """Count what came in; runs on the event loop, so it waits for nothing and starts nothing there."""
        recorder = self._monitor._recorder  # noqa: SLF001  (two halves of one intake)
        recorder.troubles.arrived(name, key, n)
        if self._publishing is not recorder:
            with suppress(RuntimeError):  # no thread to be had: the next one does it
                start_new_thread(_publish, (recorder,))
                self._publishing = recorder


def _publish(recorder: Recorder) -> None:
    """Have what a process counts reach its machine's directory, if there is one, though it makes no calls."""
    publication = None if disabled() else recorder.publication
    if publication is not None:
        publication.start()


def _intake(target: Any) -> Intake:
    if isinstance(target, Monitor):
        return _MonitorIntake(target)
    return target if isinstance(target, LabelClient) else LabelClient(target)
