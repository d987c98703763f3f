"""What is read from a call after its function returned: hooks of the user's, ids, slices, sizes.

1. A hook that raises is counted as rejected (``"hook"``) and changes nothing else; the call is still recorded.
2. What struck while a hook ran passes: the exceptions of signal handlers, and all that are no ``Exception``, such as
   ``KeyboardInterrupt`` or a timeout of greenlets. ``GeneratorExit`` and cancellations are a hook's own doing: they are
   thrown into generators and coroutines, which a hook is not.
3. No method of a value that the user made is called, but those that `modelmon.copies.keep` knows to be safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.copies import Coded, Deferred, Nullable, Rejection, keep
from modelmon.faults import is_signalled
from modelmon.identity import attribute_text
from modelmon.probes.outcomes import CANCELLED, ending
from modelmon.probes.seats import UNREADABLE
from modelmon.probes.sites import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelmon.probes.seats import Seat, Slice

UNKNOWN_SIZE: Final = -1
INVALID: Final = "__invalid__"
_SLICES_REMEMBERED: Final = 256
_HOOKS: Final = ("id", "output", "attributes", "batch_size", "tokens")
_BLAMED: Final = 5
_ARRAY_LIBRARIES: Final = frozenset({"numpy", "torch", "jax", "jaxlib", "tensorflow", "pandas", "polars", "scipy"})

_module_of: Final = type.__dict__["__module__"].__get__  # past whatever a metaclass of the user's defines


def hooked(seat: Seat, hook: Callable[..., Any], *given: Any) -> Any:
    """Call a hook of the user's; ``UNREADABLE`` where it raised."""
    try:
        return hook(*given)
    except BaseException as error:
        if not _is_own(error) or is_signalled(error):
            raise
        seat.reject("hook")
        _blame(seat, hook, ending(error)[1])
        return UNREADABLE


def _is_own(error: BaseException) -> bool:
    """Tell what a hook may raise by itself, be it through a signal's handler, from what only strikes it."""
    if isinstance(error, (Exception, GeneratorExit)):
        return True
    return ending(error)[0] == CANCELLED and not isinstance(error, (KeyboardInterrupt, SystemExit))


def _blame(seat: Seat, hook: Callable[..., Any], error: str) -> None:
    """Note which hook failed, and the name of what it raised; never what that said, which may be the user's data."""
    given_as = next((name for name in _HOOKS if getattr(seat.site, name) is hook), "")
    if len(seat.blamed) < _BLAMED:
        seat.blamed[given_as, error] = None


def output(seat: Seat, result: Any) -> Any:
    """Read the prediction from a result through ``output=``."""
    value = hooked(seat, seat.site.output, result)  # type: ignore[arg-type]
    return value if is_plain(value) or value is UNREADABLE or _is_kept(type(value)) else seat.keep(value)


def _is_kept(kind: type) -> bool:
    """Tell the types that only a hook of our own returns, having kept the value already."""
    return kind is Coded or kind is Nullable or kind is Deferred or kind is Rejection


def identity(seat: Seat, arguments: Mapping[str, Any]) -> Any:
    """Read the id through a function of the bound arguments."""
    value = hooked(seat, seat.site.id, arguments)  # type: ignore[arg-type]
    return value if is_plain(value) or value is UNREADABLE else seat.keep(value, "bad_id")


def page(seat: Seat, values: tuple[Any, ...]) -> Slice:
    """Return the slice of the named arguments."""
    for value in values:
        if type(value) is not str:  # anything else might run the user's ``__hash__``, and 1 would find True
            return _written(seat, zip(seat.site.attributes, values, strict=True))
    found = seat.slices.get(values)
    if found is None:
        found = _written(seat, zip(seat.site.attributes, values, strict=True))
        if len(seat.slices) < _SLICES_REMEMBERED and sum(map(len, values)) < _SLICES_REMEMBERED:
            seat.slices[values] = found
    return found


def page_of(seat: Seat, arguments: Mapping[str, Any]) -> Slice:
    """Return the slice that a function of the bound arguments gives."""
    given = hooked(seat, seat.site.attributes, arguments)
    return page_from(seat, given)


def page_from(seat: Seat, given: Any) -> Slice:
    """Return the slice that a mapping gives."""
    if given is UNREADABLE or given is None:
        return ()
    pairs = hooked(seat, lambda: [(str(name), value) for name, value in dict(given).items()])
    return () if pairs is UNREADABLE else _written(seat, pairs)


