"""What is known of a graphics processor: who it is, and what one reading of it found.

An unknown value is None, never 0: a driver that cannot say leaves no number behind.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (part of the public dataclasses' annotations)
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Tier = Literal["fast", "slow"]
"""Fast: energy, power, utilisation, memory. Slow: the same and processes, temperature, throttling, errors."""
Scope = Literal["gpu", "module"]
"""What power and energy cover; a module is the processor beside the GPU too, as on a GH200."""
EnergySource = Literal["counter", "power_integral"]
"""The driver's own counter, or power integrated by trapezoids between readings."""
Certainty = Literal["exact", "assumed"]
"""Whether the devices of this process are known to be these, or the order was taken on trust."""

CAPABILITIES: Final = frozenset(
    (
        "energy",  # a counter of the driver's own
        "power",
        "util",
        "util_ring",  # the driver's ring of samples, so that utilisation misses nothing between readings
        "memory",
        "memory_reserved",  # memory_used is without what the driver keeps for itself
        "processes",
        "process_memory",
        "sm_share",
        "temperature",
        "throttle",
        "throttled_time",
        "errors",
    )
)
"""Every word that ``GpuBackend.capabilities`` may answer with."""


class DeviceId(NamedTuple):
    """Who a device is.

    Attributes:
        id: the UUID (``GPU-…``, ``MIG-…``), never an index.
        vendor: ``nvidia`` or ``amd``.
        name: what its maker calls it, such as ``NVIDIA H100 80GB HBM3``.
        parent: the UUID of the whole device that an instance (MIG) is part of.
    """

    id: str
    vendor: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of a device found; None is not available, never 0.

    Attributes:
        t_ns: the monotonic clock before the first driver call of this reading.
        energy_j: joules since the driver counts (or since the first reading, where power is integrated).
        energy_t_ns: the monotonic clock before the call that returned ``energy_j``.
        energy_source: the driver's counter, or power integrated here.
        power_w: watts, instantaneous where the driver has that.
        power_scope: what power and energy cover.
        util: share of the time with a kernel running, 0 to 1, since the last reading or in the driver's last window.
        mem_used: bytes allocated; with those reserved by the driver where ``mem_reserved`` is None.
        mem_total: bytes of the device.
        mem_reserved: bytes that the driver and firmware keep for themselves.
        proc_mem: bytes held by this process (slow tier).
        n_procs: processes that compute on the device (slow tier).
        sm_share: this process's share of the busy time of all processes, 0 to 1 (slow tier).
        throttle: the driver's bit mask of reasons why clocks are low (slow tier).
        throttled_ns: nanoseconds spent slowed down since the driver counts, by reason (slow tier).
        errors: memory errors since the driver counts, by ``corrected`` and ``uncorrected`` (slow tier).
        temp_c: degrees Celsius (slow tier).
    """

    t_ns: int
    energy_j: float | None = None
    energy_t_ns: int | None = None
    energy_source: EnergySource | None = None
    power_w: float | None = None
    power_scope: Scope | None = None
    util: float | None = None
    mem_used: int | None = None
    mem_total: int | None = None
    mem_reserved: int | None = None
    proc_mem: int | None = None
    n_procs: int | None = None
    sm_share: float | None = None
    throttle: int | None = None
    throttled_ns: Mapping[str, int] | None = None
    errors: Mapping[str, int] | None = None
    temp_c: float | None = None


@dataclass(frozen=True, slots=True)
class BackendState:
    """What a backend says of itself, for the sampler's own metrics; all of it grows only.

    Attributes:
        driver_calls: calls made into the driver, however they ended.
        errors: errors of the driver by (function, code), such as ``("nvmlDeviceGetUtilizationRates", "GpuIsLost")``.
        sentinels: values that meant "not available", or could not be true, by field.
        reopened: how often the driver was opened again after somebody else had shut it down.
        driver_version: the driver's version, where known.
        mapping: whether the visible devices are known, or their order was taken on trust.
    """

    driver_calls: int = 0
    errors: Mapping[tuple[str, str], int] | None = None
    sentinels: Mapping[str, int] | None = None
    reopened: int = 0
    driver_version: str | None = None
    mapping: Certainty = "exact"
