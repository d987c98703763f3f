"""How far it is: a bar where somebody looks at a terminal and rich is there, else a line every ten seconds."""

from __future__ import annotations

import math
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY_S: Final = 10.0


class Shown(Protocol):
    """Something that shows progress."""

    def update(self, rows: int, done: float) -> None:
        """Show that so many rows are delivered, and which part of the file that is, 0 to 1 or nan."""
        ...


def printable(text: str) -> str:
    r"""Return a text as a terminal may be given it: what is no visible character is written as its code.

    >>> printable("labels\x1b[2J.csv")
    'labels\\x1b[2J.csv'
    """
    if text.isprintable():
        return text
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in text)


@contextmanager
def progress(name: str, *, quiet: bool) -> Iterator[Shown]:
    """Show progress on standard error while the block runs."""
    made = None if quiet or not sys.stderr.isatty() else _bar(name)
    if made is None:
        yield Lines(name, quiet=quiet)
        return
    with made.display:
        yield made


class Lines:
    """Write a line now and then."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        """Begin to count the time."""
        self._name, self._quiet = name, quiet
        self._begun = self._said = time.monotonic()
        self._first: int | None = None

    def update(self, rows: int, done: float) -> None:
        """Write a line if the last one is long ago."""
        now = time.monotonic()
        self._first = rows if self._first is None else self._first
        if self._quiet or now - self._said < _EVERY_S:
            return
        self._said = now
        part = "" if math.isnan(done) else f" ({done:.0%})"
        rate = (rows - self._first) / (now - self._begun)
        print(f"{self._name}: {rows:,} rows{part}, {rate:,.0f} rows/s", file=sys.stderr, flush=True)  # noqa: T201  (what a command shows)


class _Bar:
    def __init__(self, name: str, display: Any) -> None:
        self.display = display
        self._task = display.add_task(name, total=1.0, rows=0, rate="")
        self._begun = time.monotonic()
        self._first: int | None = None

    def update(self, rows: int, done: float) -> None:
        self._first = rows if self._first is None else self._first
        rate = (rows - self._first) / max(time.monotonic() - self._begun, 1e-9)
        total = None if math.isnan(done) else 1.0
        self.display.update(self._task, completed=done, total=total, rows=rows, rate=f"{rate:,.0f} rows/s")


def _bar(name: str) -> _Bar | None:
    try:
        from rich.console import Console  # noqa: PLC0415  (an extra, and only a terminal needs it)
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    except ImportError:
        return None
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("[dim]{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    return _Bar(name, Progress(*columns, console=Console(stderr=True), transient=True))
