"""Hooks by name: which function of the user's raised what, for whoever reads the log; what it said is never told."""

from __future__ import annotations

from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.probes.sites import Site

_FUNCTIONS: Final = (FunctionType, BuiltinFunctionType, MethodDescriptorType)
# Straight from ``type``: a metaclass of the user's may define these names, and nothing of the user's may run here.
_name_of: Final = type.__dict__["__qualname__"].__get__
_module_of: Final = type.__dict__["__module__"].__get__


def told(site: Site, failures: Iterable[tuple[str, str]]) -> list[str]:
    """Return in words what hooks of a site raised.

    Args:
        site: whose hooks.
        failures: what the hook was given as, ``""`` where a value was read and no hook was called, and the name of the
            exception's class, ``""`` where it raised none.

    >>> from modelmon.probes.sites import Site
    >>> told(Site("m", id=len), [("id", "KeyError"), ("", "TypeError")])
    ['id=builtins.len raised KeyError', 'reading a value raised TypeError']
    """
    return [_told(site, given_as, error) for given_as, error in failures]


def _told(site: Site, given_as: str, error: str) -> str:
    who = f"{given_as}={_named(getattr(site, given_as))}" if given_as else "reading a value"
    return f"{who} raised {error}" if error else f"{who} gave no whole number"


def _named(hook: Any) -> str:
    """Return the qualified name of a function, or of the type of another callable."""
    while type(hook) is partial:
        hook = hook.func
    if type(hook) is MethodType:
        hook = hook.__func__
    if any(type(hook) is kind for kind in _FUNCTIONS):  # a type of the user's may compare as it likes
        module, name = getattr(hook, "__module__", None), hook.__qualname__
    else:
        module, name = _module_of(type(hook)), _name_of(type(hook))
    return f"{module}.{name}" if type(module) is str else name
