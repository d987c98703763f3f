"""Energy, power, throttling and memory errors: as many as possible in one call, the rest by calls of their own."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final, NamedTuple

from modelmon.devices.nvml.codes import Verdict, verdict
from modelmon.devices.nvml.driver import DriverFault
from modelmon.devices.nvml.layouts import (
    CORRECTED,
    ENERGY,
    NOT_AVAILABLE,
    POWER_INSTANT,
    THROTTLED,
    UNCORRECTED,
    Field,
    Handle,
    number,
)
from modelmon.devices.nvml.questions import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelmon.devices.facts import Scope
    from modelmon.devices.nvml.driver import Driver

Wanted = tuple[int, int]
"""A field's number and its scope."""
_GPU: Final = 0
_MODULE: Final = 1
_ALL: Final[tuple[Wanted, ...]] = (
    (ENERGY, 0),
    (POWER_INSTANT, _GPU),
    (POWER_INSTANT, _MODULE),
    (CORRECTED, 0),
    (UNCORRECTED, 0),
    *((field, 0) for field in THROTTLED),
)
_MOST_WATTS: Final = 100_000.0


class Draw(NamedTuple):
    """What a device draws; None where not known."""

    energy_j: float | None = None
    power_w: float | None = None


class Fields:
    """Read the fields that a device has, found out once.

    Attributes:
        scope: what power covers, where known.
        counts: whether the driver counts energy; None while it could not be asked.
    """

    __slots__ = (
        "_answers",
        "_driver",
        "_energy",
        "_fast",
        "_fields",
        "_handle",
        "_milliwatts",
        "_slow",
        "counts",
        "scope",
    )

    def __init__(self, driver: Driver, handle: Handle, clock: Callable[[], int]) -> None:
        """Ask for everything once, and keep what was answered."""
        self._driver = driver
        self._handle = handle
        self._fields = Question(driver, "nvmlDeviceGetFieldValues", clock)
        self._energy = Question(driver, "nvmlDeviceGetTotalEnergyConsumption", clock)
        self._milliwatts = Question(driver, "nvmlDeviceGetPowerUsage", clock)
        self._answers: dict[Wanted, float] = {}
        self._fast: tuple[Wanted, ...] = ()
        self._slow: tuple[Wanted, ...] = ()
        self.scope: Scope | None = None
        self.counts: bool | None = None
        self._probe()

    @property
    def powers(self) -> bool:
        """Whether power is known at all."""
        return self.scope is not None

    @property
    def throttles(self) -> bool:
        """Whether the time spent slowed down is counted."""
        return any(field in THROTTLED for field, _ in self._slow)

    @property
    def errs(self) -> bool:
        """Whether memory errors are counted."""
        return (CORRECTED, 0) in self._slow or (UNCORRECTED, 0) in self._slow

    def read(self, *, slow: bool) -> Draw:
        """Return energy and power, by one call on the fast tier; the slow tier may need two more."""
        if slow and self.counts is None:
            self._probe()
        wanted = self._slow if slow else self._fast
        self._answers = self._ask(wanted) if wanted else {}
        energy = self._answers.get((ENERGY, 0))
        power = self._answers.get((POWER_INSTANT, _GPU), self._answers.get((POWER_INSTANT, _MODULE)))
        if (ENERGY, 0) not in wanted and self._energy.works:
            energy = self._millijoules()
        if self._milliwatts.works and (slow or not self.counts):
            power = self._power()
        return Draw(None if energy is None else energy / 1000, self._believable(power))

    def throttled_ns(self) -> dict[str, int] | None:
        """Return what the last slow reading found, by reason."""
        found = {
            reason: int(self._answers[field, 0]) for field, reason in THROTTLED.items() if (field, 0) in self._answers
        }
        return found or None

    def errors(self) -> dict[str, int] | None:
        """Return what the last slow reading found, by kind."""
        kinds = {"corrected": CORRECTED, "uncorrected": UNCORRECTED}
        found = {kind: int(self._answers[field, 0]) for kind, field in kinds.items() if (field, 0) in self._answers}
        return found or None

    def _probe(self) -> None:
        found = self._ask(_ALL)
        powers = [wanted for wanted in ((POWER_INSTANT, _GPU), (POWER_INSTANT, _MODULE)) if wanted in found][:1]
        counter = [(ENERGY, 0)] if (ENERGY, 0) in found else []
        if not counter:
            self._millijoules()
        if not powers:
            self._power()
        if powers or self._milliwatts.works:
            self.scope = "module" if powers == [(POWER_INSTANT, _MODULE)] else "gpu"
        # a counter by a call of its own leaves no call for power on the fast tier
        self._fast = () if self._energy.works else (*counter, *powers)
        self._slow = (*counter, *powers, *(wanted for wanted in found if wanted[0] not in (ENERGY, POWER_INSTANT)))
        if counter or self._energy.works:
            self.counts = True
        elif not (self._fields.is_open or self._energy.is_open):
            self.counts = False

    def _ask(self, wanted: Iterable[Wanted]) -> dict[Wanted, float]:
        asked = tuple(wanted)
        fields = (Field * len(asked))(*(Field(field, scope) for field, scope in asked))
        if not self._fields.ask(self._handle, ctypes.c_int32(len(asked)), ctypes.byref(fields)):
            return {}
        found = {}
        for key, field in zip(asked, fields, strict=True):
            if field.nvmlReturn:
                if verdict(field.nvmlReturn) in (Verdict.DEVICE, Verdict.CLOSED, Verdict.GONE):
                    raise DriverFault(field.nvmlReturn)
            elif field.value.ullVal == NOT_AVAILABLE:
                self._driver.sentinels["field"] += 1
            else:
                found[key] = number(field.valueType, field.value)
        return found

    def _millijoules(self) -> float | None:
        value = ctypes.c_ulonglong()
        if not self._energy.ask(self._handle, ctypes.byref(value)):
            return None
        if value.value == NOT_AVAILABLE:
            self._driver.sentinels["energy"] += 1
            return None
        return value.value

    def _power(self) -> float | None:
        value = ctypes.c_uint()
        return value.value if self._milliwatts.ask(self._handle, ctypes.byref(value)) else None

    def _believable(self, milliwatts: float | None) -> float | None:
        if milliwatts is None:
            return None
        watts = milliwatts / 1000
        if watts <= _MOST_WATTS:
            return watts
        self._driver.sentinels["power"] += 1
        return None