def size(seat: Seat, value: Any) -> int:
    """Return the rows that an argument tells or has; -1 where it does not say."""
    kind = type(value)
    if kind is int:
        return value if value >= 0 else UNKNOWN_SIZE
    if kind is list or kind is tuple or kind is dict or kind is set:
        return len(value)
    if value is UNREADABLE:
        return UNKNOWN_SIZE
    rows = hooked(seat, _rows, value) if _is_of_arrays(kind) else None
    if rows is None:
        seat.reject("batch_size")
    return rows if type(rows) is int and rows >= 0 else UNKNOWN_SIZE


def size_of(seat: Seat, arguments: Mapping[str, Any]) -> int:
    """Return the rows that a function of the bound arguments tells."""
    return size(seat, hooked(seat, seat.site.batch_size, arguments))  # type: ignore[arg-type]


def tokens(seat: Seat, item: Any) -> int:
    """Return how many items a streamed item stands for; 1 where the hook does not say."""
    given = hooked(seat, seat.site.tokens, item)  # type: ignore[arg-type]
    count = _whole(given)
    if count is not None and count >= 0:
        return count
    if given is not UNREADABLE:
        seat.reject("hook")
        _blame(seat, seat.site.tokens, "")  # type: ignore[arg-type]
    return 1


def _rows(value: Any) -> int | None:
    """Return the length of an array, or the whole number that it is."""
    shape = tuple(value.shape)
    return int(shape[0]) if shape else _whole(value)


def _whole(value: Any) -> int | None:
    """Return a whole number of Python's or of an array library's as an int; None for anything else."""
    kind = type(value)
    kept = value if kind is int or not _is_of_arrays(kind) else keep(value)
    return kept if type(kept) is int else None


def _is_of_arrays(kind: type) -> bool:
    return str(_module_of(kind)).partition(".")[0] in _ARRAY_LIBRARIES


def bound(seat: Seat, bind: Callable[..., Any] | None, instance: Any, args: Any, kwargs: Any) -> Any:
    """Return the arguments of a proxied call by name; packed, where the callable does not tell its parameters."""
    return {"args": args, "kwargs": kwargs} if bind is None else hooked(seat, bind, instance, args, kwargs)


def bound_identity(seat: Seat, arguments: Any) -> Any:
    """Read the id of a proxied call."""
    if arguments is UNREADABLE or not isinstance(seat.site.id, str):
        return UNREADABLE if arguments is UNREADABLE else identity(seat, arguments)
    return seat.keep(arguments[seat.site.id], "bad_id")


def bound_page(seat: Seat, arguments: Any) -> Slice:
    """Read the slice of a proxied call."""
    if arguments is UNREADABLE:
        return ()
    if callable(seat.site.attributes):
        return page_of(seat, arguments)
    return page(seat, tuple(arguments[name] for name in seat.site.attributes))


def bound_size(seat: Seat, arguments: Any) -> int:
    """Read the batch size of a proxied call."""
    if arguments is UNREADABLE or not isinstance(seat.site.batch_size, str):
        return UNKNOWN_SIZE if arguments is UNREADABLE else size_of(seat, arguments)
    return size(seat, arguments[seat.site.batch_size])


def failed(  # noqa: PLR0917  (called by generated text)
    seat: Seat,
    start: int,
    error: BaseException,
    bind: Callable[..., Any] | None,
    instance: Any,
    args: Any,
    kwargs: Any,
    slice: Slice = (),  # noqa: A002
) -> None:
    """Record a proxied call that raised; one whose arguments do not bind was no call."""
    trace = error.__traceback__
    if type(error) is TypeError and bind is not None and trace is not None and trace.tb_next is None:
        try:
            bind(instance, args, kwargs)
        except TypeError:
            seat.void()
            return
        except Exception as fault:
            if is_signalled(fault):
                raise
            seat.reject("hook")
    seat.fail(start, error, slice)


def _written(seat: Seat, pairs: Any) -> Slice:
    texts = []
    for name, value in pairs:
        text = hooked(seat, attribute_text, value)
        if text is None:
            seat.reject("attributes")
        texts.append((name, text if type(text) is str else INVALID))
    return tuple(sorted(texts))
