"""``GET /metrics``: what the store knows, and what came in here, in the Prometheus text format."""

from __future__ import annotations

import threading
import time
import uuid
from itertools import count
from typing import TYPE_CHECKING, Any

from modelmon.exporters.exposition import Exposition
from modelmon.parts import Part
from modelmon.points import points
from modelmon.snapshot import Snapshot
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.client import LabelClient
    from modelmon.exporters.exposition import Format

    Counted = Mapping[str, Mapping[Any, int]]


class StoreMetrics:
    """Render the points of a store."""

    def __init__(self, client: LabelClient) -> None:
        """Prepare."""
        self._client = client
        self._exposition = Exposition()
        self._origin = f"serve:{uuid.uuid4().hex}"
        self._epochs = count(1)
        self._lock = threading.Lock()

    def render(self, counted: Counted, wanted: Format) -> bytes:
        """Return the store's points and our own counts as text.

        Args:
            counted: what came in here, by name of the count and key.
            wanted: the text format.

        Raises:
            StoreError: when the store cannot be read.
        """
        tally = Tally()
        for name, values in counted.items():
            for key, n in values.items():
                tally.counts(name).add(key, n)
        with self._lock:
            stored = self._client.snapshot()
            here = Part(self._origin, next(self._epochs), "process", time.time(), 3600.0, counts=tally)
            return self._exposition.render(points(stored.merge(Snapshot((here,)))), wanted)
