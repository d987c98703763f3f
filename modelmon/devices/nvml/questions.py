"""One driver call about one device: whether it works, whether it is worth asking now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.devices.backoff import Backoff
from modelmon.devices.nvml.codes import Code, Verdict, verdict
from modelmon.devices.nvml.driver import DriverFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.nvml.driver import Driver


class Question:
    """Ask one function of the driver about one device.

    A function that is not supported is never asked again; one that fails is asked again later, each time later.

    Attributes:
        supported: False once the driver said that it will not do.
        works: whether it was ever answered, were it by "nothing to say".
        code: what the last call ended with.
    """

    __slots__ = ("_backoff", "_clock", "_driver", "_function", "code", "supported", "works")

    def __init__(self, driver: Driver, function: str, clock: Callable[[], int]) -> None:
        """Know whom to ask; ask nothing yet."""
        self._driver = driver
        self._function = function
        self._clock = clock
        self._backoff = Backoff()
        self.supported = True
        self.works = False
        self.code = 0

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet if it will ever be answered."""
        return self.supported and not self.works

    def ask(self, *arguments: Any) -> bool:
        """Return whether the driver filled in its answer.

        Raises:
            DriverFault: when the device or the driver is gone.
        """
        if not self.supported or not self._backoff.is_due(self._clock()):
            return False
        self.code = code = self._driver.call(self._function, *arguments)
        found = verdict(code) if code else None
        if found in (Verdict.DEVICE, Verdict.CLOSED, Verdict.GONE):
            raise DriverFault(code)
        if found in (None, Verdict.EMPTY):
            self.works = True
            self._backoff.succeed()
        elif code == Code.INSUFFICIENT_SIZE:
            self._backoff.succeed()
        elif found is Verdict.UNSUPPORTED:
            self.supported = self.works = False
        else:
            self._backoff.fail(self._clock())
        return code == 0
