"""AMD's processors, through the Python package that ROCm brings; written by its documents, not yet tried on hardware.

1. ``amdsmi`` writes to standard output and raises many things when its library is missing, so it is imported only where
   the driver's node ``/dev/kfd`` is, or where the program imported it already.
2. The order of its handles is not HIP's; each device says its ``hip_id``, and where it does not, the order is assumed.
3. A value may be the text ``"N/A"``, or all ones.
4. The energy counter of some chips stands still or is wrong.
   It is believed once it moved as power says it should; until then no energy is told, and if it did not, power is
   integrated instead.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from modelmon import forking
from modelmon.devices.backend import BackendUnavailable, DeviceLost
from modelmon.devices.backoff import Backoff
from modelmon.devices.facts import BackendState, DeviceId, Reading
from modelmon.devices.integral import PowerIntegral
from modelmon.devices.visible import Physical, Visible, choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.facts import EnergySource, Tier

NODE: Final = "/dev/kfd"
_FOREVER: Final = frozenset((1, 2, 3, 5, 10))
"""Invalid, not supported, not implemented, no such symbol, no permission: not asked again."""
_NOT_AVAILABLE: Final = frozenset((0xFFFF, 0xFFFFFFFF, 2**64 - 1))
_MEBIBYTE: Final = 1 << 20
_TRUSTED_NS: Final = 5_000_000_000
_BELIEVABLE: Final = (0.5, 2.0)


class _Unit:
    """One device: its handle, the calls that it does not know, and whether its counter is believed."""

    __slots__ = ("asked", "backoff", "counts", "first", "handle", "integral", "unsupported")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.unsupported: set[str] = set()
        self.backoff = Backoff()
        self.integral = PowerIntegral()
        self.asked = PowerIntegral()
        self.counts: bool | None = None
        self.first: tuple[int, float] | None = None


class AmdSmiBackend:
    """Read AMD's processors."""

    name = "amdsmi"

    def __init__(self, monotonic_ns: Callable[[], int] = perf_counter_ns) -> None:
        """Touch nothing yet."""
        self._clock = monotonic_ns
        self._smi: Any = None
        self._units: dict[str, _Unit] = {}
        self._visible = Visible(())
        self._calls = 0
        self._errors: Counter[tuple[str, str]] = Counter()

    def open(self) -> None:
        """Initialise ``amdsmi`` and find the devices.

        Raises:
            BackendUnavailable: when there is no driver, no package, or no device.
        """
        if not os.path.exists(NODE) and "amdsmi" not in sys.modules:  # noqa: PTH110
            reason = f"{NODE} is not there"
            raise BackendUnavailable(reason)
        try:
            smi: Any = forking.load("amdsmi")
            smi.amdsmi_init()
            self._smi = smi
            self._find(smi.amdsmi_get_processor_handles())
        except Exception as error:  # ImportError, OSError, KeyError, AttributeError and its own have all been seen
            self.close()
            reason = f"amdsmi cannot be used: {type(error).__name__}"
            raise BackendUnavailable(reason) from error
        if not self._units:
            self.close()
            reason = "amdsmi knows no device"
            raise BackendUnavailable(reason)

    def devices(self) -> list[DeviceId]:
        """Return the devices of this process in HIP's order."""
        return list(self._visible.devices)

    def capabilities(self, device: DeviceId) -> frozenset[str]:
        """Return what a device can tell, as far as that is known by now."""
        unit = self._units[device.id]
        able = {
            "energy": unit.counts,
            "power": "amdsmi_get_power_info" not in unit.unsupported,
            "util": "amdsmi_get_gpu_activity" not in unit.unsupported,
            "memory": "amdsmi_get_gpu_vram_usage" not in unit.unsupported,
            "processes": "amdsmi_get_gpu_process_list" not in unit.unsupported,
            "process_memory": "amdsmi_get_gpu_process_list" not in unit.unsupported,
            "temperature": "amdsmi_get_temp_metric" not in unit.unsupported,
            "errors": "amdsmi_get_gpu_total_ecc_count" not in unit.unsupported,
        }
        return frozenset(word for word, holds in able.items() if holds)

    def read(self, device: DeviceId, tier: Tier) -> Reading:
        """Return a reading of a device.

        Raises:
            DeviceLost: when no call about it works; it is tried again after 1, 2, 4 … 60 s.
        """
        unit, at = self._units[device.id], self._clock()
        if not unit.backoff.is_due(at):
            raise DeviceLost(device.id, "Lost")
        memory = self._ask(unit, "amdsmi_get_gpu_vram_usage") or {}
        activity = self._ask(unit, "amdsmi_get_gpu_activity") or {}
        power = self._power(unit) if tier == "slow" or not unit.counts else None
        energy, source = self._energy(unit, at, power)
        if not (memory or activity) and power is None and energy is None:
            unit.backoff.fail(at)
            raise DeviceLost(device.id, "Lost")
        unit.backoff.succeed()
        used, total = _number(memory.get("vram_used")), _number(memory.get("vram_total"))
        busy = _number(activity.get("gfx_activity"))
        slow = self._slow(unit) if tier == "slow" else {}
        return Reading(
            at,
            energy_j=energy,
            energy_t_ns=None if energy is None else at,
            energy_source=source,
            power_w=power,
            power_scope=None if power is None else "module" if "MI250" in device.name else "gpu",
            util=busy / 100 if busy is not None and busy <= 100 else None,  # noqa: PLR2004  (per cent)
            mem_used=None if used is None else int(used) * _MEBIBYTE,
            mem_total=None if not total else int(total) * _MEBIBYTE,
            **slow,
        )

    def close(self) -> None:
        """Undo ``open``."""
        smi, self._smi = self._smi, None
        self._units, self._visible = {}, Visible(())
        if smi is not None:
            try:
                smi.amdsmi_shut_down()
            except Exception:
                self._errors["amdsmi_shut_down", "Error"] += 1

    def state(self) -> BackendState:
        """Return what was counted so far."""
        return BackendState(self._calls, dict(self._errors), mapping=self._visible.mapping)

    def _find(self, handles: list[Any]) -> None:
        """Learn who each device is, and which this process may use."""
        found = []
        for place, handle in enumerate(handles):
            unit = _Unit(handle)
            uuid = self._ask(unit, "amdsmi_get_gpu_device_uuid")
            if not uuid:
                continue
            name = (self._ask(unit, "amdsmi_get_gpu_asic_info") or {}).get("market_name") or "AMD GPU"
            order = _number((self._ask(unit, "amdsmi_get_gpu_enumeration_info") or {}).get("hip_id"))
            device = DeviceId(f"GPU-{uuid}", "amd", str(name))
            self._units[device.id] = unit
            found.append((order, place, device))
        known = all(order is not None for order, _, _ in found)
        found.sort(key=lambda one: (one[0] if known else 0, one[1]))
        there = [Physical(device) for _, _, device in found]
        hidden = os.environ.get("HIP_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES"))
        left = choose({} if hidden is None else {"CUDA_VISIBLE_DEVICES": hidden}, there)
        sure = known and hidden is None and "ROCR_VISIBLE_DEVICES" not in os.environ
        self._visible = Visible(left.devices, "exact" if sure else "assumed")

    def _ask(self, unit: _Unit, function: str, *arguments: Any) -> Any:
        """Return the answer of a call, or None; one that is not supported is not made again."""
        if function in unit.unsupported:
            return None
        try:
            asked = getattr(self._smi, function)
            self._calls += 1
            return asked(unit.handle, *arguments)
        except Exception as error:
            code = getattr(error, "err_code", None)
            if code in _FOREVER or isinstance(error, AttributeError | KeyError):
                unit.unsupported.add(function)
            else:
                self._errors[function, str(code) if code is not None else type(error).__name__] += 1
            return None

    def _power(self, unit: _Unit) -> float | None:
        found = self._ask(unit, "amdsmi_get_power_info") or {}
        watts = (_number(found.get(key)) for key in ("current_socket_power", "socket_power", "average_socket_power"))
        return next((value for value in watts if value), None)

    def _energy(self, unit: _Unit, at: int, power: float | None) -> tuple[float | None, EnergySource | None]:
        if unit.counts is False:
            joules = unit.integral.add(at, power)
            return (None, None) if joules is None else (joules, "power_integral")
        found = self._ask(unit, "amdsmi_get_energy_count") or {}
        ticks = _number(found.get("energy_accumulator", found.get("power")))
        resolution = _number(found.get("counter_resolution"))
        if ticks is None or not resolution:
            if unit.counts is None and "amdsmi_get_energy_count" in unit.unsupported:
                unit.counts = False
            return None, None
        joules = ticks * resolution / 1e6
        if unit.counts is None:
            unit.counts = self._believed(unit, at, joules, power)
        return (joules, "counter") if unit.counts else (None, None)

    @staticmethod
    def _believed(unit: _Unit, at: int, joules: float, power: float | None) -> bool | None:
        """Tell whether the counter moves as power says; None while too little was seen."""
        drawn = unit.asked.add(at, power)
        if unit.first is None or drawn is None:
            unit.first = (at, joules) if drawn is not None else unit.first
            return None
        if at - unit.first[0] < _TRUSTED_NS or not drawn:
            return None
        least, most = _BELIEVABLE
        return least <= (joules - unit.first[1]) / drawn <= most

    def _slow(self, unit: _Unit) -> dict[str, Any]:
        listed = self._ask(unit, "amdsmi_get_gpu_process_list")
        own = [row for row in listed or () if row.get("pid") == os.getpid()]
        held = _number(own[0].get("memory_usage", {}).get("vram_mem")) if own else None
        errors = self._ask(unit, "amdsmi_get_gpu_total_ecc_count") or {}
        counted = {"corrected": _number(errors.get("correctable_count"))}
        counted["uncorrected"] = _number(errors.get("uncorrectable_count"))
        return {
            "proc_mem": None if held is None else int(held),
            "n_procs": None if not listed else len(listed),
            "errors": {kind: int(n) for kind, n in counted.items() if n is not None} or None,
            "temp_c": self._degrees(unit),
        }

    def _degrees(self, unit: _Unit) -> float | None:
        kinds, metrics = (
            getattr(self._smi, name, None) for name in ("AmdSmiTemperatureType", "AmdSmiTemperatureMetric")
        )
        if kinds is None or metrics is None:
            return None
        return _number(self._ask(unit, "amdsmi_get_temp_metric", kinds.HOTSPOT, metrics.CURRENT))


def _number(value: Any) -> float | None:
    """Return a number, None for ``"N/A"``, for all ones and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value in _NOT_AVAILABLE:
        return None
    return value
