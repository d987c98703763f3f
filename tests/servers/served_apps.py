"""The same service as a Flask, a FastAPI and a Starlette application; gunicorn imports this in its workers.

Each answers ``/predict/7`` and ``/truth/7`` with the number of the process that did it, and ``/metrics``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from modelmon import Multiclass, monitor
from modelmon.exporters.prometheus import PrometheusExporter

if TYPE_CHECKING:
    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.requests import Request

exporter = monitor.add(PrometheusExporter(port=None))


@monitor(model="digits", version="1", task=Multiclass(), id="number")
def classify(number: int) -> int:
    """Return a class."""
    return number % 3


@monitor(model="warm", version="1", task=Multiclass())
def warm_up(number: int) -> int:
    """Return a class; called where the application is made."""
    return number % 3


@monitor(model="digits", version="1", task=Multiclass(), id="number")
def classify_shyly(number: int) -> int:
    """Return a class, but for the first call of a process, which raises."""
    if os.getpid() not in shy:
        shy.add(os.getpid())
        msg = "not yet"
        raise ValueError(msg)
    return number % 3


shy: set[int] = set()


def predicted(number: int) -> dict[str, int]:
    """Predict, and tell where."""
    return {"class": classify(number), "pid": os.getpid()}


def labelled(number: int) -> dict[str, Any]:
    """Take the truth, and tell where."""
    return {**monitor.label(number, number % 3), "pid": os.getpid()}


def make_flask() -> Flask:
    """Return the service for workers of gunicorn that run threads or nothing beside each other."""
    from flask import Flask  # noqa: PLC0415  (each server imports its own framework only)
    from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: PLC0415

    app = Flask("digits")
    app.get("/predict/<int:number>")(predicted)
    app.get("/truth/<int:number>")(labelled)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": exporter.wsgi_app})  # type: ignore[method-assign]
    warm_up(1)
    return app


def make_shy_flask() -> Flask:
    """Return a service that calls nothing before its first request, whose call raises."""
    from flask import Flask  # noqa: PLC0415  (each server imports its own framework only)
    from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: PLC0415

    app = Flask("digits")

    @app.get("/predict/<int:number>")
    def predict(number: int) -> dict[str, int]:
        with suppress(ValueError):
            classify_shyly(number)
        return {"pid": os.getpid()}

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": exporter.wsgi_app})  # type: ignore[method-assign]
    return app


def make_fastapi() -> FastAPI:
    """Return the service for ASGI servers; predictions run in threads, labels on the loop."""
    from fastapi import FastAPI  # noqa: PLC0415  (each server imports its own framework only)

    app = FastAPI()
    app.get("/predict/{number}")(predicted)

    @app.get("/truth/{number}")
    async def truth(number: int) -> dict[str, Any]:
        return {**await monitor.alabel(number, number % 3), "pid": os.getpid()}

    app.mount("/metrics", exporter.asgi_app)
    warm_up(1)
    return app


def make_starlette() -> Starlette:
    """Return the service for ASGI servers; predictions run on the loop, labels in threads."""
    from starlette.applications import Starlette  # noqa: PLC0415  (each server imports its own framework only)
    from starlette.concurrency import run_in_threadpool  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Mount, Route  # noqa: PLC0415

    async def predict(request: Request) -> JSONResponse:
        return JSONResponse(predicted(int(request.path_params["number"])))

    async def truth(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(labelled, int(request.path_params["number"])))

    app = Starlette(
        routes=[
            Route("/predict/{number:int}", predict),
            Route("/truth/{number:int}", truth),
            Mount("/metrics", exporter.asgi_app),
        ]
    )
    warm_up(1)
    return app
