"""The application's own MeterProvider, by the API alone: one snapshot for each collection, shown by observation.

Rules:

1. No global provider is ever set, and none is needed: without one nothing is asked for, and nothing is computed.
2. Whoever collects pays; a monitored call never meets an instrument.
3. All numbers of a collection are of one snapshot.
4. Nothing raises into a collection; what fails is counted and said once, and that collection shows nothing of ours.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from modelmon.errors import ConfigurationError
from modelmon.exporters.opentelemetry.pages import Board
from modelmon.points.windows import window_of

try:
    from opentelemetry import metrics
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "opentelemetry":
        raise
    message = "the OpenTelemetry exporter needs opentelemetry-api: pip install opentelemetry-api"
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.readers import Source

NAME = "opentelemetry"


class OpenTelemetryExporter:
    """Show a monitor's points to the application's own pipeline of OpenTelemetry.

    It works with any implementation of the API, before or after the application has set its provider.
    """

    def __init__(
        self,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        windows: Sequence[str] = (),
        histograms: bool = False,
    ) -> None:
        """Prepare; no instrument is made before the exporter is added to a monitor.

        Args:
            meter_provider: whose instruments to use; None for the global one, whenever it is set.
            windows: such as ``"1h"`` or ``"1d:mature"``; quality and coverage are shown for each beside the total.
            histograms: record what was measured in histograms of the SDK, at each collection, each value within 0.5 %;
                that costs the collecting thread several microseconds for each call. ``PreAggregated`` gives them for
                nothing.

        Raises:
            ConfigurationError: when a window is no span of time, or the provider is none.
        """
        if meter_provider is not None and not callable(getattr(meter_provider, "get_meter", None)):
            msg = f"meter_provider={meter_provider!r} is no MeterProvider; leave it out for the global one"
            raise ConfigurationError(msg)
        self.windows = checked_windows(windows)
        self.histograms = histograms
        self._provider = meter_provider
        self._boards: list[Board] = []
        self.source: Source | None = None

    def __repr__(self) -> str:
        """Show whose instruments it uses."""
        whose = "the global provider" if self._provider is None else type(self._provider).__name__
        return f"<OpenTelemetryExporter {whose}>"

    def attach(self, source: Source) -> None:
        """Show what ``source`` knows from now on, to whoever collects."""
        self.source = source
        source.succeeded(NAME)
        self._register()

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  (nothing is waited for: the application collects)
        """Follow the application where it has another global provider by now; it alone decides when to collect."""
        if self.source is not None:
            self._register()
        return True

    def close(self, timeout: float) -> None:  # noqa: ARG002  (nothing is waited for: the application collects)
        """Show nothing any more; closing twice does nothing."""
        for board in self._boards:
            board.leave(self)
        self._boards.clear()
        self.source = None

    def fail(self, reason: str) -> None:
        """Count a collection that failed."""
        if self.source is not None:
            self.source.count_failure(NAME, reason)

    def _register(self) -> None:
        try:
            board = board_of(metrics.get_meter_provider() if self._provider is None else self._provider)
            board.join(self)
        except Exception as error:  # another implementation of the API may raise whatever it likes
            self.fail(type(error).__name__)
            return
        if board not in self._boards:
            for old in self._boards:
                old.leave(self)
            self._boards = [board]


def checked_windows(windows: Sequence[str]) -> tuple[str, ...]:
    """Return spans of time.

    Raises:
        ConfigurationError: when it is one text, or one of them is no span.
    """
    if isinstance(windows, str):
        msg = f"windows={windows!r} is one text: give a tuple, ({windows!r},)"
        raise ConfigurationError(msg)
    for window in windows:
        window_of(window)
    return tuple(windows)


def board_of(provider: Any) -> Board:
    """Return the board of a provider; what was made on its stand-in, before it was set, is the same one."""
    board = _boards.get(provider)
    if board is None:
        board = next((held for held in _boards.values() if held.serves(provider)), None) or Board(provider)
        _boards[provider] = board
    return board


# One board per provider, which outlives a reload of this module: instruments can be made only once.
_boards: weakref.WeakKeyDictionary[Any, Board] = globals().get("_boards") or weakref.WeakKeyDictionary()
