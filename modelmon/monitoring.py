"""The monitor: what users hold; it declares what is watched, takes labels, answers with snapshots and feeds readers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from modelmon.errors import BusyError, ConfigurationError
from modelmon.exiting import close_all, flushes, together
from modelmon.faults import is_signalled
from modelmon.forking import load, renew_in_child
from modelmon.labelling import Labelling, assumption_of
from modelmon.notices import warn
from modelmon.probes.live import resolve
from modelmon.recorder import Recorder
from modelmon.sampling.rates import rate
from modelmon.settings import Settings, full_path, setting_names
from modelmon.sources import Source
from modelmon.watching import Watching, disabled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from typing_extensions import Unpack

    from modelmon.probes.seats import Site
    from modelmon.readers import Reader
    from modelmon.settings import Options
    from modelmon.stores.contract import Store
    from modelmon.tasks import Task

R = TypeVar("R", bound="Reader")
STORE_VARIABLE: Final = "MODELMON_STORE"
"""The store of the default monitor, where the program chooses none."""
DIRECTORY_VARIABLE: Final = "MODELMON_DIRECTORY"
"""The directory of the default monitor, where the program chooses none."""
EXPORTERS_VARIABLE: Final = "MODELMON_EXPORTERS"
"""Exporters that are added to the default monitor, beside those of the program."""


class Monitor(Watching, Labelling):
    """Watch models: count and time their calls, and join their predictions with labels that arrive later.

    ``modelmon.monitor`` is the one most programs use; others are private.
    A forked child begins anew, from zero.
    One with a durable store or exporters keeps their threads and connections until it is closed.

    Attributes:
        settings: what ``configure`` was given.
        home: the recorder that exporters read, also while a test captures the monitor.
    """

    __slots__ = (
        "__weakref__",
        "_assumptions",
        "_contexts",
        "_readers",
        "_recorder",
        "_tasks",
        "_wires",
        "home",
        "settings",
    )

    def __init__(self, **settings: Unpack[Options]) -> None:
        """Take the settings of ``configure``.

        Raises:
            ConfigurationError: when a setting is unknown or cannot work.
        """
        self._contexts: dict[tuple[Any, ...], Site] = {}
        self._tasks: dict[tuple[str, str], Task | None] = {}
        self._readers: list[Any] = []
        self._assumptions: dict[tuple[str, str | None], Any] = {}
        self._wires: list[Any] | None = None
        self.settings = changed(Settings(), settings)
        self._recorder = self.home = Recorder(self.settings, self._make_store, self._place)
        self.home.wake, self.home.starter = self._wake, self._begin_again
        renew_in_child(self)

    def configure(self, **settings: Unpack[Options]) -> None:
        """Set this monitor up, before anything is recorded; settings left out stay as they are.

        Args:
            settings: ``store=None | "memory" | a URL | a path | a store``, ``directory=None``, ``clock=None``,
                ``ttl="30d"``, ``early_ttl="1d"``, ``correction_horizon="30d"``, ``forget_after="7d"``, ``window="1h"``,
                ``history="90d"``, ``max_awaiting=1_000_000``, ``max_awaiting_bytes=None``, ``sample_rate=1.0``,
                ``on_conflict="first"``, ``flush_interval=0.5``, ``receipt_key=None``, ``strict=False``.
                Spans of time are seconds, or text such as ``"90s"`` or ``"30d"``.

        Raises:
            ConfigurationError: when a setting is unknown or cannot work, or something was recorded already.
        """
        wanted = changed(self.settings, settings)
        if self._recorder is not self.home:
            msg = "configure() inside capture() would outlive it; use capture(monitor=Monitor(...)) instead"
            raise ConfigurationError(msg)
        if self._recorder.used:
            msg = "configure() comes before the first recorded call or label; make a Monitor(...) of your own instead"
            raise ConfigurationError(msg)
        self.settings = wanted
        witness = self.home.witness
        self.install(Recorder(wanted, self._make_store, self._place))
        self.home = self._recorder
        self.home.witness = witness
        self.home.starter = self._begin_again
        self.home.arm(self._wake)

    def add(self, reader: R) -> R:
        """Attach an exporter, or any other reader, and return it; adding one twice does nothing.

        Raises:
            ConfigurationError: when this is no reader.
        """
        if not callable(getattr(reader, "attach", None)) or not callable(getattr(reader, "close", None)):
            msg = f"{reader!r} is no reader: give an exporter, or every(seconds, function)"
            raise ConfigurationError(msg)
        if not disabled() and not any(known is reader for known in self._readers):
            reader.attach(Source(self))
            self._readers.append(reader)
        return reader

    def flush(self, timeout: float = 5) -> bool:
        """Count everything recorded so far, write it to the store and have every push exporter export now.

        Args:
            timeout: seconds, for the store and all exporters together.

        Returns:
            Whether all of that ended in time.
        """
        if disabled():
            return True
        recorder = self._recorder
        begun = recorder.monotonic()
        resolve()
        recorder.hold(lambda _: None)
        if self._recorder is not self.home:
            return True
        return together(timeout - (recorder.monotonic() - begun), recorder.begin(), flushes(self._readers))

    def close(self, timeout: float = 5) -> None:
        """Export a last time, stop every reader and write the store; calls and labels are still counted afterwards.

        Args:
            timeout: seconds, for the store and all readers together.
        """
        end = self._recorder.monotonic() + timeout
        readers, self._readers = self._readers, []
        sampling = sys.modules.get("modelmon.sampling.running")
        if sampling is not None:
            sampling.leave(self.home, timeout)
        close_all(readers, timeout)
        ours = isinstance(self._chosen(), (str, os.PathLike))
        try:
            self.home.finish(max(0.0, end - self._recorder.monotonic()), let_go=ours)
        except BusyError as error:  # a signal handler, and the program will end
            warn("close:busy", f"monitor.close() left to the end of the program what was not written yet: {error}")
        self.home.arm(self._wake)

    def install(self, recorder: Recorder) -> Recorder:
        """Record into another recorder from now on and return the one before; capturing and forking do this."""
        previous, self._recorder = self._recorder, recorder
        seats = {id(seat.site): seat for seat in recorder.seats}
        for seat in list(previous.seats):
            site = seat.site
            if not site.gone:
                site.seat = seats.get(id(site)) or recorder.seat(site)
        return previous

    def assume_label(
        self, truth: Any, *, after: float | str | timedelta, model: str, version: str | None = None
    ) -> None:
        """Assume a label where none comes in time; see ``Labelling.assume_label``, whose words hold here too."""
        super().assume_label(truth, after=after, model=model, version=version)
        if not disabled():
            self._assumptions[model, version] = assumption_of(truth, after)

    def memory_store(self) -> Store:
        """Return a new memory store that assumes what was told so far."""
        from modelmon.stores.memory import MemoryStore  # noqa: PLC0415  (numpy loads at the first drain)

        store = MemoryStore()
        for (model, version), assumption in self._assumptions.items():
            store.assume(model, version, assumption)
        return store

    def renew(self) -> None:
        """Begin anew in a forked child: nothing counted, no lock held, readers attached at the first call."""
        recorder = Recorder(self.settings, self._make_store, self._place)
        self.install(recorder)
        self.home = recorder
        recorder.starter = self._begin_again
        recorder.rouse()

    def __reduce__(self) -> Any:
        """Pickle the default monitor by name, a private one by its settings; what was counted stays here."""
        if self is globals().get("monitor"):
            return "monitor"
        given = {name: getattr(self.settings, name) for name in setting_names() if name != "receipt_key"}  # no secrets
        return _rebuilt, (given,)

    def __copy__(self) -> Monitor:
        """Return this monitor: a copy would count the same calls twice."""
        return self

    def __deepcopy__(self, _memo: Any) -> Monitor:
        """Return this monitor: a copy would count the same calls twice."""
        return self

    def _begin_again(self) -> None:
        for reader in list(self._readers):
            try:
                reader.attach(Source(self))
            except Exception as error:  # noqa: PERF203  (one reader shall not hold up the others, or the store)
                if self.settings.strict or is_signalled(error):
                    raise
                name, kind = type(reader).__name__, type(error).__name__
                self.home.fail_export(name, kind)
                warn(f"attach:{name}", f"attaching {name} again failed with {kind}; the others go on")
        self._wake()

    def _site(self, model: str, options: dict[str, Any]) -> Site:
        """Return a site; with the first one, make the exporters that the environment names."""
        if self._wires is None and self is globals().get("monitor"):
            self._wires = []
            if os.environ.get(EXPORTERS_VARIABLE):
                self._wires = load("modelmon.wiring").make_all()
        return super()._site(model, options)

    def _wake(self) -> None:
        """Add exporters that wait for it; start what writes to directory and store, and what reads devices."""
        while self._wires:
            load("modelmon.wiring").connect(self, self._wires[0])
            del self._wires[0]
        publication = self.home.publication
        if publication is not None:
            publication.start()
        chosen = self._chosen()
        if chosen is not None and (isinstance(chosen, (str, os.PathLike)) or getattr(chosen, "blocking", False)):
            load("modelmon.stores.addresses").load_ahead(chosen)
            self.home.delivery.start()
        hertz = rate(self.settings.gpu)
        if hertz:
            load("modelmon.sampling.running").follow(self.home, hertz, self._place())

    def _chosen(self) -> Any:
        """Return a store, a URL or a path; None for the memory store."""
        chosen = self.settings.store
        if chosen is None and self is globals().get("monitor"):
            chosen = os.environ.get(STORE_VARIABLE)
        place = self._place() if chosen in ("", None) else None
        if place is not None:
            return load("modelmon.directory.place").Place(place).store
        return None if chosen in ("", "memory") else chosen

    def _place(self) -> str | None:
        """Return the directory of the machine, if there is one."""
        chosen = self.settings.directory
        if chosen is None and self is globals().get("monitor"):
            given = os.environ.get(DIRECTORY_VARIABLE)
            chosen = full_path(given) if given else None
        return chosen

    def _make_store(self) -> Store:
        chosen = self._chosen()
        if chosen is None:
            return self.memory_store()
        store: Store = load("modelmon.stores.addresses").open_store(chosen)
        return store


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with some replaced.

    Raises:
        ConfigurationError: when one is unknown or cannot work.
    """
    unknown = [name for name in changes if name not in setting_names()]
    if unknown:
        msg = f"unknown setting {', '.join(map(repr, unknown))}; there are {', '.join(setting_names())}"
        raise ConfigurationError(msg)
    store = changes.get("store")
    if isinstance(store, (str, os.PathLike)):
        load("modelmon.stores.addresses").make_store(store)  # so that nothing is left to load when the program ends
    elif store is not None and not callable(getattr(store, "predict", None)):
        msg = f'store={store!r} is no store: give "memory" (the default), a URL, a path or a store'
        raise ConfigurationError(msg)
    if changes.get("directory") is not None:
        changes = {**changes, "directory": load("modelmon.directory.place").checked(changes["directory"])}
    return settings.changed(**changes)


def _rebuilt(given: dict[str, Any]) -> Monitor:
    return Monitor(**given)


monitor = Monitor()
