"""Memos: what an object works out at the first reading, and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class memo(Generic[T]):  # noqa: N801  (a decorator like property)
    """A property that is worked out at its first reading, by two threads at once if need be.

    ``functools.cached_property`` holds a lock meanwhile before Python 3.12, one for all objects of a class, and a child
    that is forked in that moment can never read the property of any.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        """Keep what ``work_out`` returns under its name in the object."""
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, thing: None, kind: type[Any]) -> memo[T]: ...

    @overload
    def __get__(self, thing: object, kind: type[Any]) -> T: ...

    def __get__(self, thing: object | None, kind: type[Any]) -> memo[T] | T:
        """Return what it is; called once, for what stands in the object is found before this."""
        if thing is None:
            return self
        value: T = vars(thing).setdefault(self._name, self._work_out(thing))
        return value
