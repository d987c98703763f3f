"""The functions of the pretended library, each as NVIDIA's header has it, by name."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelmon.devices.nvml.codes import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Lock

    from modelmon.fakedriver.gpus import FakeGpu

HANDLES: Final = 0x1000
INSTANCES: Final = 16
"""A handle is ``HANDLES + number * INSTANCES``, and as much more as the number of the instance, from 1."""
_ENERGY: Final = 83
_POWER: Final = (185, 186)
_ECC: Final = {3: "corrected", 4: "uncorrected"}
_MODULE_SCOPE: Final = 1
_ULONGLONG: Final = 3
_UINT: Final = 1


class Library(Protocol):
    """What the functions that are not about one device ask of the pretended library."""

    gpus: list[FakeGpu]
    driver_version: str
    opened: int
    counting: Lock


def out(argument: Any) -> Any:
    """Return what ``byref`` points to; arrays and buffers come without it."""
    return getattr(argument, "_obj", argument)


def handle_of(argument: Any) -> int:
    """Return the number in a handle of any of ctypes' pointer types."""
    return ctypes.c_void_p.from_buffer(argument).value or 0


def _write_handle(argument: Any, number: int, instance: int = 0) -> None:
    ctypes.c_void_p.from_buffer(out(argument)).value = HANDLES + number * INSTANCES + instance


def _write_text(buffer: Any, length: Any, text: str) -> int | None:
    data = text.encode()
    if length.value <= len(data):
        return Code.INSUFFICIENT_SIZE
    out(buffer).value = data
    return None


def _initialise(library: Library, _flags: Any = 0) -> None:
    with library.counting:
        library.opened += 1


def _shut_down(library: Library) -> int | None:
    with library.counting:
        if not library.opened:
            return Code.UNINITIALIZED
        library.opened -= 1
        return None


def _driver_version(library: Library, buffer: Any, length: Any) -> int | None:
    return _write_text(buffer, length, library.driver_version)


def _count(library: Library, number: Any) -> None:
    out(number).value = len(library.gpus)


def _by_index(library: Library, index: Any, handle: Any) -> int | None:
    if index.value >= len(library.gpus):
        return Code.INVALID_ARGUMENT
    if library.gpus[index.value].lost:
        return Code.GPU_IS_LOST
    _write_handle(handle, index.value)
    return None


def _by_uuid(library: Library, uuid: Any, handle: Any) -> int | None:
    wanted = uuid.value.decode()
    for number, gpu in enumerate(library.gpus):
        for place, found in enumerate((gpu, *gpu.instances)):
            if found.uuid == wanted:
                if gpu.lost:
                    return Code.GPU_IS_LOST
                _write_handle(handle, number, place)
                return None
    return Code.NOT_FOUND


def _mig_instance(library: Library, parent: Any, index: Any, handle: Any) -> int | None:
    number = (handle_of(parent) - HANDLES) // INSTANCES
    if index.value >= len(library.gpus[number].instances):
        return Code.NOT_FOUND
    _write_handle(handle, number, index.value + 1)
    return None


def _uuid(gpu: FakeGpu, buffer: Any, length: Any) -> int | None:
    return _write_text(buffer, length, gpu.uuid)


def _name(gpu: FakeGpu, buffer: Any, length: Any) -> int | None:
    return _write_text(buffer, length, gpu.name)


def _mig_mode(gpu: FakeGpu, current: Any, pending: Any) -> None:
    out(current).value = out(pending).value = int(bool(gpu.instances))


def _mig_count(gpu: FakeGpu, number: Any) -> None:
    out(number).value = len(gpu.instances)


def _memory(gpu: FakeGpu, memory: Any) -> None:
    filled = out(memory)
    filled.total, filled.used = gpu.memory, gpu.used + gpu.reserved
    filled.free = filled.total - filled.used


def _memory_v2(gpu: FakeGpu, memory: Any) -> int | None:
    filled = out(memory)
    if filled.version != ctypes.sizeof(filled) | 2 << 24:
        return Code.ARGUMENT_VERSION_MISMATCH
    filled.total, filled.used, filled.reserved = gpu.memory, gpu.used, gpu.reserved
    filled.free = filled.total - filled.used - filled.reserved
    return None


def _divided(gpu: FakeGpu) -> bool:
    return bool(gpu.instances) or gpu.parent is not None


def _utilization(gpu: FakeGpu, rates: Any) -> int | None:
    if _divided(gpu):
        return Code.NOT_SUPPORTED
    filled = out(rates)
    filled.gpu = gpu.utilization()
    filled.memory = filled.gpu // 2
    return None


def _samples(gpu: FakeGpu, kind: Any, since: Any, *filled_in: Any) -> int | None:
    value_type, number, samples = filled_in
    if _divided(gpu) or kind.value != 1:
        return Code.NOT_SUPPORTED
    found = gpu.samples(since.value)
    if samples is None:
        out(number).value = 100
        return None
    filled = out(samples)
    kept = found[-out(number).value :]
    for place, (at_us, per_cent) in enumerate(kept):
        filled[place].timeStamp, filled[place].sampleValue.uiVal = at_us, per_cent
    out(value_type).value, out(number).value = _UINT, len(kept)
    return None if kept else Code.NOT_FOUND


