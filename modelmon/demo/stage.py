"""The stage of the demo: opens the service, lets the traffic run, shows it, and judges at the end."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from random import Random
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from modelmon.demo.post import Post
from modelmon.demo.service import VERSION, open_service
from modelmon.demo.traffic import Traffic
from modelmon.demo.verdict import compare
from modelmon.demo.view import MODELS, frame, line, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.monitoring import Monitor
    from modelmon.snapshot import Snapshot

SENDING = 0.75  # share of the show with traffic; the rest belongs to the last labels
TICK_S, FRAME_S, LINE_S = 0.02, 0.125, 1.0


def play(*, seconds: float = 12.0, port: int | None = None, seed: int = 5, console: Console | None = None) -> int:
    """Run the demo for about ``seconds``; return 0 if every number of ours agrees with scikit-learn's, else 1.

    With ``port`` it serves Prometheus on that port of 127.0.0.1, and stays up until interrupted.

    Raises:
        OSError: when the port is taken.
    """
    console = console or Console()
    console.print("Training two scikit-learn models on bundled data ...", style="grey50")
    service = open_service()
    if port is not None:
        port = _serve(service.monitor, port)
    post = Post(Random(seed), seconds * SENDING, seconds)  # noqa: S311 - a show, not a secret
    traffic = Traffic(service, post, Random(seed + 1))  # noqa: S311
    show = _Show(console)
    _run(traffic, seconds=seconds, show=show)
    snapshot = service.monitor.snapshot()
    lines = compare(snapshot, traffic, post)
    console.print(verdict(lines))
    agreed = all(entry.agrees for entry in lines)
    rows = sum(snapshot[name, VERSION].labelled for name in MODELS)
    console.print(
        f"All {len(lines)} numbers agree: quality with scikit-learn on the same {rows:,} joined rows, "
        "the rest with a count kept apart."
        if agreed
        else "Some numbers disagree with scikit-learn's: this is a defect, please report it.",
        style="bold green" if agreed else "bold red",
    )
    if port is not None:
        _stay(console, port)
    service.monitor.close(timeout=5)
    return 0 if agreed else 1


def _run(traffic: Traffic, *, seconds: float, show: _Show) -> None:
    """Send, deliver and draw until the time is over and the last label is delivered."""
    monitor, post = traffic.service.monitor, traffic.post
    with show:
        started = before = time.perf_counter()
        while True:
            now = time.perf_counter()
            at = now - started
            if at < post.traffic_s:
                traffic.send(at, now - before)
            before = now
            post.deliver(monitor, min(at, seconds))
            done = at >= seconds
            show.draw(monitor.snapshot, at, last=done)
            if done:
                return
            time.sleep(TICK_S)


class _Show:
    """Draw frames on a terminal, or a line a second elsewhere."""

    def __init__(self, console: Console) -> None:
        """Draw on this console."""
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._pace: dict[str, deque[float]] = {name: deque(maxlen=60) for name in MODELS}
        self._seen = dict.fromkeys(MODELS, 0)
        self._due = 0.0
        self._drawn = 0.0

    def __enter__(self) -> None:
        """Begin."""
        if self._live:
            self._live.start()

    def __exit__(self, *ending: object) -> None:
        """Leave the last frame standing."""
        if self._live:
            self._live.stop()

    def draw(self, look: Callable[[], Snapshot], at: float, *, last: bool) -> None:
        """Draw what there is to see ``at`` this second, unless the last drawing is fresh."""
        if at < self._due and not last:
            return
        self._due = at + (FRAME_S if self._live else LINE_S)
        snapshot = look()
        if self._live is None:
            self._console.print(line(snapshot, at), highlight=False, soft_wrap=True)
            return
        self._note_pace(snapshot, at)
        headline = f"Labels arrive late, out of order, twice, corrected, or never.   {at:4.1f} s"
        self._live.update(
            frame(snapshot, self._pace, headline=headline, size=self._console.size),
            refresh=True,
        )

    def _note_pace(self, snapshot: Snapshot, at: float) -> None:
        elapsed, self._drawn = at - self._drawn, at
        for name in MODELS:
            calls = snapshot[name, VERSION].calls
            if elapsed > 0:
                self._pace[name].append((calls - self._seen[name]) / elapsed)
            self._seen[name] = calls


def _serve(monitor: Monitor, port: int) -> int:
    """Serve Prometheus and return the port; raise ``OSError`` where it is taken."""
    from modelmon.exporters.prometheus import PrometheusExporter  # noqa: PLC0415 - only where it is asked for

    bound = monitor.add(PrometheusExporter(port=port)).port
    if bound is None:
        msg = f"port {port} is taken; choose another by --port"
        raise OSError(msg)
    return bound


def _stay(console: Console, port: int) -> None:
    console.print(f"\nStill serving http://127.0.0.1:{port}/metrics - press Ctrl-C to end.", highlight=False)
    with suppress(KeyboardInterrupt):
        Event().wait()
