"""The one funnel to NVIDIA's driver: every call goes through here, is counted, and ends in a code.

``pynvml`` (the distribution ``nvidia-ml-py``) loads the library; its functions are called as they are.
So each reading is one driver call, where the wrappers of ``pynvml`` make two, and no error is an exception.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any, Final

from modelmon import forking
from modelmon.devices.backend import BackendUnavailable
from modelmon.devices.nvml.codes import Code, Verdict, title, verdict

_TROUBLES: Final = frozenset((Verdict.FAILING, Verdict.DEVICE, Verdict.CLOSED, Verdict.GONE))


class DriverFault(Exception):  # noqa: N818  (what the driver reported, not what we did)
    """Report an error after which no call about this device, or at all, makes sense.

    Attributes:
        code: the driver's number.
        verdict: what it means.
    """

    def __init__(self, code: int) -> None:
        """Keep the number."""
        super().__init__(title(code))
        self.code = code
        self.verdict = verdict(code)


def load() -> Any:
    """Return the module ``pynvml`` of ``nvidia-ml-py``.

    Raises:
        BackendUnavailable: when it is not installed, cannot be loaded, or another package has its name.
    """
    try:
        pynvml: Any = forking.load("pynvml")
    except ImportError as error:
        reason = "nvidia-ml-py is not installed"
        raise BackendUnavailable(reason) from error
    except Exception as error:
        reason = f"pynvml cannot be loaded: {type(error).__name__}"
        raise BackendUnavailable(reason) from error
    if not hasattr(pynvml, "_nvmlGetFunctionPointer") or not hasattr(pynvml, "NVMLError"):
        reason = (
            f"the module pynvml ({getattr(pynvml, '__file__', None)}) is not that of nvidia-ml-py: "
            "uninstall the package pynvml and install nvidia-ml-py anew"
        )
        raise BackendUnavailable(reason)
    return pynvml


class Driver:
    """Call the driver and count.

    Attributes:
        calls: driver calls so far, however they ended.
        errors: how often which function ended how, of the errors that are troubles.
        sentinels: values that could not be true, by what they were of.
    """

    __slots__ = ("_pynvml", "calls", "errors", "sentinels")

    def __init__(self) -> None:
        """Touch nothing yet."""
        self._pynvml: Any = None
        self.calls = 0
        self.errors: Counter[tuple[str, str]] = Counter()
        self.sentinels: Counter[str] = Counter()

    def initialise(self) -> int:
        """Load and initialise the library; return the code.

        Raises:
            BackendUnavailable: when ``pynvml`` cannot be used.
        """
        if self._pynvml is None:
            self._pynvml = load()
        self.calls += 1
        code = 0
        try:
            self._pynvml.nvmlInit()
        except Exception as error:
            code = getattr(error, "value", Code.UNKNOWN)
            self.errors["nvmlInit", title(code)] += 1
        return code

    def shut_down(self) -> None:
        """Undo one ``initialise``; an error is nobody's concern any more."""
        if self._pynvml is not None:
            self.calls += 1
            with suppress(Exception):  # somebody else did it before us
                self._pynvml.nvmlShutdown()

    def call(self, function: str, *arguments: Any) -> int:
        """Call a function of the library with ctypes' values; return the code, 0 for success."""
        try:
            pointer = self._pynvml._nvmlGetFunctionPointer(function)  # noqa: SLF001  (so do gpustat and zeus)
        except self._pynvml.NVMLError as error:
            code: int = error.value
        else:
            self.calls += 1
            code = pointer(*arguments)
        if code and code != Code.INSUFFICIENT_SIZE and verdict(code) in _TROUBLES:
            self.errors[function, title(code)] += 1
        return code

    def require(self, function: str, *arguments: Any) -> None:
        """Call a function that has to succeed.

        Raises:
            DriverFault: when it does not.
        """
        code = self.call(function, *arguments)
        if code:
            raise DriverFault(code)