def _energy(gpu: FakeGpu, millijoules: Any) -> int | None:
    if gpu.parent is not None or _ENERGY in gpu.unsupported:
        return Code.NOT_SUPPORTED
    out(millijoules).value = gpu.energy_mj()
    return None


def _power(gpu: FakeGpu, milliwatts: Any) -> int | None:
    if gpu.parent is not None:
        return Code.NOT_SUPPORTED
    out(milliwatts).value = gpu.power_mw()
    return None


def _fields(gpu: FakeGpu, _number: Any, fields: Any) -> None:
    for field in out(fields):
        value = _field(gpu, field.fieldId, field.scopeId)
        field.nvmlReturn = Code.NOT_SUPPORTED if value is None else 0
        if value is not None:
            field.valueType = _UINT if field.fieldId in _POWER else _ULONGLONG
            field.value.ullVal = value


def _field(gpu: FakeGpu, number: int, scope: int) -> int | None:
    if gpu.parent is not None or number in gpu.unsupported or f"{number}:{scope}" in gpu.unsupported:
        return None
    if number == _ENERGY:
        return gpu.energy_mj()
    if number in _POWER:
        return gpu.power_mw() if scope <= _MODULE_SCOPE else None
    return getattr(gpu, _ECC[number]) if number in _ECC else gpu.throttled_ns.get(number)


def _temperature(gpu: FakeGpu, _sensor: Any, degrees: Any) -> None:
    out(degrees).value = gpu.temperature


def _reasons(gpu: FakeGpu, mask: Any) -> None:
    out(mask).value = gpu.throttle


def _processes(gpu: FakeGpu, number: Any, processes: Any) -> int | None:
    room, there = out(number).value, len(gpu.processes)
    out(number).value = there
    if room < there:
        return Code.INSUFFICIENT_SIZE
    for place, (pid, used) in enumerate(gpu.processes.items() if processes is not None else ()):
        filled = out(processes)[place]
        filled.pid, filled.usedGpuMemory = pid, used
    return None


def _process_shares(gpu: FakeGpu, samples: Any, number: Any, _since: Any) -> int | None:
    if _divided(gpu):
        return Code.NOT_SUPPORTED
    room, there = out(number).value, len(gpu.processes)
    out(number).value = there
    if not there:
        return Code.NOT_FOUND
    if samples is None or room < there:
        return Code.INSUFFICIENT_SIZE
    newest = gpu.samples(0)[-1:]
    for place, pid in enumerate(gpu.processes):
        filled = out(samples)[place]
        filled.pid, filled.timeStamp = pid, newest[0][0] if newest else 1
        filled.smUtil = (newest[0][1] if newest else 0) // there
    return None


OPENING: Final = frozenset(("nvmlInitWithFlags", "nvmlInit_v2", "nvmlShutdown"))
FINDING: Final = frozenset(("nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByUUID"))
PER_DEVICE: Final[Mapping[str, Callable[..., int | None]]] = {
    "nvmlDeviceGetUUID": _uuid,
    "nvmlDeviceGetName": _name,
    "nvmlDeviceGetMigMode": _mig_mode,
    "nvmlDeviceGetMaxMigDeviceCount": _mig_count,
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetMemoryInfo_v2": _memory_v2,
    "nvmlDeviceGetUtilizationRates": _utilization,
    "nvmlDeviceGetSamples": _samples,
    "nvmlDeviceGetTotalEnergyConsumption": _energy,
    "nvmlDeviceGetPowerUsage": _power,
    "nvmlDeviceGetFieldValues": _fields,
    "nvmlDeviceGetTemperature": _temperature,
    "nvmlDeviceGetCurrentClocksEventReasons": _reasons,
    "nvmlDeviceGetCurrentClocksThrottleReasons": _reasons,
    "nvmlDeviceGetComputeRunningProcesses_v2": _processes,
    "nvmlDeviceGetComputeRunningProcesses_v3": _processes,
    "nvmlDeviceGetProcessUtilization": _process_shares,
}
FUNCTIONS: Final[Mapping[str, Callable[..., int | None]]] = {
    "nvmlInitWithFlags": _initialise,
    "nvmlInit_v2": _initialise,
    "nvmlShutdown": _shut_down,
    "nvmlSystemGetDriverVersion": _driver_version,
    "nvmlDeviceGetCount_v2": _count,
    "nvmlDeviceGetHandleByIndex_v2": _by_index,
    "nvmlDeviceGetHandleByUUID": _by_uuid,
    "nvmlDeviceGetMigDeviceHandleByIndex": _mig_instance,
    **PER_DEVICE,
}
