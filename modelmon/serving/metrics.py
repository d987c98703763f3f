"""``GET /metrics``: what the store and the machine know, and what came in here, in the Prometheus text format."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from modelmon.directory.machine import machine_of
from modelmon.exporters.exposition import Exposition
from modelmon.leasing import SERVING_S
from modelmon.parts import Part
from modelmon.points.reading import points
from modelmon.points.windows import window_of
from modelmon.snapshot import Snapshot
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelmon.client import LabelClient
    from modelmon.exporters.exposition import Format

    Counted = Mapping[str, Mapping[Any, int]]


_FOLD_S: Final = 10.0
_AT_ONCE: Final = 256


class StoreMetrics:
    """Render the points of a store, and of the processes that share a directory.

    Of several that serve one store, one at a time shows what it holds.
    """

    def __init__(self, client: LabelClient, directory: str | None = None, windows: Sequence[str] = ()) -> None:
        """Prepare.

        Args:
            client: of the store.
            directory: of the machine whose processes are shown too, or None.
            windows: windows such as ``"1d:mature"``; quality and coverage are shown for each beside the total.

        Raises:
            ConfigurationError: when a window cannot be read.
        """
        for window in windows:
            window_of(window)
        self._windows = tuple(windows)
        self._machine = None if directory is None else machine_of(directory)
        self._fold_at = 0.0
        self._passed_over: Counter[str] = Counter()
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
            shows = self._machine is not None or self._client.serves(self._origin, SERVING_S)
            stored = self._client.snapshot() if shows else Snapshot()
            others = self._others()
            for reason, n in self._passed_over.items():
                tally.counts("exporter_failures").add(("directory", reason), n)
            here = Part(self._origin, next(self._epochs), "process", time.time(), 3600.0, counts=tally)
            whole = stored.merge(Snapshot((here, *others)))
            return self._exposition.render(points(whole, windows=self._windows), wanted)

    def _others(self) -> tuple[Part, ...]:
        """Return what the processes of the machine published; now and then add up those that ended."""
        if self._machine is None:
            return ()
        if time.monotonic() >= self._fold_at:
            self._fold_at = time.monotonic() + _FOLD_S
            with suppress(OSError):  # a full disk; some worker says so
                self._machine.fold(time.time(), None, _AT_ONCE, anew=True)
        parts = self._machine.parts()
        self._passed_over.update(self._machine.passed_over())
        return parts
