"""Suppression: what this library does on its own account leaves no spans and no metrics of instrumented libraries.

OpenTelemetry's instrumentations of HTTP clients and databases leave out what runs under a key of its context.
Two spellings of the key are in use, so both are read and set.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = "suppress_instrumentation"
_CONTEXT: Final = "opentelemetry.context"


def is_suppressed() -> bool:
    """Tell whether the code that runs here is to be left out by instrumentations."""
    context = sys.modules.get(_CONTEXT)
    return context is not None and any(context.get_current().get(mark) for mark in marks())


@contextmanager
def suppressed() -> Iterator[None]:
    """Have instrumentations leave out what runs within; without OpenTelemetry in the process it does nothing."""
    context = sys.modules.get(_CONTEXT)
    token = None if context is None else _attach(context)
    try:
        yield
    finally:
        if context is not None and token is not None:
            context.detach(token)


def _attach(context: Any) -> Any:
    try:
        current = context.get_current()
        for key in marks():
            current = context.set_value(key, True, current)  # noqa: FBT003  (a value, not a flag)
        return context.attach(current)
    except Exception:  # a module half imported, or another implementation
        return None


def marks() -> tuple[str, str]:
    """Return the two keys under which a context of OpenTelemetry says so."""
    return _PLAIN, getattr(sys.modules.get(_CONTEXT), "_SUPPRESS_INSTRUMENTATION_KEY", _PLAIN)
