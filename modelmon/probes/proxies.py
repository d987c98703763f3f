"""Proxies of callables that are no plain functions; ``wrapt`` does the binding and the pretending.

wrapt's own proxies cannot be pickled; these can, by name where the name leads to the proxy, else by what they hold.
"""

from __future__ import annotations

import functools
import inspect
from _weakref import ref
from dataclasses import replace
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import wrapt

from modelmon.errors import ConfigurationError
from modelmon.probes.aliases import means
from modelmon.probes.readouts import columns_with, made
from modelmon.probes.signatures import ASYNC_GENERATOR, GENERATOR, PLAIN_CALL, Forwarding, kind_of
from modelmon.probes.texts import Recipe, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelmon.probes.sites import Site


class BoundProxy(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A watched callable bound to an instance."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as the attribute of the instance that it is."""
        return getattr, (self._self_instance, self.__name__)


class Proxy(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A watched callable object."""

    __bound_function_wrapper__ = BoundProxy
    _self_site: Site  # wrapt keeps what is the proxy's own under this prefix
    _self_watch: Callable[[Any, Site], Any]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle by name where the name leads here, else as what is wrapped and what was asked for."""
        if hasattr(self, "__qualname__") and means(self):
            return self.__qualname__
        return self._self_watch, (self.__wrapped__, self._self_site)

    def __copy__(self) -> Any:
        """Copy what is wrapped; the copy is watched as the same model."""
        import copy  # noqa: PLC0415

        return self._watched_copy(copy.copy(self.__wrapped__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy what is wrapped; the copy is watched as the same model."""
        import copy  # noqa: PLC0415

        return self._watched_copy(copy.deepcopy(self.__wrapped__, memo))

    def _watched_copy(self, copied: Any) -> Any:
        # Functions, builtins and caches are their own copies, and so is what watches them.
        if copied is self.__wrapped__:
            return self
        import copy  # noqa: PLC0415

        return self._self_watch(copied, copy.copy(self._self_site))  # either may go before the other


def proxy(function: Any, site: Site, watch: Callable[[Any, Site], Any]) -> Proxy:
    """Wrap any callable; copies of what it holds are watched by ``watch``.

    Raises:
        ConfigurationError: when a setting names a parameter, and the callable does not tell its parameters or has none
            of that name.
    """
    kind = _kind(function)
    stream = kind in {GENERATOR, ASYNC_GENERATOR}
    bound = "@reading.bound(@s, @arguments, @instance, @args, @kwargs)"
    ident = f"@reading.bound_identity(@s, {bound})" if site.id is not None and site.id != "auto" else ""
    page = f"@reading.bound_page(@s, {bound})" if site.attributes is not None else ""
    size = f"@reading.bound_size(@s, {bound})" if site.batch_size is not None else ""
    columns = columns_with(site, ident, page, size, stream=stream)
    failed = f"@reading.failed(@s, @t, @e, @arguments, @instance, @args, @kwargs{', ' + page if page else ''})"
    columns = replace(columns, failed=failed, timed=site.timers is not None)
    wrapper = made(text_of(kind, _FORWARDING, columns), site, None, _arguments(function, site))
    site.recipe = Recipe(ref(wrapper), kind, _FORWARDING, columns)
    made_proxy = Proxy(function, wrapper)
    made_proxy._self_site, made_proxy._self_watch = site, watch  # noqa: SLF001
    return made_proxy


_FORWARDING = Forwarding(("@call", "@instance", "@args", "@kwargs"))


def _kind(function: Any) -> str:
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if isinstance(inner, MethodType):
        inner = inner.__func__
    if type(inner) is not FunctionType:
        called = getattr(type(inner), "__call__", None)  # noqa: B004  (the function, not whether there is one)
        inner = getattr(inner, "__wrapped__", None) if type(called) is not FunctionType else called
    return kind_of(inner.__code__) if type(inner) is FunctionType else PLAIN_CALL


def _arguments(function: Any, site: Site) -> Callable[..., Mapping[str, Any]] | None:
    """Return what binds arguments to names, or None where the callable does not tell its parameters."""
    asked = [name for name in (site.id, site.batch_size) if isinstance(name, str) and name != "auto"]
    if not callable(site.attributes):
        asked.extend(site.attributes or ())
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None
    missing = [name for name in asked if signature is None or name not in signature.parameters]
    if missing:
        known = "tells no parameters" if signature is None else f"has {', '.join(signature.parameters) or 'none'}"
        msg = f"{missing[0]!r} is no parameter of the callable, which {known}; give a function of the arguments instead"
        raise ConfigurationError(msg)
    if signature is None:
        return None
    binds = hasattr(type(function), "__get__") and getattr(function, "__self__", None) is None

    def bind(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
        known = signature.bind(*((instance,) if binds and instance is not None else ()), *args, **kwargs)
        known.apply_defaults()
        return known.arguments

    return bind
