"""The source: a monitor as its readers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.events import Mistake
    from modelmon.recorder import Recorder
    from modelmon.settings import Settings
    from modelmon.snapshot import Snapshot
    from modelmon.spending import Section, Share


class Read(Protocol):
    """What is read of a monitor, which stands above its source."""

    @property
    def home(self) -> Recorder:
        """The recorder that exporters read."""
        ...

    @property
    def settings(self) -> Settings:
        """What ``configure`` was given."""
        ...


class Witnesses:
    """Tell several readers of each prediction that a label shows to be wrong."""

    __slots__ = ("each",)

    def __init__(self, each: tuple[Callable[[Mistake], object], ...]) -> None:
        """Tell each of these."""
        self.each = each

    def __call__(self, mistake: Mistake) -> None:
        """Tell them all."""
        for witness in self.each:
            witness(mistake)


class Source:
    """What readers read: the monitor's own recorder, also while a test captures the monitor."""

    __slots__ = ("_monitor",)

    def __init__(self, monitor: Read) -> None:
        """Read this monitor."""
        self._monitor = monitor

    def __eq__(self, other: object) -> bool:
        """Tell whether the other reads the same monitor."""
        return isinstance(other, Source) and self._monitor is other._monitor

    def __hash__(self) -> int:
        """Return the hash of the monitor."""
        return hash(self._monitor)

    @property
    def strict(self) -> bool:
        """Whether trouble raises where it would otherwise be counted."""
        return self._monitor.settings.strict

    def snapshot(self) -> Snapshot:
        """Return all that is known now, frozen."""
        from modelmon.snapshot import Snapshot  # noqa: PLC0415  (numpy loads at the first read)

        return Snapshot(self._monitor.home.parts(shown=True))

    def scraped(self) -> Snapshot:
        """Return all that is known now, frozen; with a directory, all that its machine knows."""
        from modelmon.snapshot import Snapshot  # noqa: PLC0415  (numpy loads at the first read)

        return Snapshot(self._monitor.home.scraped())

    def count_failure(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        self._monitor.home.fail_export(exporter, reason)

    def count(self, name: str, what: str) -> None:
        """Count a trouble of the library's own, such as a thread that was started again."""
        self._monitor.home.count(name, what)

    def succeeded(self, exporter: str) -> None:
        """Note that an exporter did its work, or begins to."""
        self._monitor.home.succeeded(exporter)

    def watch_mistakes(self, witness: Callable[[Mistake], object]) -> None:
        """Have a reader told of each prediction that a label shows to be wrong, beside others that are told."""
        self._monitor.home.witness = Witnesses((*self._others(witness), witness))

    def leave_mistakes(self, witness: Callable[[Mistake], object]) -> None:
        """Have a reader told no more of what labels show to be wrong; others still are."""
        left = self._others(witness)
        self._monitor.home.witness = Witnesses(left) if left else None

    def _others(self, witness: Callable[[Mistake], object]) -> tuple[Callable[[Mistake], object], ...]:
        told = self._monitor.home.witness
        return tuple(one for one in told.each if one != witness) if isinstance(told, Witnesses) else ()

    def section(self, part: Share) -> Section:
        """Return a context within which this thread's CPU time is the library's own."""
        return self._monitor.home.section(part)

    def rouse(self) -> None:
        """Have readers attached again at the next call: a thread of theirs ended that should not have."""
        self._monitor.home.rouse()
