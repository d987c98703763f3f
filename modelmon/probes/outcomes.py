"""How a call ended, read from the exception that ended it; only its type's name is ever kept."""

from __future__ import annotations

OK = "ok"
ERROR = "error"
CANCELLED = "cancelled"
ABANDONED = "abandoned"
OUTCOMES = (OK, ERROR, CANCELLED, ABANDONED)

# By name, so that a process that never cancels anything need not import asyncio or concurrent.futures.
_ENDINGS = {
    ("builtins", "KeyboardInterrupt"): CANCELLED,
    ("builtins", "SystemExit"): CANCELLED,
    ("builtins", "GeneratorExit"): ABANDONED,
    ("asyncio.exceptions", "CancelledError"): CANCELLED,
    ("concurrent.futures._base", "CancelledError"): CANCELLED,
    ("trio", "Cancelled"): CANCELLED,
}
# Straight from ``type``: a metaclass of the user's may define these names, and nothing of the user's may run here.
_name_of = type.__dict__["__name__"].__get__
_mro_of = type.__dict__["__mro__"].__get__
_module_of = type.__dict__["__module__"].__get__


def ending(error: BaseException) -> tuple[str, str]:
    """Name how a call ended and by what.

    Args:
        error: what the call raised; no reference to it is kept.

    Returns:
        The outcome (``"error"``, ``"cancelled"`` or ``"abandoned"``) and the name of the exception's class.

    >>> ending(ValueError("secret")), ending(KeyboardInterrupt())
    (('error', 'ValueError'), ('cancelled', 'KeyboardInterrupt'))
    """
    kind = type(error)
    name = _name_of(kind)
    for ancestor in _mro_of(kind):
        outcome = _ENDINGS.get((_module_of(ancestor), _name_of(ancestor)))
        if outcome is not None:
            return outcome, name
    return ERROR, name
