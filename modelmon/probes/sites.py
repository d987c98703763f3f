"""Sites: what is watched, one for each decoration."""

from __future__ import annotations

from _weakref import ref
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelmon.tasks import Task

Shape = tuple[str, bool, str, str]
"""How a site records: the kinds of its id, whether it has ``output=``, and the kinds of its slice and batch size."""

PLAIN: Final = frozenset({int, float, bool, type(None)})
"""Types whose values are kept as they are; text too, but its length is looked at first."""


def is_plain(value: Any) -> bool:
    """Tell whether a value is of a type in ``PLAIN``, without hashing the type, which may be the user's."""
    kind = type(value)
    return kind is float or kind is int or value is None or kind is bool


class Unreadable:
    """Stand in a record where a value could not be read; why is already among the rejections."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the marker's name."""
        return "UNREADABLE"

    def __reduce__(self) -> str:
        """Pickle by name, so that there is one marker."""
        return "UNREADABLE"


UNREADABLE: Final = Unreadable()


class Site:
    """One watched thing; compared by identity.

    Attributes:
        model: the model's name.
        version: its version.
        task: how its outputs are read, or None.
        id: name of the parameter that holds the id, a function of the bound arguments, ``"auto"``, or None.
        output: function of the returned value, or of a streamed item, that gives the prediction, or None.
        attributes: names of parameters, or a function of the bound arguments that gives a mapping, or None.
        batch_size: name of a parameter, or a function of the bound arguments, or None.
        tokens: function of a streamed item that gives how many items it stands for, or None.
        sync: None or ``"device"``.
        home: what gives seats (``home.seat(site)``); pickled along, so that a copy elsewhere finds its own.
        fields: columns of the seats' buffers.
        seat: where calls that begin now are recorded.
        watcher: weak reference to the wrapper, or None where there is none that could go.
        timers: what times calls on a device, or None where there is none, or none yet.
        untimed: whether timers may still come.
        recipe: how the wrapper was written, to write it again with timers; None where that is not needed.
    """

    __slots__ = (
        "__weakref__",
        "attributes",
        "batch_size",
        "fields",
        "home",
        "id",
        "model",
        "output",
        "recipe",
        "seat",
        "sync",
        "task",
        "timers",
        "tokens",
        "untimed",
        "version",
        "watcher",
    )

    def __init__(
        self,
        model: str,
        version: str = "",
        *,
        task: Task | None = None,
        id: str | Callable[[Mapping[str, Any]], Any] | None = None,  # noqa: A002  (the public name)
        output: Callable[[Any], Any] | None = None,
        attributes: Iterable[str] | Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        batch_size: str | Callable[[Mapping[str, Any]], int] | None = None,
        tokens: Callable[[Any], int] | None = None,
        sync: str | None = None,
        home: Any = None,
    ) -> None:
        """Describe what is watched; a site without a ``home`` gets its seat from whoever made it."""
        self.model = model
        self.version = version
        self.task = task
        self.id = id
        self.output = output
        self.attributes: Any = attributes if attributes is None or callable(attributes) else tuple(attributes)
        self.batch_size = batch_size
        self.tokens = tokens
        self.sync = sync
        self.home = home
        asked = (("id", id), ("slice", attributes), ("size", batch_size))
        self.fields = ("start", "end", "value", *(name for name, wanted in asked if wanted is not None))
        self.watcher: Callable[[], Any] | None = None
        self.timers: Any = _waiting() if sync is not None else None
        self.recipe: Any = None
        self.untimed = sync is None
        self.seat: Any = home.seat(self) if home is not None else None  # a ``Seat``, which is built upon this room

    @property
    def gone(self) -> bool:
        """Whether the wrapper was collected, so that no call can begin here again."""
        return self.watcher is not None and self.watcher() is None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was asked for; the copy takes a seat where it is unpickled."""
        settings = (
            self.task,
            self.id,
            self.output,
            self.attributes,
            self.batch_size,
            self.tokens,
            self.sync,
            self.home,
        )
        watched = None if self.watcher is None else self.watcher()
        # A function that is sent by value sends its site along; here it is known already.
        by_value = watched if type(watched) is FunctionType else None
        return _restored, (self.model, self.version, settings, not self.untimed), by_value

    def __setstate__(self, watched: FunctionType) -> None:
        """Take the function that was sent by value, so that its end is noticed."""
        self.watcher = ref(watched)


def shape_of(site: Site) -> Shape:
    """Return how a site records."""
    ident = "auto" if site.id == "auto" else _kind(site.id)
    return ident, site.output is not None, _kind(site.attributes), _kind(site.batch_size)


def _waiting() -> Any:
    from modelmon.probes.waiting import WAITING  # noqa: PLC0415  (only for those who ask for it)

    return WAITING


def _kind(asked: Any) -> str:
    if asked is None:
        return ""
    return "function" if callable(asked) else "name"


def _restored(model: str, version: str, settings: tuple[Any, ...], timed: bool = False) -> Site:  # noqa: FBT001, FBT002
    task, identify, output, attributes, batch_size, tokens, sync, home = settings
    site = Site(
        model,
        version,
        task=task,
        id=identify,
        output=output,
        attributes=attributes,
        batch_size=batch_size,
        tokens=tokens,
        sync=sync,
        home=home,
    )
    if timed and sync is None:  # the code of a wrapper that was pickled by value calls timers
        from modelmon.probes.waiting import RESTING  # noqa: PLC0415  (only where there were some)

        site.timers = RESTING
    return site
