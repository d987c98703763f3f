"""``watch``: from any callable to one of the same kind that records its calls.

==================================== =================================================================================
what                                 how it is wrapped
==================================== =================================================================================
function, lambda, coroutine,         a generated function of the same signature, one frame more
generator, async generator
the same, where its name already     the generated function in an `Alias`, which pickles by value
means the function itself
method, class method, static         the function inside is wrapped, and bound again as it was
method, partialmethod
callable object, partial, builtin,   a wrapt proxy (`modelmon.probes.proxies`)
C function, ``lru_cache``
class, property                      refused; the message names what to decorate instead
==================================== =================================================================================
"""

from __future__ import annotations

import functools
import sys
from _weakref import ref
from dataclasses import replace
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn

from modelmon.probes.aliases import Alias, means
from modelmon.probes.readouts import columns_of, made
from modelmon.probes.signatures import (
    ASYNC_GENERATOR,
    COROUTINE,
    GENERATOR,
    ITERABLE_COROUTINE,
    PLAIN_CALL,
    kind_of,
    signature_of,
)
from modelmon.probes.texts import Recipe, text_of

if TYPE_CHECKING:
    from modelmon.probes.sites import Site

_STREAMS = (GENERATOR, ASYNC_GENERATOR)


def watch(function: Any, site: Site) -> Any:
    """Return a callable of the same kind that records its calls in the site's current seat.

    Args:
        function: a function or coroutine function, a generator or async generator function, a method, class method or
            static method, a partial, any callable object.
        site: what is watched; its seat may be exchanged at any time.

    Raises:
        TypeError: for a class, a property or what cannot be called; the message says what to decorate instead.
        ConfigurationError: when an argument that the site names is no parameter.
    """
    if type(function) is FunctionType:
        return _watch_function(function, site)
    if isinstance(function, (classmethod, staticmethod)):
        rewrapped = type(function)(watch(function.__func__, site))
        rewrapped.__dict__.update({k: v for k, v in function.__dict__.items() if k not in rewrapped.__dict__})
        return rewrapped
    if isinstance(function, functools.partialmethod):
        return type(function)(watch(function.func, site), *function.args, **function.keywords)
    if type(function) is MethodType and type(function.__func__) is FunctionType:
        # A copy of the instance has the same function in a method of its own.
        return MethodType(_registered(generated(function.__func__, site), site), function.__self__)
    _refuse_others(function)
    from modelmon.probes.proxies import proxy  # noqa: PLC0415  (wrapt loads only where a proxy is needed)

    return _registered(proxy(function, site, watch), site)


def generated(function: FunctionType, site: Site) -> Any:
    """Return the generated wrapper of a plain function."""
    signature = signature_of(function.__code__)
    if not signature.writable:
        from modelmon.probes.proxies import proxy  # noqa: PLC0415  (wrapt loads only where a proxy is needed)

        return proxy(function, site, watch)
    kind = kind_of(function.__code__)
    if kind == PLAIN_CALL and "_is_coroutine_mark" in function.__dict__:
        kind = COROUTINE
    columns = replace(columns_of(site, signature, stream=kind in _STREAMS), timed=site.timers is not None)
    wrapper = made(text_of(kind, signature, columns), site, function)
    code = function.__code__
    names = {"co_name": code.co_name}
    if sys.version_info >= (3, 11):
        names["co_qualname"] = code.co_qualname
    wrapper.__code__ = wrapper.__code__.replace(**names)
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = function.__kwdefaults__
    site.recipe = Recipe(ref(wrapper), kind, signature, columns)
    if kind == ITERABLE_COROUTINE:
        from types import coroutine  # noqa: PLC0415  (rare)

        wrapper = coroutine(wrapper)
    return functools.update_wrapper(wrapper, function)


def _watch_function(function: FunctionType, site: Site) -> Any:
    watched = generated(function, site)
    # A method that is patched in (``Net.forward = monitor(Net.forward)``) will be found where it is looked for.
    if type(watched) is FunctionType and "." not in function.__qualname__ and means(function):
        watched = Alias(watched, site, watch)
    return _registered(watched, site)


def _registered(watched: Any, site: Site) -> Any:
    site.watcher = ref(watched)
    return watched


def _refuse_others(function: Any) -> None:
    if isinstance(function, type):
        _refuse(f"a class cannot be watched: decorate a method of {function.__qualname__}, or watch one instance")
    if isinstance(function, (property, functools.cached_property)):
        _refuse(
            f"a {type(function).__name__} cannot be watched: decorate the function below the {type(function).__name__}"
        )
    if not callable(function):
        _refuse(f"an object of type {type(function).__name__} cannot be called, so there is nothing to watch")


def _refuse(message: str) -> NoReturn:
    raise TypeError(message)
