"""Wiring: exporters that the environment names, added to the default monitor without a line of code.

Rules:

1. ``MODELMON_EXPORTERS`` is read when the first function is watched: that is where modules are loaded and exporters
   made, so that no call of the user waits for it.
2. They are added at the first call or recorded prediction, in the process that made it: a server that loads its
   application before it forks has them in its workers.
3. Whatever a factory or an exporter raises is counted, said once, and costs the others nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from modelmon.errors import ConfigurationError, ModelmonError
from modelmon.faults import is_signalled
from modelmon.forking import load
from modelmon.notices import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.recorder import Recorder

VARIABLE: Final = "MODELMON_EXPORTERS"
"""Names of exporters, separated by commas."""
GROUP: Final = "modelmon.exporters"
"""Entry points of other distributions: a name, and a function without arguments that returns a reader."""
OURS: Final = ("log", "opentelemetry", "prometheus", "pushgateway", "tensorboard")
"""Names that stand for exporters of this library; no entry point is looked up for them."""
_BY_VARIABLES: Final = frozenset(OURS) - {"opentelemetry"}
_FACTORIES: Final = "modelmon.exporters.environment"


class Monitored(Protocol):
    """What is wired: a monitor."""

    home: Recorder

    def add(self, reader: Any) -> Any:
        """Attach an exporter."""
        ...


class Wire(NamedTuple):
    """Hold one exporter that the environment names.

    Attributes:
        name: as it is named there.
        reader: the exporter, or None where it could not be made.
        reason: why not, in one word.
        detail: why not, in a sentence.
    """

    name: str
    reader: Any
    reason: str = ""
    detail: str = ""


def wanted() -> list[str]:
    """Return the names in ``MODELMON_EXPORTERS``, each once.

    >>> os.environ[VARIABLE] = "prometheus, log,,Log"
    >>> wanted()
    ['prometheus', 'log']
    >>> del os.environ[VARIABLE]
    """
    names = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return list(dict.fromkeys(name.lower() if name.lower() in OURS else name for name in names if name))


def make_all() -> list[Wire]:
    """Make the exporters that the environment names; none listens, connects or has a thread before it is added."""
    return [_made(name) for name in wanted()]


def connect(monitor: Monitored, wire: Wire) -> None:
    """Add an exporter to a monitor, or say why it could not be made or added."""
    if wire.reader is None:
        _complain(monitor, wire.name, wire.reason, wire.detail)
        return
    try:
        monitor.add(wire.reader)
    except BaseException as error:
        _pass_on(error)
        _complain(monitor, wire.name, type(error).__name__, f"it could not be added: {_told(error)}")


def _made(name: str) -> Wire:
    try:
        factory = _factory(name)
        if factory is None:
            known = ", ".join(OURS)
            return Wire(name, None, "unknown", f"no distribution has an entry point of that name; built in are {known}")
        reader = factory()
    except BaseException as error:
        _pass_on(error)
        told = _told(error)
        if name in _BY_VARIABLES and isinstance(error, ConfigurationError) and "MODELMON_" not in told:
            told += f" (here by variables that begin with MODELMON_{name.upper()}_)"  # it speaks of arguments
        return Wire(name, None, type(error).__name__, f"it could not be made: {told}")
    if reader is None:
        return Wire(name, None, "none", "its factory returned None")
    return Wire(name, reader)


def _factory(name: str) -> Callable[[], Any] | None:
    """Return what makes the exporter of that name, or None."""
    if name in OURS:
        made: Callable[[], Any] = getattr(load(_FACTORIES), name)
        return made
    from importlib.metadata import entry_points  # noqa: PLC0415  (reads the disk, and only for names of others)

    for point in entry_points(group=GROUP, name=name):
        found: Callable[[], Any] = point.load()
        return found
    return None


def _told(error: BaseException) -> str:
    """Return what an exception says, where that is sure to hold no secret of somebody's settings."""
    return f"{error}" if isinstance(error, (ModelmonError, ImportError, OSError)) else type(error).__name__


def _pass_on(error: BaseException) -> None:
    """Raise again what was meant for the program: Ctrl-C, and what its signal handlers raise."""
    if isinstance(error, KeyboardInterrupt) or is_signalled(error):
        raise error


def _complain(monitor: Monitored, name: str, reason: str, detail: str) -> None:
    monitor.home.fail_export(name, reason)
    warn(f"wiring:{name}", f"{VARIABLE} names {name!r}, but {detail}; the others go on")
