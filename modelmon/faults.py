"""Whose fault an exception is: this library's, or that of a signal handler which struck while the library worked."""

from __future__ import annotations

from _signal import NSIG, getsignal  # type: ignore[import-not-found]  # wrapped into enums it takes ten times as long
from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ModelmonError

if TYPE_CHECKING:
    from types import CodeType

_OURS: Final = __file__.rpartition("faults")[0]
_module_of = type.__dict__["__module__"].__get__  # past whatever a metaclass of the user's defines


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


def is_signalled(error: BaseException) -> bool:
    """Tell whether a handler of a signal raised this while other people's code ran on our account.

    Where we call a library, its own frames are as foreign as those of a handler; so the handlers themselves are looked
    for among the frames.
    """
    trace, codes = error.__traceback__, set()
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OURS):
            codes.add(trace.tb_frame.f_code)
        trace = trace.tb_next
    if not codes:
        return False
    return any(_code_of(getsignal(number)) in codes for number in range(1, NSIG))


def _code_of(handler: Any) -> CodeType | None:
    """Return the code that a handler runs first: of a function, a method, a partial, or an object that is called."""
    while hasattr(handler, "func") or hasattr(handler, "__func__"):
        handler = handler.func if hasattr(handler, "func") else handler.__func__
    if not hasattr(handler, "__code__"):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004  (the function, not whether there is one)
    code: CodeType | None = getattr(handler, "__code__", None)
    return code
