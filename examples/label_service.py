"""A FastAPI service that predicts, and takes the truth by POST /labels/v1/labels behind a token per source.

Run it with ``uvicorn label_service:app``; as a program it sends itself a prediction, its truth, and a stranger's.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI

from modelmon import Binary, monitor
from modelmon.serving import label_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKENS = {
    "shop": os.environ.get("SHOP_TOKEN", "an example of a token"),
    "reviewers": os.environ.get("REVIEW_TOKEN", "another example of one"),
}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Write what is left when the server stops: uvicorn ends by SIGTERM itself, so nothing else runs at its end."""
    yield
    monitor.close(timeout=2)


app = FastAPI(lifespan=lifespan)
app.mount("/labels", label_app(monitor, token=TOKENS))


@monitor(model="fraud", version="2026.10", task=Binary(positive="fraud", negative="ok"), id="order_id")
def score(order_id: str, amount: float) -> float:
    """Return how likely an order is a fraud."""
    return min(1.0, amount / 1000)


@app.post("/orders/{order_id}")
async def order(order_id: str, amount: float) -> dict[str, float]:
    """Score an order."""
    return {"score": score(order_id, amount)}


async def main() -> None:
    """Send the application an order and the truth about it, without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        print((await client.post("/orders/17?amount=950")).json())
        labels = [{"id": "17", "label": "fraud"}, {"id": "18", "label": "ok"}, {"id": "17", "label": "frod"}]
        shown = {"Authorization": f"Bearer {TOKENS['shop']}"}
        print((await client.post("/labels/v1/labels", json={"labels": labels}, headers=shown)).json())
        print((await client.post("/labels/v1/labels", json={"labels": labels})).json())
    print(monitor.snapshot()["fraud"].confusion.matrix)


if __name__ == "__main__":
    asyncio.run(main())
