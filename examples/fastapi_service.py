"""A web service: predictions and labels come over HTTP, Prometheus scrapes /metrics of the same application.

Run it with ``uvicorn fastapi_service:app``; as a program it sends itself two requests and a scrape.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI

from modelmon import Binary, monitor
from modelmon.exporters.prometheus import PrometheusExporter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Write what is left when the server stops: uvicorn ends by SIGTERM itself, so nothing else runs at its end."""
    yield
    monitor.close(timeout=2)


app = FastAPI(lifespan=lifespan)
exporter = monitor.add(PrometheusExporter(port=None))
app.mount("/metrics", exporter.asgi_app)


@monitor(model="fraud", version="2026.10", task=Binary(positive="fraud", negative="ok"), id="order_id")
def score(order_id: str, amount: float) -> float:
    """Return how likely an order is a fraud."""
    return min(1.0, amount / 1000)


@app.post("/orders/{order_id}")
async def order(order_id: str, amount: float) -> dict[str, float]:
    """Score an order."""
    return {"score": score(order_id, amount)}


@app.post("/orders/{order_id}/truth")
async def truth(order_id: str, label: str) -> dict[str, int]:
    """Take the truth about an order, whenever it comes and however often."""
    return dict(await monitor.alabel(order_id, label))


async def main() -> None:
    """Send the application an order, the truth about it, and a scrape, without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        print((await client.post("/orders/17?amount=950")).json())
        print((await client.post("/orders/17/truth?label=fraud")).json())
        page = (await client.get("/metrics/")).raise_for_status()
    print("\n".join(line for line in page.text.splitlines() if line.startswith("modelmon_confusion_total")))


if __name__ == "__main__":
    asyncio.run(main())
