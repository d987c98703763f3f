"""A consumer of a queue of labels that acknowledges a message after its labels are committed, and not before.

The queue here is a list in memory that gives out again what nobody acknowledged, as Kafka, SQS and Redis streams do.
The consumer is stopped twice between the commit and the acknowledgement; every label counts once all the same.
With Kafka the loop is::

    consumer = confluent_kafka.Consumer({"group.id": "labels", "enable.auto.commit": False, ...})
    while messages := consumer.consume(1000, timeout=1.0):
        items = [json.loads(message.value()) for message in messages]
        client.labels([item["id"] for item in items], [item["label"] for item in items])  # raises: nothing is committed
        consumer.commit(asynchronous=False)
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from pathlib import Path

from modelmon import Binary, LabelClient, Monitor


class Queue:
    """Give out messages, and again those that were not acknowledged."""

    def __init__(self, messages: list[str]) -> None:
        """Hold these messages."""
        self._waiting = deque(messages)
        self._out: list[str] = []

    def take(self, most: int) -> list[str]:
        """Return up to ``most`` messages; what was taken before and not acknowledged comes first."""
        self._waiting.extendleft(reversed(self._out))
        self._out = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        return self._out

    def acknowledge(self) -> None:
        """Forget what was taken last."""
        self._out = []


def predict(store: Path) -> None:
    """Predict in one process; the next one could be weeks later and on another machine."""
    monitor = Monitor(store=store)
    ids = [f"order-{number}" for number in range(1_000)]
    scores = [number / 1_000 for number in range(1_000)]
    monitor.predictions(ids, scores, model="fraud", version="7", task=Binary(positive="fraud", negative="ok"))
    monitor.close()


def consume(queue: Queue, client: LabelClient, *, stop_after: int | None = None) -> None:
    """Deliver messages until there are none; ``stop_after`` so many batches, before the acknowledgement."""
    batches = 0
    while messages := queue.take(100):
        items = [json.loads(message) for message in messages]
        report = client.labels([item["id"] for item in items], [item["label"] for item in items])
        print(report)
        batches += 1
        if batches == stop_after:
            return  # as if the process had been killed here: the batch will come again
        queue.acknowledge()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.db"
        predict(path)
        truths = ("fraud" if 7919 * number % 1_000 < number else "ok" for number in range(1_000))
        orders = Queue([json.dumps({"id": f"order-{n}", "label": truth}) for n, truth in enumerate(truths)])
        for attempt in (3, 4, None):
            with LabelClient(path, "fraud") as labels:
                consume(orders, labels, stop_after=attempt)
                fraud = labels.snapshot()["fraud"]
        print(fraud)
        print(f"{fraud.labelled} labels counted, {fraud.label_events['duplicate']} of them delivered twice")
