"""How a call ended, read from the exception that ended it; only its type's name is ever kept."""

from __future__ import annotations

from typing import Final

from modelmon.errors import ModelmonError

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


_OURS: Final = __file__.rpartition("probes")[0]


def is_ours(error: BaseException) -> bool:
    """Tell a fault of this library from what a signal handler raised while the library was recording.

    A fault of ours was raised in a frame of ours, or in C by a frame of ours, where only built-in exceptions come from;
    a signal handler has a frame of its own. ``RejectedError`` and its kind are raised on purpose.
    """
    if not isinstance(error, Exception) or isinstance(error, ModelmonError):
        return False
    if isinstance(error, MemoryError):  # whoever asked for the memory, it was on our account
        return True
    frame = error.__traceback__
    if frame is None or frame.tb_next is None:
        return _module_of(type(error)) == "builtins" and not isinstance(error, TimeoutError)
    while frame.tb_next is not None:
        frame = frame.tb_next
    return frame.tb_frame.f_code.co_filename.startswith(_OURS)
