"""A watched function that its own module does not know: ``watched = monitor(function)``, the name meaning the original.

A function is pickled by its name, and the name would bring back the original.
So the wrapper sits in an object that is called at the speed of a C call, looks like the function, and pickles as what
it is made of: the original by name, and what was asked for.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from modelmon.probes.sites import Site


def means(thing: Any) -> bool:
    """Tell whether the module and qualified name of a thing lead to the thing itself."""
    found: Any = sys.modules.get(getattr(thing, "__module__", None) or "")
    for name in thing.__qualname__.split("."):
        found = getattr(found, "__dict__", {}).get(name)
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
    return found is thing


class Alias(functools.partial):  # type: ignore[type-arg]
    """A partial of nothing: the cheapest callable whose pickling can be told."""

    __qualname__: str
    __wrapped__: Any
    _modelmon_site: Site
    _modelmon_watch: Callable[[Any, Site], Any]

    def __new__(cls, wrapper: Any, site: Site, watch: Callable[[Any, Site], Any]) -> Self:
        """Take a generated wrapper, its site, and what watches the function again where it is unpickled."""
        self = super().__new__(cls, wrapper)
        self.__dict__.update(wrapper.__dict__)
        for name in ("__doc__", "__module__", "__annotations__"):  # what this class has itself
            self.__dict__[name] = getattr(wrapper, name)
        self.__dict__.update(_modelmon_site=site, _modelmon_watch=watch)
        return self

    def __getattr__(self, name: str) -> Any:
        """Look at the wrapper for what only functions have; cloudpickle sends that."""
        return getattr(self.func, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Pass for a function, as ``inspect`` asks."""
        return FunctionType

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind as a function does."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        """Look as the function does."""
        return repr(self.func)

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Pickle by name where the name means this object, else by what it is made of."""
        if means(self):
            return self.__qualname__
        return self._modelmon_watch, (self.__wrapped__, self._modelmon_site)

    def __copy__(self) -> Alias:
        """Be one's own copy, as a function is."""
        return self

    def __deepcopy__(self, _memo: Any) -> Alias:
        """Be one's own copy, as a function is."""
        return self
