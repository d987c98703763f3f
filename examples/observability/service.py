"""A small service under load, for the dashboards: two versions of a model, a classifier, a stream; labels come late.

Run by ``run.py`` and by ``compose.yml``; ends after ``--seconds``, or at Ctrl-C.
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

from modelmon import Binary, Multiclass, monitor
from modelmon.exporters.prometheus import PrometheusExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = Binary(positive="fraud", negative="ok")
KINDS = ("ham", "spam", "invoice")
NEVER, BROKEN, FRAUD, BETTER, WRONG = 0.12, 0.01, 0.2, 0.4, 0.1  # shares
rng = Random(7)  # noqa: S311 - a show, not a secret


def score(order: str, amount: float) -> float:
    """Return how likely an order is fraud."""
    time.sleep(rng.lognormvariate(-6.2, 0.5))
    if rng.random() < BROKEN:
        message = "the database did not answer"
        raise TimeoutError(message)
    return 1 / (1 + math.exp(-amount))


champion = monitor(model="fraud", version="2026.09", task=TASK, id="order")(score)
challenger = monitor(model="fraud", version="2026.10", task=TASK, id="order")(score)


@monitor(model="letters", version="3", task=Multiclass(classes=KINDS), id="ids")
def sort_letters(ids: list[str], said: list[str]) -> list[str]:
    """Return the kinds of letters."""
    time.sleep(0.001 * len(ids))
    return said


@monitor(model="chat", version="8b")
def answer(tokens: int) -> Iterator[int]:
    """Yield an answer, token by token."""
    for token in range(tokens):
        time.sleep(0.002)
        yield token


class Post:
    """Deliver labels when they are due: after ten seconds or so, one in eight never."""

    def __init__(self) -> None:
        """Begin with nothing to deliver."""
        self.due: list[tuple[float, str, str]] = []

    def plan(self, id_: str, truth: str) -> None:
        """Plan a delivery."""
        if rng.random() >= NEVER:
            heapq.heappush(self.due, (time.monotonic() + rng.lognormvariate(2.3, 0.8), id_, truth))

    def deliver(self) -> None:
        """Deliver what is due."""
        ready: dict[str, Any] = {}
        while self.due and self.due[0][0] <= time.monotonic():
            _, id_, truth = heapq.heappop(self.due)
            ready[id_] = truth
        if ready:
            monitor.labels(list(ready), list(ready.values()))


def serve_one(number: int, post: Post) -> None:
    """Send one request to some of the models."""
    truth = "fraud" if rng.random() < FRAUD else "ok"
    side = 1 if truth == "fraud" else -1
    better = rng.random() < BETTER
    order = f"order-{number}"
    try:
        (challenger if better else champion)(order, rng.gauss(side * (2.4 if better else 1.8), 1.3))
        post.plan(order, truth)
    except TimeoutError:
        pass
    if number % 4 == 0:
        ids = [f"letter-{number}-{place}" for place in range(rng.randrange(1, 5))]
        kinds = [rng.choice(KINDS) for _ in ids]
        sort_letters(ids, [kind if rng.random() >= WRONG else rng.choice(KINDS) for kind in kinds])
        for id_, kind in zip(ids, kinds, strict=True):
            post.plan(id_, kind)
    if number % 10 == 0:
        for _ in answer(rng.randrange(5, 20)):
            pass


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen; others than this machine's are open to all"
    )
    parser.add_argument("--port", type=int, default=9464)
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long (default: until Ctrl-C)")
    chosen = parser.parse_args()
    monitor.add(
        PrometheusExporter(port=chosen.port, host=chosen.host, windows=("1h",), insecure=chosen.host != "127.0.0.1")
    )
    post, number, end = Post(), 0, time.monotonic() + chosen.seconds
    while time.monotonic() < end:
        number += 1
        serve_one(number, post)
        post.deliver()
        time.sleep(0.03 * (1.2 + math.sin(time.monotonic() / 60)))
    monitor.close(timeout=5)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
